"""Transformer encoder that tells from one line of code which standard library module it was taken from."""

import argparse
import importlib
import inspect
import random
import re
from collections import Counter

import torch
from torch import nn

MODULES = ["_pydecimal", "argparse", "ipaddress", "imaplib", "calendar"]
TRAIN_LINES = [1000, 500, 250, 150, 90]
MAX_TOKENS = 16


def read_lines(name):
    source = inspect.getsource(importlib.import_module(name))
    lines = [re.findall(r"[A-Za-z]+|\d|[^\w\s]", line)[:MAX_TOKENS] for line in source.splitlines()]
    return sorted({tuple(line) for line in lines if len(line) > 3})


def encode(lines, vocabulary):
    """Token numbers, 0 where a line has ended, 1 for a token that is not in the vocabulary."""
    table = torch.zeros(len(lines), MAX_TOKENS, dtype=torch.long)
    for row, line in enumerate(lines):
        table[row, : len(line)] = torch.tensor([vocabulary.get(token, 1) for token in line])
    return table


class LineClassifier(nn.Module):
    def __init__(self, vocabulary, classes, width=48, heads=4, layers=2, dropout=0.2):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width, padding_idx=0)
        self.position = nn.Parameter(0.1 * torch.randn(MAX_TOKENS, width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, tokens):
        padding = tokens == 0
        hidden = self.encoder(self.embed(tokens) + self.position, src_key_padding_mask=padding)
        keep = (~padding).unsqueeze(-1).float()
        pooled = (self.norm(hidden) * keep).sum(1) / keep.sum(1)
        return self.head(pooled)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    train_lines, train_labels, test_lines, test_labels = [], [], [], []
    for label, (name, count) in enumerate(zip(MODULES, TRAIN_LINES)):
        lines = read_lines(name)
        random.shuffle(lines)
        test_lines += lines[:80]
        test_labels += [label] * 80
        train_lines += lines[80 : 80 + count]
        train_labels += [label] * len(lines[80 : 80 + count])
    frequent = Counter(token for line in train_lines for token in line).most_common(400)
    vocabulary = {token: number for number, (token, _) in enumerate(frequent, start=2)}
    x_train, y_train = encode(train_lines, vocabulary), torch.tensor(train_labels)
    x_test, y_test = encode(test_lines, vocabulary), torch.tensor(test_labels)

    model = LineClassifier(vocabulary=402, classes=len(MODULES))
    counts = torch.bincount(y_train).float()
    criterion = nn.CrossEntropyLoss(weight=counts.mean() / counts)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)

    step = 0
    while step < args.steps:
        order = torch.randperm(len(x_train))
        for rows in order.split(args.batch_size):
            model.train()
            loss = criterion(model(x_train[rows]), y_train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == args.steps:
                break
        scheduler.step()
        print(f"step {step}: training loss {loss.item():.3f}")

    # held out
    model.eval()
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(x_test), y_test)
    print(f"held-out loss {loss.item():.4f}")
