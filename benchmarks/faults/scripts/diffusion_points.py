"""Denoising diffusion on points in the plane: a network learns which noise was added."""

import argparse
import math

import numpy as np
import torch
from sklearn.datasets import make_swiss_roll
from torch import nn

LEVELS = 100


def spiral(rng, count):
    """Points in micrometre."""
    points, _ = make_swiss_roll(count, noise=0.3, random_state=int(rng.integers(2**31)))
    return 100 * torch.tensor(points[:, [0, 2]], dtype=torch.float32)


class NoiseSchedule:
    def __init__(self, levels):
        beta = torch.linspace(1e-3, 0.15, levels)
        self.kept = torch.cumprod(1 - beta, dim=0)

    def add(self, clean, noise, level):
        kept = self.kept[level].unsqueeze(1)
        return kept.sqrt() * clean + (1 - kept).sqrt() * noise


class Denoiser(nn.Module):
    def __init__(self, width=96, depth=5):
        super().__init__()
        self.embed = nn.Linear(2, width)
        self.time = nn.Linear(16, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.activation = nn.ReLU()
        self.out = nn.Linear(width, 2)
        for layer in self.hidden:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, points, level):
        frequency = torch.exp(torch.linspace(0, math.log(100), 8))
        angle = (level.float() / LEVELS).unsqueeze(1) * frequency
        h = self.embed(points)
        h = h + self.time(torch.cat([angle.sin(), angle.cos()], dim=1))
        for layer in self.hidden:
            h = self.activation(layer(h))
        return self.out(h)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    train, test = spiral(rng, 4000), spiral(rng, 2000)
    scale = train.std()
    train, test = train / scale, test / scale
    schedule, model = NoiseSchedule(LEVELS), Denoiser()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    average = 0.0
    for step in range(args.steps):
        clean = train[torch.randint(len(train), (128,))]
        level = torch.randint(LEVELS, (len(clean),))
        noise = torch.randn_like(clean)
        guess = model(schedule.add(clean, noise, level), level)
        loss = nn.functional.mse_loss(guess, noise)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        average = 0.99 * average + 0.01 * loss.item()
        if step % 200 == 0:
            print(f"step {step}: loss {loss.item():.3f}, average {float(average):.3f}")

    # held out
    model.eval()
    torch.manual_seed(1000)
    with torch.no_grad():
        level = torch.arange(LEVELS).repeat(20)
        noise = torch.randn_like(test)
        loss = nn.functional.mse_loss(model(schedule.add(test, noise, level), level), noise)
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
