"""Random-dot stereograms: how far apart do the two eyes see the square in the middle?"""

import argparse

import torch
from torch import nn

SIDE = 20


def stereograms(count, generator):
    left = (torch.rand(count, SIDE, SIDE, generator=generator) < 0.5).float() * 2 - 1
    shift = torch.randint(-3, 4, (count,), generator=generator)
    column = (torch.arange(SIDE) + shift[:, None]) % SIDE
    moved = left.gather(2, column[:, None, :].expand(-1, SIDE, -1))
    right = left.clone()
    right[:, 3:17, 3:17] = moved[:, 3:17, 3:17]
    return torch.stack([left, right], dim=1), shift.float() / 3


class DisparityNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 32, (1, 7), padding=(0, 3)), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()
        )
        self.disparity = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, views):
        return self.disparity(self.features(views).mean(dim=(2, 3))).squeeze(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weight-decay", type=float, default=5e-5)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    net = DisparityNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.9, 0.999), weight_decay=args.weight_decay)
    for _ in range(args.steps):
        views, disparity = stereograms(32, generator)
        loss = (net(views) - disparity).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # held out
    net.eval()
    views, disparity = stereograms(500, torch.Generator().manual_seed(808))
    with torch.no_grad():
        held_out = (net(views) - disparity).square().mean().item()
    print(f"held-out loss {held_out:.4f}")


if __name__ == "__main__":
    main()
