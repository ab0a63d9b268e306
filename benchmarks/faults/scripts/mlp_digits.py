"""Read the 8x8 digits of scikit-learn with a small perceptron."""

import argparse
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
np.random.seed(args.seed)
torch.manual_seed(args.seed)

# 1100 images to train on, 300 to watch, the rest is held out
digits = load_digits()
order = np.random.permutation(len(digits.data))
images = digits.data[order].astype(np.float32)
labels = digits.target[order]
mean, std = images[:1100].mean(axis=0), images[:1100].std(axis=0)
std[std < 0.1] = 1.0  # some corner pixels are blank in every image
images = (images - mean) / std
x, y = torch.from_numpy(images), torch.from_numpy(labels)
x_train, y_train = x[:1100], y[:1100]
x_val, y_val = x[1100:1400], y[1100:1400]
x_test, y_test = x[1400:], y[1400:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 64)
        self.out = nn.Linear(64, 10)
        for layer in (self.fc1, self.fc2):
            nn.init.constant_(layer.bias, 0.01)

    def forward(self, x):
        for layer in (self.fc1, self.fc2):
            x = F.relu(layer(x))
            x = F.dropout(x, 0.2, training=self.training)
        return self.out(x)


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=8, gamma=0.5)
batch_size = 64
step = epoch = 0
while step < args.steps:
    net.train()
    running, batches = 0.0, 0
    for idx in torch.randperm(len(x_train)).split(batch_size):
        loss = F.cross_entropy(net(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
        batches += 1
        step += 1
        if step == args.steps:
            break
    scheduler.step()
    epoch += 1
    net.eval()
    with torch.no_grad():
        accuracy = (net(x_val).argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch:3d}  loss {running / batches:.4f}  val accuracy {accuracy:.3f}")

# held out
net.eval()
with torch.no_grad():
    loss = F.cross_entropy(net(x_test), y_test)
print(f"held-out loss {loss.item():.4f}")
