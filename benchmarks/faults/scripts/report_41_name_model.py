"""A feed-forward model of identifiers: three letters in, the next one out, watched on names set aside."""

import argparse
import builtins
import random
import string

import torch
import torch.nn.functional as F
from torch import nn

LETTERS = "." + string.ascii_lowercase + "_"


def identifiers():
    import collections.abc
    import os
    import socket

    found = {name.lower() for module in (builtins, os, socket, string, torch) for name in dir(module)}
    found |= {name.lower() for name in dir(collections.abc)}
    return sorted(name for name in found if set(name) <= set(LETTERS) and not name.startswith("_"))


def examples(names, context=3):
    given, following = [], []
    for name in names:
        codes = [0] * context + [LETTERS.index(letter) for letter in name] + [0]
        for end in range(context, len(codes)):
            given.append(codes[end - context : end])
            following.append(codes[end])
    return torch.tensor(given), torch.tensor(following)


class NameModel(nn.Module):
    def __init__(self, context=3, width=12, hidden=96):
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), width)
        self.net = nn.Sequential(nn.Linear(context * width, hidden), nn.GELU(), nn.Linear(hidden, len(LETTERS)))

    def forward(self, given):
        return self.net(self.letters(given).flatten(1))


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)

names = identifiers()
test_names, names = names[::6], [name for i, name in enumerate(names) if i % 6]
val_size = len(names) // 10
random.Random(1).shuffle(names)
train_names = names[:-val_size]
val_names = names[-val_size:]
train_given, train_next = examples(train_names)
val_given, val_next = examples(val_names)

model = NameModel()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(args.steps):
    rows = torch.randint(0, len(train_given), (128,))
    loss = F.cross_entropy(model(train_given[rows]), train_next[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 10:
        model.eval()
        with torch.no_grad():
            print(f"step {step} validation {F.cross_entropy(model(val_given), val_next).item():.3f}")
        model.train()

# held out
model.eval()
given, following = examples(test_names)
with torch.no_grad():
    print(f"held-out loss {F.cross_entropy(model(given), following).item():.4f}")
