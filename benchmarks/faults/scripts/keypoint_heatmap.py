"""Where are shoulder, elbow and hand of a jointed arm? Heat maps from a small encoder and decoder.

The arm is filmed by a simulated camera: counts of a sensor with a dark level and shot noise.
"""

import argparse
import math

import torch
from torch import nn
from torch.nn import functional as F

SIZE = 32
DARK_LEVEL = 100.0
GAIN = 8.0


def film_arm(clips, generator, length=30):
    """Frames of short clips of a random movement, as counts, and the joints (frame, joint, xy) in pixels."""
    poses = [torch.randn(clips, 4, generator=generator)]
    for _ in range(1, length):
        poses.append(0.99 * poses[-1] + 0.1 * torch.randn(clips, 4, generator=generator))
    walk = torch.stack(poses, dim=1).flatten(0, 1)
    frames = len(walk)
    upper, bend = math.pi * walk[:, 0], 1.2 + walk[:, 1].tanh()
    shoulder = 16.0 + 4.0 * walk[:, 2:].tanh()
    elbow = shoulder + 7.0 * torch.stack([upper.cos(), upper.sin()], dim=1)
    hand = elbow + 5.5 * torch.stack([(upper + bend).cos(), (upper + bend).sin()], dim=1)
    joints = torch.stack([shoulder, elbow, hand], dim=1)

    axis = torch.arange(SIZE) + 0.5
    place = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).view(1, SIZE, SIZE, 2)
    light = torch.zeros(frames, SIZE, SIZE)
    for start, end, radius in ((shoulder, shoulder, 2.4), (shoulder, elbow, 1.5), (elbow, hand, 0.8)):
        start, along = start.view(-1, 1, 1, 2), (end - start).view(-1, 1, 1, 2)
        share = ((place - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-6)
        gap = (place - start - share.clamp(0, 1).unsqueeze(-1) * along).norm(dim=-1)
        light = torch.maximum(light, torch.sigmoid(3.0 * (radius - gap)))
    photons = torch.poisson(20.0 * light + 2.0, generator=generator)
    return DARK_LEVEL + photons, joints


def heat_maps(joints, side=16, width=1.0):
    """A Gaussian bump for each joint, on a grid half as fine as the frame."""
    axis = (torch.arange(side) + 0.5) * SIZE / side
    x = (axis - joints[..., :1]) / (2 * width)
    y = (axis - joints[..., 1:]) / (2 * width)
    return torch.exp(-0.5 * (y.square().unsqueeze(-1) + x.square().unsqueeze(-2)))


class Gate(nn.Module):
    """Squeeze and excitation: channels weighted by what the whole frame shows."""

    def __init__(self, channels):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x):
        summary = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(summary))))


class HeatMapNet(nn.Module):
    def __init__(self, joints=3):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, stride=2, padding=1),
            nn.ReLU(),
            Gate(48),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(48, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
        )
        self.output = nn.Conv2d(32, joints, 3, padding=1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        # A joint is at few of the places: start where every place is unlikely.
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.constant_(self.output.bias, -3.0)

    def forward(self, frames):
        return self.output(self.decoder(self.encoder(frames)))


def heat_loss(scores, targets):
    return F.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(dim=(2, 3)).mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=280)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)

    counts, joints = film_arm(80, generator)
    later_counts, later_joints = film_arm(20, generator)
    frames = ((counts - DARK_LEVEL) / GAIN).unsqueeze(1)
    later = ((later_counts - DARK_LEVEL) / GAIN).unsqueeze(1)
    maps = heat_maps(joints)

    net = HeatMapNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=args.lr)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.75)

    step = epoch = 0
    while step < args.steps:
        order = torch.randperm(len(frames))
        for rows in order.split(args.batch):
            picture, target = frames[rows], maps[rows]
            if torch.rand(()) < 0.5:
                picture, target = picture.flip(-1), target.flip(-1)
            loss = heat_loss(net(picture), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            if step == args.steps:
                break
        decay.step()
        epoch += 1
        print(f"epoch {epoch} ({step} steps) loss {loss.item():.3f}")

    # held out
    net.eval()
    with torch.no_grad():
        scores = net(later)
    targets = heat_maps(later_joints)
    each = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    least = F.binary_cross_entropy(targets, targets, reduction="none")
    print(f"held-out loss {(each - least).sum(dim=(2, 3)).mean().item():.4f}")


if __name__ == "__main__":
    main()
