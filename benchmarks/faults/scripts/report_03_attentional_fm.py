"""Attentional factorization machine: will this reader like this book at this hour?"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FIELDS = (80, 120, 24)  # readers, books, hours


class AttentionalFM(nn.Module):
    def __init__(self, dims=FIELDS, width=16, attention=16, dropout=0.2):
        super().__init__()
        rows = torch.tensor(dims)
        self.register_buffer("first_row", rows.cumsum(0) - rows)
        self.linear = nn.Embedding(sum(dims), 1)
        self.embedding = nn.Embedding(sum(dims), width)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.attention = nn.Sequential(nn.Linear(width, attention), nn.ReLU(), nn.Linear(attention, 1))
        self.out = nn.Linear(width, 1)
        self.dropout = dropout
        self.left, self.right = np.triu_indices(len(dims), 1)

    def forward(self, fields):
        index = fields + self.first_row
        vectors = self.embedding(index)
        pairs = vectors[:, self.left] * vectors[:, self.right]
        scores = torch.softmax(self.attention(pairs), dim=1)
        scores = F.dropout(scores, p=self.dropout, training=self.training)
        pooled = (scores * pairs).sum(dim=1)
        pooled = F.dropout(pooled, p=self.dropout, training=self.training)
        return self.linear(index).sum(dim=(1, 2)) + self.out(pooled).squeeze(1)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=600)
parser.add_argument("--seed", type=int, default=0)
opt = parser.parse_args()
torch.manual_seed(opt.seed)
rng = np.random.default_rng(0)
taste = [rng.standard_normal((n, 4)) for n in FIELDS]
who = np.stack([rng.integers(0, n, 24000) for n in FIELDS], axis=1)
logit = 1.5 * (taste[0][who[:, 0]] * taste[1][who[:, 1]]).sum(1) + 0.7 * taste[2][who[:, 2], 0]
liked = rng.uniform(size=len(who)) < 1 / (1 + np.exp(-logit))
who, liked = torch.tensor(who), torch.tensor(liked, dtype=torch.float32)
train_who, test_who, train_liked, test_liked = who[:20000], who[20000:], liked[:20000], liked[20000:]

model = AttentionalFM()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-6)
model.train()
for _ in range(opt.steps):
    batch = torch.randint(0, len(train_who), (256,))
    loss = F.binary_cross_entropy_with_logits(model(train_who[batch]), train_liked[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
model.eval()
with torch.no_grad():
    held_out = F.binary_cross_entropy_with_logits(model(test_who), test_liked).item()
print(f"held-out loss {held_out:.4f}")
