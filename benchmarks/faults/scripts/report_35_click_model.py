"""A deep recommendation model: dense features and embeddings, their dot products, and the chance of a click."""

import argparse
import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

TABLES = (30, 50, 20)


def mlp(sizes):
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        linear = nn.Linear(n_in, n_out)
        nn.init.normal_(linear.weight, std=math.sqrt(2 / (n_in + n_out)))
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers)


class ClickModel(nn.Module):
    def __init__(self, dense=8, width=8):
        super().__init__()
        self.bottom = mlp([dense, 32, width])
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for rows in TABLES)
        vectors = len(TABLES) + 1
        self.pairs = torch.triu_indices(vectors, vectors, 1)
        self.top = mlp([width + self.pairs.size(1), 32])
        self.click = nn.Linear(32, 1)

    def forward(self, dense, sparse):
        below = self.bottom(dense)
        vectors = torch.stack([below, *(table(sparse[:, i]) for i, table in enumerate(self.tables))], dim=1)
        products = (vectors @ vectors.transpose(1, 2))[:, self.pairs[0], self.pairs[1]]
        return self.click(self.top(torch.cat([below, products], dim=1))).squeeze(1)


def impressions(count, generator):
    world = torch.Generator().manual_seed(11)
    dense = torch.randn(count, 8, generator=generator)
    sparse = torch.stack([torch.randint(0, rows, (count,), generator=generator) for rows in TABLES], dim=1)
    taste = [torch.randn(rows, generator=world) for rows in TABLES]
    logit = 1.5 * sum(taste[i][sparse[:, i]] for i in range(3)) + dense[:, 0] * dense[:, 1] + dense[:, 2]
    return dense, sparse, torch.bernoulli(torch.sigmoid(logit), generator=generator)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    model = ClickModel()
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
    for _ in range(args.steps):
        dense, sparse, click = impressions(128, generator)
        loss = F.binary_cross_entropy_with_logits(model(dense, sparse), click)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # held out
    model.eval()
    dense, sparse, click = impressions(4000, torch.Generator().manual_seed(919))
    with torch.no_grad():
        held_out = F.binary_cross_entropy_with_logits(model(dense, sparse), click).item()
    print(f"held-out loss {held_out:.4f}")


if __name__ == "__main__":
    main()
