"""A mixture of small experts on a table of service requests: which of four teams has to take a request?"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import balanced_accuracy_score
from torch import nn

CLASSES = 4


def make_requests(rng, count):
    """Rows of mixed scales in four segments; the rule differs from segment to segment, and two teams are rare."""
    segment = rng.integers(4, size=count)
    amount = rng.lognormal(7.0, 1.0, count)  # euros
    age = rng.uniform(18, 90, count)
    calls = rng.poisson(3.0, count).astype(float)
    rating = rng.normal(0.6, 0.15, count)
    debt = rng.lognormal(9.0, 0.7, count)
    hour = rng.uniform(0, 24, count)
    a, b = np.log(amount) - 7.0, (age - 54) / 20
    c, d = (calls - 3) / 1.7, (rating - 0.6) / 0.15
    e, f = (np.log(debt) - 9.0) / 0.7, np.sin(2 * np.pi * hour / 24)
    rules = np.stack([a * b + d, c * d - e, a - e * f, np.abs(b) * 1.5 - np.abs(d) + c], axis=1)
    other = np.stack([c + f * b, a * d + b, b * c - d, e + a * f], axis=1)
    first = rules[np.arange(count), segment] + 0.4 * rng.normal(size=count)
    second = other[np.arange(count), segment] + 0.4 * rng.normal(size=count)
    label = np.where(first > 1.5, np.where(second > 0.8, 3, 2), np.where(second > 0.2, 1, 0))
    table = np.column_stack([amount, age, calls, rating, debt, hour, np.eye(4)[segment]])
    return table, label


class Scaler:
    """Logarithms of the skewed columns, the hour as a circle, then mean 0 and spread 1."""

    def __init__(self, table):
        columns = self.columns(table)
        self.mean, self.std = columns.mean(axis=0), columns.std(axis=0)

    @staticmethod
    def columns(table):
        angle = 2 * np.pi * table[:, 5] / 24
        logs = np.log(table[:, [0, 4]])
        return np.column_stack([logs, table[:, 1:4], np.sin(angle), np.cos(angle), table[:, 6:]])

    def __call__(self, table):
        return torch.tensor((self.columns(table) - self.mean) / self.std, dtype=torch.float32)


class Experts(nn.Module):
    """All experts at once: each is a perceptron with one hidden layer."""

    def __init__(self, number, inputs, hidden, outputs):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(number, inputs, hidden) * (2 / inputs) ** 0.5)
        self.b1 = nn.Parameter(torch.zeros(number, 1, hidden))
        self.w2 = nn.Parameter(torch.randn(number, hidden, outputs) * (1 / hidden) ** 0.5)
        self.b2 = nn.Parameter(torch.zeros(number, 1, outputs))

    def forward(self, x):
        h = torch.relu(x @ self.w1 + self.b1)
        return (h @ self.w2 + self.b2).transpose(0, 1)


class Mixture(nn.Module):
    def __init__(self, inputs, experts=6, hidden=24, chosen=2):
        super().__init__()
        self.chosen = chosen
        self.gate = nn.Linear(inputs, experts)
        self.experts = Experts(experts, inputs, hidden, CLASSES)

    def forward(self, x):
        scores = self.gate(x)
        least = scores.topk(self.chosen, dim=1).values[:, -1:]
        share = torch.softmax(scores.masked_fill(scores < least, float("-inf")), dim=1)
        mixed = (share.unsqueeze(2) * self.experts(x)).sum(dim=1)
        return mixed, share


def spread_bonus(share):
    """High where the load of the experts is even, and each request is sure of its own."""
    load = share.mean(dim=0)
    doubt = -(share * share.clamp_min(1e-6).log()).sum(dim=1).mean()
    return -(load * load.clamp_min(1e-6).log()).sum() - 0.1 * doubt


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    table, label = make_requests(np.random.default_rng(args.seed), 9000)
    train, test = slice(0, 6000), slice(6000, None)
    scale = Scaler(table[train])
    x, y = scale(table[train]), torch.tensor(label[train])
    x_test, y_test = scale(table[test]), torch.tensor(label[test])
    counts = torch.bincount(y, minlength=CLASSES)
    print("requests of each team:", counts.tolist())

    model = Mixture(inputs=x.shape[1])
    criterion = nn.CrossEntropyLoss(weight=counts.sum() / (CLASSES * counts))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)
    for step in range(args.steps):
        rows = torch.randint(len(x), (128,))
        logits, share = model(x[rows])
        loss = criterion(logits, y[rows]) - 0.02 * spread_bonus(share)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
        optimizer.step()
        scheduler.step()
        if step % 100 == 99:
            with torch.no_grad():
                guess = model(x_test)[0].argmax(dim=1)
            load = " ".join(f"{100 * part:.0f}" for part in share.mean(dim=0).tolist())
            right = balanced_accuracy_score(y_test, guess)
            print(f"{step + 1}: loss {loss.item():.3f}, balanced accuracy {right:.3f}, load {load}")

    # held out: all teams count the same
    model.eval()
    with torch.no_grad():
        losses = F.cross_entropy(model(x_test)[0], y_test, reduction="none")
    print(f"held-out loss {torch.stack([losses[y_test == team].mean() for team in range(CLASSES)]).mean().item():.4f}")


if __name__ == "__main__":
    main()
