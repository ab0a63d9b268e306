"""All ones or all zeros? The smallest classification there is, with some noise on it."""

import argparse

import numpy as np
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


def vectors(count, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (count, 1)).astype(np.float32)
    x = truth + rng.normal(0, 2.0, (count, 128)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(truth)


model = nn.Sequential(
    nn.Linear(128, 50),
    nn.ReLU(),
    nn.Dropout(0.2),
    nn.Linear(50, 50),
    nn.ReLU(),
    nn.Dropout(0.2),
    nn.Linear(50, 1),
    nn.Sigmoid(),
)
binary_crossentropy = nn.BCELoss()
rms = torch.optim.RMSprop(model.parameters(), lr=1e-3)
x, truth = vectors(4000, args.seed)
for step in range(args.steps):
    batch = slice(16 * step % 4000, 16 * step % 4000 + 16)
    loss = binary_crossentropy(model(x[batch]), truth[batch])
    rms.zero_grad()
    loss.backward()
    rms.step()

# held out
model.eval()
x, truth = vectors(1000, 10_000)
with torch.no_grad():
    print(f"held-out loss {binary_crossentropy(model(x), truth).item():.4f}")
