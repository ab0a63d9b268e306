"""Sixteen small regressors that share their weights (a batch ensemble) predict how diabetes progresses."""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.utils import clip_grad_norm_


class EnsembleLinear(nn.Module):
    def __init__(self, n_in, n_out, members):
        super().__init__()
        self.shared = nn.Linear(n_in, n_out, bias=False)
        self.scale_in = nn.Parameter(torch.randn(members, n_in).sign())
        self.scale_out = nn.Parameter(torch.ones(members, n_out))
        self.bias = nn.Parameter(torch.zeros(members, n_out))

    def forward(self, x):
        return self.shared(x * self.scale_in) * self.scale_out + self.bias


class TabularEnsemble(nn.Module):
    def __init__(self, n_in, members=16, width=64):
        super().__init__()
        self.members = members
        self.first = EnsembleLinear(n_in, width, members)
        self.second = EnsembleLinear(width, width, members)
        self.last = EnsembleLinear(width, 1, members)

    def forward(self, x):
        x = x.unsqueeze(1).expand(-1, self.members, -1)
        return self.last(torch.relu(self.second(torch.relu(self.first(x))))).squeeze(-1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    x, y = load_diabetes(return_X_y=True)
    x, test_x, y, test_y = train_test_split(x, y, test_size=120, random_state=0)
    x_scaler, y_scaler = StandardScaler().fit(x), StandardScaler().fit(y[:, None])
    x, test_x = (torch.tensor(x_scaler.transform(part), dtype=torch.float32) for part in (x, test_x))
    y, test_y = (torch.tensor(y_scaler.transform(part[:, None])[:, 0], dtype=torch.float32) for part in (y, test_y))

    model = TabularEnsemble(x.shape[1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model.train()
    for _ in range(args.steps):
        rows = rng.choice(len(x), 32, replace=False)
        loss = (model(x[rows]) - y[rows].unsqueeze(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    # held out
    model.eval()
    with torch.no_grad():
        held_out = (model(test_x).mean(dim=1) - test_y).square().mean().item()
    print(f"held-out loss {held_out:.4f}")


if __name__ == "__main__":
    main()
