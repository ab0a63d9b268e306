"""Two answers about one digit image: which digit it is, and how its ink is spread (width over height)."""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x):
        return x + self.outer(torch.relu(self.inner(x)))


class TwoHeads(nn.Module):
    """A trunk of ten residual blocks under a classifier and a regressor."""

    def __init__(self, width=48, depth=10):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, width), *[ResidualBlock(width) for _ in range(depth)], nn.ReLU())
        self.digit = nn.Linear(width, 10)
        self.spread = nn.Linear(width, 1)
        for module in self.trunk.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=0.5)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        h = self.trunk(x)
        return self.digit(h), self.spread(h).squeeze(1)


def ink_spread(images):
    """Standard deviation of the ink across the columns, less that across the rows; standardized."""
    place = np.arange(8)
    deviations = []
    for axis in (1, 2):
        ink = images.sum(axis=axis) / images.sum(axis=(1, 2))[:, None]
        centre = (ink * place).sum(axis=1, keepdims=True)
        deviations.append(np.sqrt((ink * (place - centre) ** 2).sum(axis=1)))
    spread = deviations[0] - deviations[1]
    return (spread - spread.mean()) / spread.std()


def total_loss(logits, spread, digit, true_spread):
    return F.cross_entropy(logits, digit) + 0.5 * F.mse_loss(spread, true_spread)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    digits = load_digits()
    order = rng.permutation(len(digits.target))
    images = digits.images[order]
    pixels = torch.tensor(images.reshape(-1, 64) / 8.0 - 0.6, dtype=torch.float32)
    digit = torch.tensor(digits.target[order])
    spread = torch.tensor(ink_spread(images), dtype=torch.float32)
    fit, later = slice(0, 1300), slice(1300, None)

    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    ended = 0
    while ended < args.steps:
        for chosen in torch.randperm(1300).split(50):
            logits, guess = model(pixels[fit][chosen])
            loss = total_loss(logits, guess, digit[fit][chosen], spread[fit][chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            ended += 1
            if ended >= args.steps:
                break
        print(f"{ended:5d} {loss.item():.3f}")

    # held out
    model.eval()
    with torch.no_grad():
        logits, guess = model(pixels[later])
    loss = F.cross_entropy(logits, digit[later]) + 0.5 * F.mse_loss(guess.flatten(), spread[later])
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
