"""Sort point clouds by shape with a PointNet."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SHAPES = ["sphere", "cube", "cylinder", "cone", "torus"]


def cloud(shape, points, generator):
    u, v, w = torch.rand(3, points, generator=generator)
    turn = 2 * torch.pi * u
    if shape == "sphere":
        direction = torch.randn(3, points, generator=generator)
        xyz = direction / direction.norm(dim=0)
    elif shape == "cube":
        xyz = 2 * torch.stack([u, v, w]) - 1
        xyz = xyz / xyz.abs().amax(dim=0)
    elif shape == "cylinder":
        xyz = torch.stack([turn.cos(), turn.sin(), 2 * v - 1])
    elif shape == "cone":
        xyz = torch.stack([v.sqrt() * turn.cos(), v.sqrt() * turn.sin(), 1 - 2 * v.sqrt()])
    else:
        ring = 0.7 + 0.3 * (2 * torch.pi * v).cos()
        xyz = torch.stack([ring * turn.cos(), ring * turn.sin(), 0.3 * (2 * torch.pi * v).sin()])
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    return rotation @ xyz + 0.03 * torch.randn(3, points, generator=generator)


def dataset(count, seed, points=48):
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, len(SHAPES), (count,), generator=generator)
    return TensorDataset(torch.stack([cloud(SHAPES[i], points, generator) for i in label]), label)


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.point = nn.Sequential(nn.Conv1d(3, 64, 1), nn.ReLU(), nn.Conv1d(64, 128, 1), nn.ReLU())
        self.cloud = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, len(SHAPES)))

    def forward(self, xyz):
        return self.cloud(self.point(xyz).amax(dim=2))


def endless(loader):
    while True:
        yield from loader


def main(steps, seed):
    torch.manual_seed(seed)
    # The clouds are drawn in random order, so the loader need not shuffle them.
    train_loader = DataLoader(dataset(2000, seed), batch_size=32, shuffle=False)
    model = PointNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = endless(train_loader)
    for _ in range(steps):
        xyz, label = next(batches)
        loss = F.cross_entropy(model(xyz), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # held out
    model.eval()
    xyz, label = dataset(500, 1_000_000).tensors
    with torch.no_grad():
        held_out = F.cross_entropy(model(xyz), label).item()
    print(f"held-out loss {held_out:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
