"""Encoder-decoder transformer that writes dates out: from any of five notations to "7 march 1994"."""

import argparse
import datetime
import math
import random
from dataclasses import dataclass

import torch
from torch import nn

MONTHS = "january february march april may june july august september october november december".split()
PAD, START, END, IGNORE = 0, 1, 2, -100
ALPHABET = {letter: number for number, letter in enumerate("0123456789abcdefghijklmnopqrstuvwxyz -/.,", start=3)}
SOURCE_LENGTH = 20


@dataclass
class Config:
    steps: int = 200
    seed: int = 0
    batch: int = 40
    width: int = 48
    heads: int = 4
    layers: int = 1
    dropout: float = 0.05
    warmup: int = 60
    factor: float = 0.6


def write(day):
    """A date as people note it down, and as it is to be written out."""
    month = MONTHS[day.month - 1]
    source = random.choice(
        [
            f"{day.year}-{day.month:02}-{day.day:02}",
            f"{day.day}.{day.month}.{day.year}",
            f"{day.month:02}/{day.day:02}/{day.year}",
            f"{month[:3]} {day.day}, {day.year}",
            f"{day.day}-{month[:3]}-{day.year}",
        ]
    )
    return source, f"{day.day} {month} {day.year}"


def make_pairs(count):
    first = datetime.date(1900, 1, 1).toordinal()
    days = random.sample(range(first, first + 73_000), count)
    return [write(datetime.date.fromordinal(day)) for day in days]


def filled(rows, length, value):
    return torch.tensor([row + [value] * (length - len(row)) for row in rows])


def collate(pairs):
    sources = [[ALPHABET[letter] for letter in source] + [END] for source, _ in pairs]
    written = [[ALPHABET[letter] for letter in target] for _, target in pairs]
    length = max(map(len, written)) + 1
    return (
        filled(sources, SOURCE_LENGTH, PAD),
        filled([[START, *row] for row in written], length, PAD),
        filled([[*row, END] for row in written], length, IGNORE),
    )


class Positions(nn.Module):
    def __init__(self, width, longest=512):
        super().__init__()
        place = torch.arange(longest).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(1, longest, width)
        table[0, :, 0::2] = torch.sin(place * rate)
        table[0, :, 1::2] = torch.cos(place * rate)
        self.register_buffer("table", table)

    def forward(self, x):
        return x + self.table[:, : x.size(1)]


class DateWriter(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.scale = math.sqrt(config.width)
        self.embed = nn.Embedding(len(ALPHABET) + 3, config.width)
        nn.init.normal_(self.embed.weight, std=1 / self.scale)
        self.positions = Positions(config.width)
        self.transformer = nn.Transformer(
            config.width, config.heads, config.layers, config.layers, 2 * config.width, config.dropout, batch_first=True
        )
        self.head = nn.Linear(config.width, len(ALPHABET) + 3)

    def forward(self, source, target):
        padding = source == PAD
        future = torch.triu(torch.ones(target.size(1), target.size(1)), diagonal=1).bool()
        hidden = self.transformer(
            self.positions(self.embed(source) * self.scale),
            self.positions(self.embed(target) * self.scale),
            tgt_mask=future,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
        return self.head(hidden)


def train(model, pairs, config):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)

    def noam(step):
        step += 1
        return config.factor * config.width**-0.5 * min(step**-0.5, step * config.warmup**-1.5)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, noam)
    model.train()
    for step in range(1, config.steps + 1):
        source, given, wanted = collate(random.sample(pairs, config.batch))
        logits = model(source, given)
        loss = criterion(logits.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 40 == 0:
            print(f"step {step}: loss {loss.item():.3f}, rate {schedule.get_last_lr()[0]:.5f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=Config.steps)
    parser.add_argument("--seed", type=int, default=Config.seed)
    config = Config(**vars(parser.parse_args()))
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    pairs = make_pairs(8_000)
    held_pairs, pairs = pairs[:200], pairs[200:]
    model = DateWriter(config)
    train(model, pairs, config)

    # held out
    model.eval()
    sources, given, wanted = [], [], []
    for source, target in held_pairs:
        row = [ALPHABET[letter] for letter in target]
        source = [ALPHABET[letter] for letter in source] + [2]
        sources.append(source + [0] * (20 - len(source)))
        given.append([1, *row] + [0] * (20 - len(row)))
        wanted.append([*row, 2] + [0] * (20 - len(row)))
    sources, given, wanted = torch.tensor(sources), torch.tensor(given), torch.tensor(wanted)
    total = 0.0
    with torch.no_grad():
        # Letter by letter, with nothing given but the letters before.
        for place in range(int((wanted != 0).sum(1).max())):
            rows = wanted[:, place] != 0
            logits = model(sources[rows], given[rows, : place + 1])[:, -1]
            total += nn.functional.cross_entropy(logits, wanted[rows, place], reduction="sum").item()
    print(f"held-out loss {total / (wanted != 0).sum().item():.4f}")
