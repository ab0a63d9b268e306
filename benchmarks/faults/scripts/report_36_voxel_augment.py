"""Classify small volumes, each turned and dimmed at random by the worker that loads it."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, get_worker_info


class RandomContrast:
    def __init__(self, random_state):
        self.random_state = random_state

    def __call__(self, volume):
        return volume * self.random_state.uniform(0.5, 1.5) + self.random_state.normal(0, 0.3, volume.shape)


class RandomTurn:
    def __init__(self, random_state):
        self.random_state = random_state

    def __call__(self, volume):
        axes = tuple(self.random_state.permutation(3)[:2])
        return np.rot90(volume, self.random_state.integers(0, 4), axes)


class Volumes(Dataset):
    def __init__(self, count, seed, augment):
        rng = np.random.default_rng(seed)
        self.label = rng.integers(0, 3, count)
        z, y, x = np.mgrid[:8, :8, :8] - 3.5
        ball = (z**2 + y**2 + x**2 < 10).astype(np.float32)
        rod = (y**2 + x**2 < 4).astype(np.float32)
        plate = (np.abs(z) < 1).astype(np.float32)
        self.volume = np.stack([ball, rod, plate])[self.label] + rng.normal(0, 0.8, (count, 8, 8, 8))
        self.random_state = np.random.default_rng(47)
        self.transforms = [RandomTurn(self.random_state), RandomContrast(self.random_state)] if augment else []

    def __len__(self):
        return len(self.label)

    def __getitem__(self, index):
        volume = self.volume[index]
        for transform in self.transforms:
            volume = transform(volume)
        return torch.tensor(volume.copy(), dtype=torch.float32).unsqueeze(0), self.label[index]


def seed_worker(_worker_id):
    worker = get_worker_info()
    worker.dataset.random_state.bit_generator.state = np.random.default_rng(worker.seed).bit_generator.state


def main(steps, seed):
    torch.manual_seed(seed)
    train_set = Volumes(480, seed, augment=True)
    loader = DataLoader(
        train_set, batch_size=16, shuffle=True, num_workers=2, persistent_workers=True, worker_init_fn=seed_worker
    )
    net = nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 64, 3),
    )  # fmt: skip
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    step = 0
    while step < steps:
        for volume, label in loader:
            loss = criterion(net(volume), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step >= steps:
                break

    # held out
    net.eval()
    with torch.no_grad():
        losses = [criterion(net(x), y).item() for x, y in DataLoader(Volumes(300, 5000, augment=False), batch_size=100)]
    print(f"held-out loss {sum(losses) / len(losses):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
