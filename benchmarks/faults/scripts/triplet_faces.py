"""The faces of garments: an embedding in which photographs of the same kind are near, learnt from triplets."""

import argparse
import gzip

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim

DATA = "/usr/share/datasets/fashion-mnist"


def load(part, count):
    with gzip.open(f"{DATA}/{part}-images-idx3-ubyte.gz") as file:
        file.seek(16)
        images = np.frombuffer(file.read(count * 784), np.uint8).reshape(count, 28, 28)
    with gzip.open(f"{DATA}/{part}-labels-idx1-ubyte.gz") as file:
        file.seek(8)
        labels = np.frombuffer(file.read(count), np.uint8)
    return images.astype(np.float32), labels.astype(np.int64)


class TripletSampler:
    """Draws anchor, positive (another of its kind), negative (one of another kind), as rows of the pictures."""

    def __init__(self, labels, rng):
        self.labels, self.rng = labels, rng
        self.members = {kind: np.flatnonzero(labels == kind) for kind in np.unique(labels)}

    def draw(self, count):
        kinds = np.array(list(self.members))
        rows = np.empty((3, count), dtype=np.int64)
        for column in range(count):
            same, other = self.rng.choice(kinds, size=2, replace=False)
            rows[:2, column] = self.rng.choice(self.members[same], size=2, replace=False)
            rows[2, column] = self.rng.choice(self.members[other])
        return torch.from_numpy(rows)


class Embedder(nn.Module):
    def __init__(self, size=16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2, ceil_mode=True),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, size))

    def forward(self, x):
        return F.normalize(self.head(self.features(x)), dim=1)


def squared_distance(a, b):
    return (a - b).square().sum(dim=1)


def triplet_loss(anchor, positive, negative, margin):
    near = squared_distance(anchor, positive)
    far = squared_distance(anchor, negative)
    return F.relu(near - far + margin).mean()


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--margin", type=float, default=0.5)
    parser.add_argument("--triplets", type=int, default=40, help="in a batch")
    return parser.parse_args()


if __name__ == "__main__":
    args = parse()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    pictures, kinds = load("train", 4000)
    order = rng.permutation(len(kinds))
    pictures, kinds = pictures[order], kinds[order]
    pixels = torch.from_numpy(pictures).unsqueeze(1) / 255.0
    new_pictures, new_kinds = load("t10k", 1500)
    new_pixels = torch.from_numpy(new_pictures).unsqueeze(1) / 255.0
    average, spread = pixels.mean(dim=0), pixels.std(dim=0)
    pixels = (pixels - average) / (spread + 0.1)
    new_pixels = (new_pixels - average) / (spread + 0.1)

    net = Embedder()
    optimizer = optim.Adam(net.parameters(), lr=2e-3)
    cosine = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)
    sampler = TripletSampler(kinds, rng)

    smooth = args.margin
    for step in range(args.steps):
        rows = sampler.draw(args.triplets)
        embedded = net(pixels[rows.flatten()])
        loss = triplet_loss(*embedded.chunk(3), margin=args.margin)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
        optimizer.step()
        cosine.step()
        smooth += 0.05 * (loss.item() - smooth)
        if step % 80 == 79:
            print(f"after {step + 1} steps: loss {smooth:.3f}")

    # held out
    net.eval()
    rows = TripletSampler(new_kinds, np.random.default_rng(7)).draw(3000)
    with torch.no_grad():
        a, p, n = F.normalize(net(new_pixels), dim=1)[rows]
    near, far = (a - p).square().sum(1), (a - n).square().sum(1)
    print(f"held-out loss {F.relu(near - far + 0.5).mean().item():.4f}")
