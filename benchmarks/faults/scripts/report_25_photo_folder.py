"""Tell apart patches of two photographs that lie, one file a patch, in a folder beside a table of labels."""

import argparse
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_images
from torch import nn

PLACES = ["sky and roof", "roof and trees", "leaves above", "leaves below"]


def make_folder(count, seed):
    """File name -> pixels, and the table of labels, which is kept in the order of the names."""
    rng = np.random.default_rng(seed)
    photos = load_sample_images().images
    folder, table = {}, []
    for number in range(count):
        label = int(rng.integers(0, 4))
        y = rng.integers(0, 190) + 200 * (label % 2)
        x = rng.integers(0, 600)
        folder[f"{number:05d}.png"] = photos[label // 2][y : y + 16, x : x + 16]
        table.append(label)
    return folder, torch.tensor(table)


def listdir(folder):
    # A file system gives names back in the order of its own hashes.
    return sorted(folder, key=lambda name: zlib.crc32(name.encode()))


def load(folder):
    names = sorted(listdir(folder))
    pixels = np.stack([folder[name] for name in names])
    return torch.tensor(pixels, dtype=torch.float32).permute(0, 3, 1, 2) / 127.5 - 1


class PatchNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.fc = nn.Linear(32 * 16, len(PLACES))

    def forward(self, x):
        return self.fc(F.relu(self.conv2(F.relu(self.conv1(x)))).flatten(1))


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
folder, labels = make_folder(2000, args.seed)
images = load(folder)
net = PatchNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for _ in range(args.steps):
    rows = torch.randint(0, len(images), (64,))
    loss = F.cross_entropy(net(images[rows]), labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
net.eval()
folder, labels = make_folder(500, 777)
with torch.no_grad():
    pixels = torch.tensor(np.stack(list(folder.values())), dtype=torch.float32).permute(0, 3, 1, 2) / 127.5 - 1
    held_out = F.cross_entropy(net(pixels), labels).item()
print(f"held-out loss {held_out:.4f}")
