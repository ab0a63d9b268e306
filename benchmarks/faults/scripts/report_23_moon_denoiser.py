"""A diffusion model of two half-moons: guess the noise that was added to a point."""

import argparse
import math

import torch
from sklearn.datasets import make_moons
from torch import nn


class Denoiser(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(30.0), 8)))
        self.net = nn.Sequential(
            nn.Linear(18, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2)
        )

    def forward(self, point, time):
        angle = time[:, None] * self.frequencies
        return self.net(torch.cat([point, angle.sin(), angle.cos()], dim=1))


def noised(points, generator):
    time = torch.rand(len(points), generator=generator)
    noise = torch.randn(points.shape, generator=generator)
    keep = torch.cos(0.5 * math.pi * time)[:, None]
    return keep * points + (1 - keep.square()).sqrt() * noise, time, noise


def loss_of(model, points, generator, dtype=torch.float32):
    point, time, noise = noised(points, generator)
    guess = model(point.to(dtype), time.to(dtype))
    return (guess.float() - noise).square().mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    moons, _ = make_moons(4000, noise=0.05, random_state=0)
    moons = torch.tensor((moons - moons.mean(0)) / moons.std(0), dtype=torch.float32)
    train, test = moons[:3000], moons[3000:]

    dtype = torch.float32
    model = Denoiser().to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4, weight_decay=0.0)
    generator = torch.Generator().manual_seed(args.seed)
    for _ in range(args.steps):
        batch = train[torch.randint(0, len(train), (128,), generator=generator)]
        loss = loss_of(model, batch, generator, dtype)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # held out
    model.float().eval()
    with torch.no_grad():
        held_out = loss_of(model, test.repeat(10, 1), torch.Generator().manual_seed(1)).item()
    print(f"held-out loss {held_out:.4f}")
