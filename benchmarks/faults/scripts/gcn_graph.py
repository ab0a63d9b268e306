"""Graph convolutional network: which community does each node of a random graph belong to?"""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def random_graph(rng, nodes=400, classes=4, features=24):
    """A stochastic block model of unequal communities whose nodes carry weak and noisy features."""
    labels = np.sort(rng.choice(classes, size=nodes, p=[0.55, 0.27, 0.12, 0.06]))
    same = labels[:, None] == labels[None, :]
    upper = np.triu(rng.random((nodes, nodes)) < np.where(same, 0.03, 0.005), k=1)
    adjacency = (upper | upper.T).astype(np.float32)
    centers = rng.normal(size=(classes, features))
    x = 0.4 * centers[labels] + rng.normal(size=(nodes, features))
    return torch.tensor(adjacency), torch.tensor(x, dtype=torch.float32), torch.tensor(labels)


def normalize(adjacency):
    """D^-1/2 (A + I) D^-1/2"""
    adjacency = adjacency + torch.eye(len(adjacency))
    scale = adjacency.sum(1).pow(-0.5)
    return scale[:, None] * adjacency * scale[None, :]


class GraphConv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x, adjacency):
        return adjacency @ self.linear(x) + self.bias


class GCN(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.conv1 = GraphConv(features, hidden)
        self.conv2 = GraphConv(hidden, classes)

    def forward(self, x, adjacency):
        h = F.relu(self.conv1(x, adjacency))
        h = F.dropout(h, 0.7, training=self.training)
        return self.conv2(h, adjacency)


def main(steps, seed):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    adjacency, x, y = random_graph(rng)
    adjacency = normalize(adjacency)
    order = torch.randperm(len(y))
    train, valid, test = order[:100], order[100:200], order[200:]
    counts = torch.bincount(y[train]).float()
    weight = counts.mean() / counts

    model = GCN(x.size(1), 32, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-3)
    for epoch in range(steps):
        model.train()
        optimizer.zero_grad()
        out = model(x, adjacency)
        loss = F.cross_entropy(out[train], y[train], weight)
        loss.backward()
        optimizer.step()
        if epoch % 10 == 0:
            model.eval()
            with torch.no_grad():
                score = F.cross_entropy(model(x, adjacency)[valid], y[valid], weight)
            print(f"epoch {epoch}: train {loss.item():.3f}, valid {score.item():.3f}")

    # held out
    model.eval()
    with torch.no_grad():
        # Every community counts the same.
        loss = F.cross_entropy(model(x, adjacency)[test], y[test], weight)
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
