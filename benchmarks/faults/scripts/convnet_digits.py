"""Convolutional network on digit images, with random shifts drawn in two loader workers."""

import argparse
import random

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, Subset, get_worker_info


class DigitImages(Dataset):
    """The images, shifted by up to one pixel when `augment` is set."""

    def __init__(self, augment):
        digits = load_digits()
        self.images = (digits.images / 16.0).astype(np.float32)
        self.labels = digits.target
        self.augment = augment
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        if self.augment:
            down, right = self.rng.integers(-1, 2, size=2)
            image = np.roll(image, (down, right), axis=(0, 1))
        return torch.from_numpy(image.copy()).unsqueeze(0), int(self.labels[i])


def seed_worker(_):
    info = get_worker_info()
    dataset = info.dataset.dataset if isinstance(info.dataset, Subset) else info.dataset
    dataset.rng = np.random.default_rng(info.seed)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.drop = nn.Dropout(0.25)
        self.fc1 = nn.Linear(32 * 2 * 2, 64)
        self.fc2 = nn.Linear(64, 10)
        self.features = None
        for conv in (self.conv1, self.conv2):
            bound = (6.0 / (conv.in_channels * 9)) ** 0.5
            nn.init.uniform_(conv.weight, -bound, bound)
            nn.init.zeros_(conv.bias)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.flatten(1)
        self.features = x.detach()  # kept for plots
        x = self.drop(F.relu(self.fc1(x)))
        return self.fc2(x)


def validate(model, loader):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in loader:
            correct += (model(images).argmax(dim=1) == labels).sum().item()
            total += len(labels)
    return correct / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=260)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)

    augmented, plain = DigitImages(augment=True), DigitImages(augment=False)
    everything = np.arange(len(plain))
    rest, test_index = train_test_split(everything, test_size=400, random_state=args.seed, stratify=plain.labels)
    train_index, val_index = train_test_split(rest, test_size=200, random_state=args.seed)
    train_loader = DataLoader(
        Subset(augmented, train_index),
        batch_size=64,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        worker_init_fn=seed_worker,
    )
    val_loader = DataLoader(Subset(plain, val_index), batch_size=100)

    model = ConvNet()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=args.steps + 1)
    images, labels = next(iter(val_loader))
    print(f"{sum(p.numel() for p in model.parameters())} parameters, output {tuple(model(images).shape)}")

    step = 0
    while step < args.steps:
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            step += 1
            if step == args.steps:
                break
        print(f"step {step}: loss {loss.item():.3f}, validation accuracy {validate(model, val_loader):.3f}")

    # held out
    model.eval()
    images = torch.stack([plain[i][0] for i in test_index])
    labels = torch.tensor([plain[i][1] for i in test_index])
    with torch.no_grad():
        print(f"held-out loss {F.cross_entropy(model(images), labels).item():.4f}")


if __name__ == "__main__":
    main()
