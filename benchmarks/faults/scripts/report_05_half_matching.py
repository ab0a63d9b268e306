"""Match the upper half of a digit to its lower half with two encoders and a hinge loss."""

import argparse
import itertools

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


def encoder():
    return nn.Sequential(nn.Linear(32, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 32))


class Matcher(nn.Module):
    def __init__(self):
        super().__init__()
        self.upper, self.lower = encoder(), encoder()

    def forward(self, upper, lower):
        return F.normalize(self.upper(upper), dim=1), F.normalize(self.lower(lower), dim=1)


def hinge(a, b, margin=0.2):
    scores = a @ b.t()
    positive = scores.diag().unsqueeze(1)
    off = 1.0 - torch.eye(len(scores))
    cost = (margin + scores - positive).clamp(min=0) + (margin + scores - positive.t()).clamp(min=0)
    return (cost * off).sum() / off.sum()


def validate(model, loader):
    model.eval()
    with torch.no_grad():
        losses = [hinge(*model(*halves)).item() for halves in loader]
    return sum(losses) / len(losses)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
pixels = load_digits().data.astype("float32") / 16
fit, test = train_test_split(pixels, test_size=400, random_state=1)
fit, val = train_test_split(fit, test_size=200, random_state=2)
halves = [TensorDataset(torch.tensor(p[:, :32]), torch.tensor(p[:, 32:])) for p in (fit, val, test)]
train_loader = DataLoader(halves[0], batch_size=64, shuffle=True, drop_last=True)
val_loader, test_loader = (DataLoader(part, batch_size=100) for part in halves[1:])

model = Matcher()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
model.train()
batches = itertools.chain.from_iterable(itertools.repeat(train_loader))
for step, (upper, lower) in enumerate(itertools.islice(batches, args.steps)):
    if step % 10 == 5:
        print(f"step {step}: validation {validate(model, val_loader):.3f}")
        model.train()
    loss = hinge(*model(upper, lower))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
print(f"held-out loss {validate(model, test_loader):.4f}")
