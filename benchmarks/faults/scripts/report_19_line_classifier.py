"""Which module of the standard library is this line of code from? Hashed word pairs, summed and classified."""

import argparse
import calendar
import csv
import heapq
import inspect
import itertools
import json.decoder
import random
import re
import string
import textwrap
import zlib

import torch
import torch.nn.functional as F
from torch import nn

MODULES = [argparse, calendar, csv, heapq, json.decoder, random, string, textwrap]
BUCKETS = 4096


def features(line):
    words = re.findall(r"\w+|[^\w\s]", line)
    return [zlib.crc32(token.encode()) % BUCKETS for token in [*words, *map(" ".join, itertools.pairwise(words))]]


def examples(limit=240):
    rows = []
    for label, module in enumerate(MODULES):
        lines = [line for line in inspect.getsource(module).splitlines() if len(line.split()) > 3]
        rows += [(features(line), label) for line in lines[:limit]]
    return rows


class FastText(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.hidden = nn.EmbeddingBag(BUCKETS, width, mode="mean")
        self.output = nn.Linear(width, len(MODULES))
        nn.init.uniform_(self.hidden.weight, -1 / width, 1 / width)

    def forward(self, bags):
        flat = torch.tensor([token for bag in bags for token in bag])
        starts = torch.tensor([0, *[len(bag) for bag in bags[:-1]]]).cumsum(0)
        return self.output(self.hidden(flat, starts))


def epochs(rows):
    while True:
        order = torch.randperm(len(rows)).tolist()
        for start in range(0, len(order) - 15, 16):
            yield [rows[index] for index in order[start : start + 16]]


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1000)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
rows = examples()
train, test = [row for i, row in enumerate(rows) if i % 5], rows[::5]
model = FastText()
optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=args.steps)
for _, batch in zip(range(args.steps), epochs(train)):
    bags, labels = zip(*batch)
    loss = F.cross_entropy(model(bags), torch.tensor(labels))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()

# held out
model.eval()
bags, labels = zip(*test)
with torch.no_grad():
    held_out = F.cross_entropy(model(bags), torch.tensor(labels)).item()
print(f"held-out loss {held_out:.4f}")
