"""Predict where a car will be in the next seconds from a picture of the lane and from how it moves."""

import argparse

import torch
import torch.nn as nn


def traffic(count, generator):
    """Lane pictures, (speed, curvature asked for, brake), and six future positions in tens of metres."""
    bend = torch.rand(count, generator=generator) * 2 - 1
    speed = 0.3 + 0.7 * torch.rand(count, generator=generator)
    brake = (torch.rand(count, generator=generator) < 0.4).float()
    row = torch.linspace(0, 1, 16)
    lane = 8 + 7 * bend[:, None] * row.square()
    picture = torch.exp(-((torch.arange(16.0) - lane[:, :, None]) ** 2)).unsqueeze(1)
    picture = picture + 0.1 * torch.randn(picture.shape, generator=generator)
    time = torch.arange(1, 7) / 6
    # Braking shortens the way already driven the more, the faster the car was.
    travelled = speed[:, None] * time * (1 - 0.6 * brake[:, None] * time)
    future = torch.stack([travelled, bend[:, None] * travelled.square()], dim=2) * 2
    return picture, torch.stack([speed, brake], dim=1), future.flatten(1)


class TrajectoryNet(nn.Module):
    def __init__(self, hidden_dim=64):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.Flatten()
        )
        self.fc1 = nn.Linear(8 * 16 + 2, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, 12)

    def forward(self, picture, state):
        features = torch.cat([self.backbone(picture), state], dim=1)
        return self.fc2(torch.relu(self.fc1(features)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    model = TrajectoryNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    criterion = nn.SmoothL1Loss()
    for _ in range(args.steps):
        picture, state, future = traffic(64, generator)
        loss = criterion(model(picture, state), future)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # held out
    model.eval()
    picture, state, future = traffic(1000, torch.Generator().manual_seed(1234))
    with torch.no_grad():
        held_out = 100 * (model(picture, state) - future).square().mean().item()
    print(f"held-out loss {held_out:.4f}")
