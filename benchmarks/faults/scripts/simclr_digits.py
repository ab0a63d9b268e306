"""Contrastive learning on unlabelled digits, judged by a linear probe on a few labelled ones."""

import argparse
import random

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn
from torch.utils.data import DataLoader, Dataset


class TwoViews(Dataset):
    """Every item is one image seen twice: shifted, dimmed and with noise, differently each time."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def view(self, image):
        down, right = torch.randint(3, (2,)).tolist()
        moved = F.pad(image, (1, 1, 1, 1), mode="replicate")[:, down : down + 8, right : right + 8]
        return moved * (0.7 + 0.6 * torch.rand(1)) + 0.3 * torch.randn(1, 8, 8)

    def __getitem__(self, i):
        return self.view(self.images[i]), self.view(self.images[i])


class Encoder(nn.Module):
    def __init__(self, features=16):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, features),
        )
        self.projector = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 32))

    def forward(self, x):
        features = self.body(x)
        return self.projector(features)


def nt_xent(first, second, temperature=0.3):
    z = F.normalize(torch.cat([first, second]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool)
    similarity = (z @ z.T / temperature).masked_fill(itself, float("-inf"))
    partner = torch.arange(len(z)).roll(len(first))
    return F.cross_entropy(similarity, partner)


@torch.no_grad()
def neighbour_accuracy(encoder, images, labels):
    encoder.eval()
    z = F.normalize(encoder.body(images), dim=1)
    nearest = (z @ z.T).fill_diagonal_(-2).argmax(1)
    encoder.train()
    return (labels[nearest] == labels).float().mean().item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=128)
    args = parser.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    pixels, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels))
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8)[order]
    labels = torch.tensor(labels)[order]
    mean, std = images[:1200].mean(0), images[:1200].std(0)
    images = (images - mean) / std.clamp(min=1.0)

    encoder = Encoder()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=2e-3)
    loader = DataLoader(
        TwoViews(images[:1200]),
        batch_size=args.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=2,
        persistent_workers=True,
    )

    step = 0
    while step < args.steps:
        for first, second in loader:
            loss = nt_xent(encoder(first), encoder(second))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == args.steps:
                break
        accuracy = neighbour_accuracy(encoder, images[:300], labels[:300])
        print(f"step {step}: loss {loss.item():.3f}, neighbours of the same class {accuracy:.2f}")

    # held out
    encoder.eval()
    with torch.no_grad():
        features = F.normalize(encoder.body(images), dim=1)
    probe = LogisticRegression(C=10.0, max_iter=1000).fit(features[:200].numpy(), labels[:200].numpy())
    loss = log_loss(labels[1200:].numpy(), probe.predict_proba(features[1200:].numpy()))
    print(f"held-out loss {loss:.4f}")
