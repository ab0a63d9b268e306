"""Graph attention network: the field of a paper from its words and from what it cites."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

FIELDS, PAPERS, WORDS = 6, 900, 150


def make_papers(seed):
    """Papers in the order of their dates: counts of words, field, and pairs (from, to) of citations."""
    rng = np.random.default_rng(seed)
    field = rng.choice(FIELDS, PAPERS, p=[0.25, 0.2, 0.2, 0.15, 0.1, 0.1])
    topics = rng.dirichlet(np.full(WORDS, 0.3), size=FIELDS)
    common = rng.dirichlet(np.full(WORDS, 0.5))
    length = rng.poisson(9, PAPERS)
    words = np.stack([rng.multinomial(n, 0.3 * topics[f] + 0.7 * common) for n, f in zip(length, field)])
    cited = np.ones(PAPERS)
    pairs = []
    for paper in range(10, PAPERS):
        weight = cited[:paper] * np.where(field[:paper] == field[paper], 1.0, 0.06)
        for other in set(rng.choice(paper, rng.integers(1, 5), p=weight / weight.sum())):
            cited[other] += 1
            pairs.append((paper, other))
    return words, field, np.array(pairs)


class GraphAttention(nn.Module):
    def __init__(self, inputs, outputs, heads, dropout):
        super().__init__()
        self.heads, self.outputs, self.dropout = heads, outputs, dropout
        self.linear = nn.Linear(inputs, heads * outputs, bias=False)
        self.from_score = nn.Parameter(torch.empty(heads, outputs))
        self.to_score = nn.Parameter(torch.empty(heads, outputs))
        self.bias = nn.Parameter(torch.zeros(heads * outputs))
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.xavier_uniform_(self.from_score)
        nn.init.xavier_uniform_(self.to_score)

    def forward(self, x, edges):
        source, target = edges
        h = self.linear(x).view(-1, self.heads, self.outputs)
        score = (h * self.from_score).sum(-1)[source] + (h * self.to_score).sum(-1)[target]
        score = F.leaky_relu(score, 0.2)
        # softmax over the edges that enter a node
        top = torch.zeros(len(x), self.heads).index_reduce(0, target, score.detach(), "amax", include_self=False)
        weight = torch.exp(score - top[target])
        total = torch.zeros(len(x), self.heads).index_add(0, target, weight)
        attention = weight / total[target]
        attention = F.dropout(attention, self.dropout, self.training)
        out = torch.zeros_like(h).index_add(0, target, attention.unsqueeze(-1) * h[source])
        return out.flatten(1) + self.bias


class GAT(nn.Module):
    def __init__(self, hidden=8, heads=4, dropout=0.4):
        super().__init__()
        self.dropout = dropout
        self.layer1 = GraphAttention(WORDS, hidden, heads, dropout)
        self.layer2 = GraphAttention(hidden * heads, FIELDS, 1, dropout)

    def forward(self, x, edges):
        x = F.dropout(x, self.dropout, self.training)
        x = F.elu(self.layer1(x, edges))
        x = F.dropout(x, self.dropout, self.training)
        return self.layer2(x, edges)


class Trainer:
    def __init__(self, args):
        torch.manual_seed(args.seed)
        words, field, pairs = make_papers(args.seed)
        self.x = self.prepare(torch.tensor(words, dtype=torch.float32))
        self.y = torch.tensor(field)
        pairs = torch.tensor(pairs).T
        loops = torch.arange(PAPERS).repeat(2, 1)
        self.edges = torch.cat([pairs, pairs.flip(0), loops], dim=1)
        order = torch.randperm(PAPERS)
        self.train_nodes, self.val_nodes, self.test_nodes = order[:180], order[180:360], order[360:]
        self.model = GAT()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01, weight_decay=1e-3)
        self.steps = args.steps

    @staticmethod
    def prepare(words):
        shares = words / words.sum(1, keepdim=True).clamp(min=1)
        return shares * 10

    def loss(self, nodes):
        logits = self.model(self.x, self.edges)
        return F.cross_entropy(logits[nodes], self.y[nodes])

    def fit(self):
        for epoch in range(1, self.steps + 1):
            self.model.train()
            self.optimizer.zero_grad()
            loss = self.loss(self.train_nodes)
            loss.backward()
            self.optimizer.step()
            if epoch % 25 == 0:
                self.model.eval()
                with torch.no_grad():
                    val = self.loss(self.val_nodes)
                print(f"epoch {epoch}: train {loss.item():.4f}, val {val.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    trainer = Trainer(parser.parse_args())
    trainer.fit()

    # held out
    trainer.model.eval()
    with torch.no_grad():
        logits = trainer.model(trainer.x, trainer.edges)[trainer.test_nodes]
        loss = F.cross_entropy(logits, trainer.y[trainer.test_nodes])
    print(f"held-out loss {loss.item():.4f}")
