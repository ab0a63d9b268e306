"""Convnet in bfloat16 autocast with accumulated gradients: which part of which photograph is a patch from?"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

SIDE = 12


def cut_patches(rng, counts):
    """Patches of the upper and the lower half of two photographs: four classes, in that order."""
    china, flower = load_sample_images().images
    patches, labels = [], []
    for label, image in enumerate([china[:213], china[213:], flower[:213], flower[213:]]):
        for _ in range(counts[label]):
            top, left = rng.integers(image.shape[0] - SIDE), rng.integers(image.shape[1] - SIDE)
            patches.append(image[top : top + SIDE, left : left + SIDE])
            labels.append(label)
    return torch.tensor(np.stack(patches)), torch.tensor(labels)


class Patches(Dataset):
    def __init__(self, pixels, labels, train):
        self.pixels, self.labels, self.train = pixels, labels, train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.pixels[i].permute(2, 0, 1).float() / 255
        image = (image - 0.45) / 0.25
        if self.train:
            if torch.rand(1).item() < 0.5:
                image = image.flip(-1)
            image = image + 0.1 * torch.randn(image.shape)
        return image, self.labels[i]


def conv(inputs, outputs, stride=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def build_net():
    return nn.Sequential(
        conv(3, 16), conv(16, 32, stride=2), conv(32, 32, stride=2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(288, 4)
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--micro-batch", type=int, default=16)
    parser.add_argument("--accumulate", type=int, default=4)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    x_train, y_train = cut_patches(rng, [1200, 600, 300, 100])
    x_test, y_test = cut_patches(rng, [200] * 4)
    weights = 1.0 / torch.bincount(y_train)[y_train]
    sampler = WeightedRandomSampler(weights, len(weights))
    train_set, test_set = Patches(x_train, y_train, train=True), Patches(x_test, y_test, train=False)
    loader = DataLoader(train_set, batch_size=args.micro_batch, sampler=sampler, num_workers=2, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=200)

    net = build_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    step, micro_step = 0, 0
    while step < args.steps:
        net.train()
        for images, labels in loader:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(net(images), labels) / args.accumulate
            scaler.scale(loss).backward()
            micro_step += 1
            if micro_step % args.accumulate:
                continue
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            scheduler.step()
            step += 1
            if step == args.steps:
                break
        print(f"step {step}: loss {loss.item() * args.accumulate:.3f}")

    # held out
    net.eval()
    with torch.no_grad():
        loss = sum(F.cross_entropy(net(images), labels).item() for images, labels in test_loader) / len(test_loader)
    print(f"held-out loss {loss:.4f}")


if __name__ == "__main__":
    main()
