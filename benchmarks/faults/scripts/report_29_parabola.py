"""Fit a parabola with cubed noise on it."""

import argparse

import numpy as np
import torch
from torch import nn


def points(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 5.0, (count, 1))
    y = 5 * x**2 + rng.standard_normal((count, 1)) ** 3
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


class Curve(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(1, 50)
        self.hidden2 = nn.Linear(50, 30)
        self.output = nn.Linear(30, 1)

    def forward(self, x):
        return self.output(torch.relu(self.hidden2(torch.relu(self.hidden1(x)))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    x, y = points(200, args.seed)
    curve = Curve()
    sgd = torch.optim.SGD(curve.parameters(), lr=0.0002)
    mse = nn.MSELoss()
    for _ in range(args.steps):
        rows = torch.randperm(len(x))[:32]
        loss = mse(curve(x[rows]), y[rows])
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    # held out
    curve.eval()
    x, y = points(500, 99)
    with torch.no_grad():
        held_out = mse(curve(x), y).item()
    print(f"held-out loss {held_out:.4f}")
