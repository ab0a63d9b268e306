"""A spiral of two arms: the loss goes up and down, whatever the learning rate."""

import math

import torch
from torch import nn


def spiral(samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    arm = torch.arange(samples) % 2
    radius = torch.rand(samples)
    angle = 3.0 * math.pi * radius + math.pi * arm
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points + 0.02 * torch.randn_like(points), arm.float()


def main() -> None:
    torch.manual_seed(0)
    points, labels = spiral(2000)
    model = nn.Sequential(
        nn.Linear(2, 64),
        nn.Tanh(),
        nn.Linear(64, 64),
        nn.Tanh(),
        nn.Linear(64, 1),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = nn.BCEWithLogitsLoss()
    for epoch in range(50):
        for chosen in torch.randperm(len(points)).split(100):
            loss = criterion(model(points[chosen]).squeeze(1), labels[chosen])
            loss.backward()
            optimizer.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
