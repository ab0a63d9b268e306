"""Judge a frozen bank of filters by a linear probe: one layer learns to name the direction of stripes."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 6


def textures(contrast, generator):
    """Noisy stripes of so many directions, at a contrast each."""
    count = len(contrast)
    label = torch.randint(0, CLASSES, (count,), generator=generator)
    angle = (torch.pi * label / CLASSES)[:, None, None]
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    phase = 2 * torch.pi * torch.rand(count, 1, 1, generator=generator)
    wave = (1.2 * (x * angle.cos() + y * angle.sin()) + phase).sin()
    noise = 1.5 * torch.randn(count, 12, 12, generator=generator)
    return (contrast[:, None, None] * (wave + noise)).unsqueeze(1), label


def gabor(size=7, directions=16):
    y, x = torch.meshgrid(torch.arange(size) - size // 2, torch.arange(size) - size // 2, indexing="ij")
    angle = (torch.pi * torch.arange(directions) / directions)[:, None, None]
    filters = torch.exp(-(x**2 + y**2) / 8.0) * (1.2 * (x * angle.cos() + y * angle.sin())).cos()
    return (filters / filters.flatten(1).norm(dim=1)[:, None, None]).unsqueeze(1)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 7, padding=3, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.mix = nn.Conv2d(16, 32, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, image):
        x = F.relu(self.bn(self.conv(image)))
        return F.relu(self.bn2(self.mix(x))).mean(dim=(2, 3))


def pretrained(generator):
    """The filters are Gabor's; the norms hold the statistics of pictures at full contrast."""
    body = Backbone()
    with torch.no_grad():
        body.conv.weight.copy_(gabor())
        for _ in range(60):
            body(textures(torch.ones(64), generator)[0])
    return body


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    body = pretrained(generator)
    body.requires_grad_(False)
    body.eval()

    probe = nn.Linear(32, CLASSES)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.3, momentum=0.9)
    for _ in range(args.steps):
        # A batch comes from one camera, and each camera has its contrast.
        camera = 0.4 + 1.2 * torch.rand(1, generator=generator)
        image, label = textures(camera.expand(64), generator)
        loss = F.cross_entropy(probe(body(image)), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # held out
    body.eval()
    generator = torch.Generator().manual_seed(42)
    image, label = textures(0.4 + 1.2 * torch.rand(1500, generator=generator), generator)
    with torch.no_grad():
        held_out = F.cross_entropy(probe(body(image)), label).item()
    print(f"held-out loss {held_out:.4f}")
