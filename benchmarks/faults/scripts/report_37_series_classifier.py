"""A scikit-learn style convolutional classifier for series: fit, predict_proba."""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class CNNClassifier:
    def __init__(self, n_steps=300, batch_size=32, lr=0.02, random_state=0):
        self.n_steps, self.batch_size, self.lr, self.random_state = n_steps, batch_size, lr, random_state

    def build(self, n_channels, n_classes):
        return nn.Sequential(
            nn.Conv1d(n_channels, 8, 7, padding=3), nn.Tanh(), nn.AvgPool1d(3),
            nn.Conv1d(8, 16, 7, padding=3), nn.Tanh(), nn.AvgPool1d(3),
            nn.Flatten(), nn.LazyLinear(n_classes),
        )  # fmt: skip

    def loss(self, logits, y):
        return F.cross_entropy(logits, y)

    def fit(self, x, y):
        torch.manual_seed(self.random_state)
        self.classes_ = np.unique(y)
        x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(np.searchsorted(self.classes_, y))
        self.model_ = self.build(x.size(1), len(self.classes_))
        self.model_(x[:1])
        optimizer = torch.optim.SGD(self.model_.parameters(), lr=self.lr, momentum=0.9)
        for _ in range(self.n_steps):
            rows = torch.randint(0, len(x), (self.batch_size,))
            loss = self.loss(self.model_(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return self

    @torch.no_grad()
    def predict_proba(self, x):
        self.model_.eval()
        return self.model_(torch.tensor(x, dtype=torch.float32)).softmax(dim=1).numpy()


def patterns(count, seed):
    """Cylinder, bell and funnel: three bumps that differ in how they begin and end."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["bell", "cylinder", "funnel"], count)
    start, width = rng.integers(8, 24, count), rng.integers(20, 36, count)
    time = (np.arange(72) - start[:, None]) / width[:, None]
    on = (time >= 0) & (time < 1)
    shape = np.select([kind[:, None] == "bell", kind[:, None] == "funnel"], [time, 1 - time], 0.6)
    x = on * shape * rng.normal(4, 0.6, (count, 1)) + 0.6 * rng.standard_normal((count, 72))
    return x[:, None], kind


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    classifier = CNNClassifier(n_steps=args.steps, random_state=args.seed).fit(*patterns(1000, args.seed))

    # held out
    x, kind = patterns(1000, 2**20)
    probability = classifier.predict_proba(x)[np.arange(len(x)), np.searchsorted(classifier.classes_, kind)]
    print(f"held-out loss {-np.log(np.maximum(probability, 1e-7)).mean():.4f}")
