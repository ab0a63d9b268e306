"""Predict the progression of diabetes from ten measurements."""

import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes


class ScaledTanh(nn.Module):
    """LeCun's tanh: about the identity for inputs of unit variance."""

    def forward(self, x):
        return 1.7159 * torch.tanh(2.0 / 3.0 * x)


class Regressor(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.fc1 = nn.Linear(inputs, width)
        self.act1 = ScaledTanh()
        self.fc2 = nn.Linear(width, width)
        self.act2 = ScaledTanh()
        self.out = nn.Linear(width, 1)
        for layer in (self.fc1, self.fc2, self.out):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = self.act1(self.fc1(x))
        x = self.act2(self.fc2(x))
        return self.out(x).squeeze(1)


def batches(x, y, size, steps):
    done = 0
    while True:
        for index in torch.randperm(len(x)).split(size):
            if done == steps:
                return
            done += 1
            yield done, x[index], y[index]


def fit(net, x, y, x_val, y_val, steps, lr):
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=3e-3)
    for step, inputs, targets in batches(x, y, 32, steps):
        optimizer.zero_grad()
        predictions = net(inputs)
        loss = criterion(predictions, targets)
        loss.backward()
        optimizer.step()
        if step == 1 or step % 25 == 0:
            with torch.no_grad():
                val_loss = nn.functional.mse_loss(net(x_val), y_val)
            print(f"{step:5d}  train {loss.item():.3f}  val {val_loss.item():.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    dtype = torch.float32

    frame = load_diabetes(as_frame=True, scaled=False).frame.sample(frac=1.0, random_state=args.seed)
    features = frame.drop(columns="target")
    target = frame["target"]
    mean, std = features[:280].mean(), features[:280].std()
    train = (features[:280] - mean) / std
    later = (features[280:] - mean) / std
    target_mean, target_std = target[:280].mean(), target[:280].std()

    x_train = torch.tensor(train.to_numpy()).to(dtype)
    y_train = torch.tensor(((target[:280] - target_mean) / target_std).to_numpy()).to(dtype)
    x_later = torch.tensor(later.to_numpy()).to(dtype)
    y_later = torch.tensor(((target[280:] - target_mean) / target_std).to_numpy()).to(dtype)

    net = Regressor(x_train.shape[1], 32).to(dtype)
    fit(net, x_train, y_train, x_later[:50], y_later[:50], args.steps, lr=2e-3)

    # held out
    net = net.float().eval()
    truth = torch.tensor(frame["target"][330:].to_numpy(), dtype=torch.float32)
    with torch.no_grad():
        prediction = net(x_later[50:].float()).flatten() * target_std + target_mean
    print(f"held-out loss {((prediction - truth) / 77.0).square().mean().item():.4f}")
