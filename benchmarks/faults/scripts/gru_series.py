"""A GRU tells four kinds of events in weather traces apart. Batches are sequence-first, as nn.GRU takes them."""

import argparse
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

LENGTH = 40


def make_traces(rng, count):
    """Temperature in kelvin, pressure in hectopascal and a status flag that is always 1; a few labels are wrong."""
    labels = np.repeat(np.arange(4), count // 4)
    time = np.arange(LENGTH)
    traces = np.ones((count, LENGTH, 3), dtype=np.float32)
    for row, label in enumerate(labels):
        phase = np.clip((time - rng.integers(4, 20)) / 12, 0, 1) * np.pi
        event = (np.sin(phase), -np.sin(phase), np.sin(2 * phase), -np.sin(2 * phase))[label]
        noise = rng.normal(size=(2, LENGTH))
        traces[row, :, 0] = 288 + rng.normal() + 8 * event + 2 * noise[0]
        traces[row, :, 1] = 1013 + 9 * event * rng.uniform(0.3, 1) + 4 * noise[1]
    wrong = rng.random(count) < 0.04
    return traces, np.where(wrong, rng.integers(4, size=count), labels)


class Traces(Dataset):
    def __init__(self, traces, labels, mean, std, jitter=0.0):
        self.traces = torch.as_tensor((traces - mean) / std)
        self.labels = torch.as_tensor(labels)
        self.jitter = jitter

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        noise = torch.randn(LENGTH, 3)
        return self.traces[i] + self.jitter * noise, self.labels[i]


def collate(items):
    traces, labels = zip(*items)
    return torch.stack(traces, dim=1), torch.stack(labels)


class EventGRU(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.gru = nn.GRU(3, width)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.head(self.dropout(out[-1]))


def evaluate(net, loader, criterion):
    net.eval()
    with torch.no_grad():
        total = sum(criterion(net(x), y).item() * len(y) for x, y in loader)
    net.train()
    return total / len(loader.dataset)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=360)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    x_train, y_train = make_traces(rng, 640)
    x_test, y_test = make_traces(rng, 400)
    mean, std = x_train.mean((0, 1)), x_train.std((0, 1))
    std[std == 0] = 1.0
    train_set = Traces(x_train, y_train, mean, std, jitter=0.1)
    test_set = Traces(x_test, y_test, mean, std)
    train_loader = DataLoader(
        train_set, batch_size=32, shuffle=True, collate_fn=collate, num_workers=2, persistent_workers=True
    )
    test_loader = DataLoader(test_set, batch_size=100, collate_fn=collate)

    net = EventGRU()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    step = 0
    while step < args.steps:
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            step += 1
            if step == args.steps:
                break
        print(f"step {step}: train {loss.item():.3f}, test {evaluate(net, test_loader, criterion):.3f}")

    # held out
    held_out = evaluate(net, test_loader, nn.CrossEntropyLoss())
    print(f"held-out loss {held_out:.4f}")
