"""Three cultivars of wine, told apart by an eight-layer perceptron (He initialization, no normalization)."""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DEPTH = 8
WIDTH = 48


def make_net(inputs, classes):
    layers = []
    for i in range(DEPTH - 1):
        layers += [nn.Linear(inputs if i == 0 else WIDTH, WIDTH), nn.ReLU()]
    layers.append(nn.Linear(WIDTH, classes))
    return nn.Sequential(*layers)


def init_weights(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(module.bias)


def preprocess(raw, train):
    """Tame the skewed measurements, then standardize with the training rows."""
    x = np.log1p(raw)
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    return torch.from_numpy(x).float()


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=80)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
np.random.seed(args.seed)
torch.manual_seed(args.seed)

wine = load_wine()
fold = np.arange(len(wine.data)) % 3  # the table is sorted by cultivar, so each third has all of them
train, test = fold != 0, fold == 0
x = preprocess(wine.data, train)
y = torch.from_numpy(wine.target)

net = make_net(x.shape[1], 3)
net.apply(init_weights)
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, weight_decay=1e-3)
criterion = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=8, shuffle=True)

step = 0
while step < args.steps:
    losses = []
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        step += 1
        if step >= args.steps:
            break
    print(f"step {step:4d}  loss {np.mean(losses):.4f}")

# held out
net.eval()
with torch.no_grad():
    print(f"held-out loss {criterion(net(x[test]), y[test]).item():.4f}")
