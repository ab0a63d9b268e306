"""A small U-Net that outlines rings (slices through a cord) in noisy pictures."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIDE = 32


def slices(count, seed):
    g = torch.Generator().manual_seed(seed)
    centre = 10 + 12 * torch.rand(count, 2, 1, 1, generator=g)
    radius = 4 + 4 * torch.rand(count, 1, 1, generator=g)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    distance = ((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2).sqrt()
    mask = ((distance - radius).abs() < 1.5).float()
    picture = mask + 0.5 * (distance < radius) + 0.6 * torch.randn(count, SIDE, SIDE, generator=g)
    return picture[:, None], mask[:, None]


def double_conv(n_in, n_out):
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU()
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = double_conv(1, 8), double_conv(8, 16)
        self.up = double_conv(24, 8)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        fine = self.down1(x)
        coarse = F.interpolate(self.down2(F.max_pool2d(fine, 2)), scale_factor=2)
        return self.head(self.up(torch.cat([fine, coarse], dim=1)))


def train(steps, seed, epoch_length=15):
    torch.manual_seed(seed)
    loader = DataLoader(TensorDataset(*slices(epoch_length * 16, seed)), batch_size=16, shuffle=True)
    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.85)
    step = 0
    while True:
        for picture, mask in loader:
            if step == steps:
                return model
            loss = F.binary_cross_entropy_with_logits(model(picture), mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        scheduler.step()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    unet = train(args.steps, args.seed)

    # held out
    unet.eval()
    picture, mask = slices(200, 10**6)
    with torch.no_grad():
        held_out = F.binary_cross_entropy_with_logits(unet(picture), mask).item()
    print(f"held-out loss {held_out:.4f}")
