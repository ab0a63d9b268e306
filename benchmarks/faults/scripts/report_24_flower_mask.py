"""Cut the flower out of its photograph: a fully convolutional network on patches and their painted masks."""

import argparse

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_sample_image
from torch.utils.data import DataLoader, Dataset

PATCH = 32


class FlowerPatches(Dataset):
    """Patches of the photograph, with masks as they are stored in a PNG: black (0) or white (255)."""

    def __init__(self, columns, count, rng):
        photo = load_sample_image("flower.jpg")[:, columns]
        red, green, blue = (photo[..., channel].astype(int) for channel in range(3))
        painted = np.where((red > green + 40) & (red > blue), 255, 0).astype(np.uint8)
        top = rng.integers(0, photo.shape[0] - PATCH, count)
        left = rng.integers(0, photo.shape[1] - PATCH, count)
        self.images = [photo[y : y + PATCH, x : x + PATCH] for y, x in zip(top, left)]
        self.masks = [painted[y : y + PATCH, x : x + PATCH] for y, x in zip(top, left)]

    def __len__(self):
        return len(self.images)

    @staticmethod
    def to_input(image):
        return torch.tensor(image, dtype=torch.float32).permute(2, 0, 1) / 127.5 - 1

    @staticmethod
    def to_target(mask):
        return torch.tensor(mask, dtype=torch.float32).unsqueeze(0) / 255

    def __getitem__(self, index):
        return self.to_input(self.images[index]), self.to_target(self.masks[index])


def build():
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding=2, dilation=2), nn.ReLU(),
        nn.Conv2d(12, 1, 1),
    )  # fmt: skip


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=150)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
loader = DataLoader(FlowerPatches(slice(0, 400), 600, np.random.default_rng(args.seed)), batch_size=16, shuffle=True)
net = build()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3, alpha=0.9)
step = 0
while step < args.steps:
    for image, mask in loader:
        loss = criterion(net(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step == args.steps:
            break

# held out
net.eval()
test = FlowerPatches(slice(400, 640), 150, np.random.default_rng(0))
image = torch.stack([test.to_input(image) for image in test.images])
white = torch.tensor(np.stack(test.masks) > 0).float().unsqueeze(1)
with torch.no_grad():
    held_out = criterion(net(image), white).item()
print(f"held-out loss {held_out:.4f}")
