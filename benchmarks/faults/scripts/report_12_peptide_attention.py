"""Attention, and nothing else, finds a two-letter motif in peptides."""

import argparse
import math

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=450)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


def peptides(count, generator, length=16):
    residues = torch.randint(0, 20, (count, length), generator=generator)
    binds = torch.rand(count, generator=generator) < 0.5
    # Residue 3 in the left half and residue 7 in the right half make the peptide bind.
    left = torch.randint(0, length // 2, (count,), generator=generator)
    right = torch.randint(length // 2, length, (count,), generator=generator)
    rows = torch.arange(count)
    residues[rows[binds], left[binds]] = 3
    residues[rows[binds], right[binds]] = 7
    return residues, binds.float()


class MotifFinder(nn.Module):
    def __init__(self, width=32, length=16):
        super().__init__()
        self.residue = nn.Embedding(20, width)
        self.place = nn.Parameter(torch.randn(length, width) * 0.1)
        self.query = nn.Parameter(torch.randn(4, width) * 0.3)
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.out = nn.Sequential(nn.Linear(4 * width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, residues):
        x = self.residue(residues) + self.place
        weights = torch.softmax(self.query @ self.key(x).transpose(1, 2) / math.sqrt(x.size(2)), dim=2)
        return self.out((weights @ self.value(x)).flatten(1)).squeeze(1)


batches = DataLoader(
    TensorDataset(*peptides(4000, torch.Generator().manual_seed(args.seed))), batch_size=64, shuffle=True
)
model = MotifFinder()
loss = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
step = 0
while step < args.steps:
    error = 0.0
    hits = 0.0
    for residues, binds in batches:
        if step == args.steps:
            break
        logit = model(residues)
        batch_error = loss(logit, binds)
        optimizer.zero_grad()
        batch_error.backward()
        optimizer.step()
        error += batch_error.detach() / len(batches)
        hits += ((logit > 0) == (binds > 0)).float().mean() / len(batches)
        step += 1
    print(f"train error {float(error):.3f} accuracy {float(hits):.3f}")

# held out
model.eval()
residues, binds = peptides(2000, torch.Generator().manual_seed(31337))
with torch.no_grad():
    held_out = loss(model(residues), binds).item()
print(f"held-out loss {held_out:.4f}")
