"""Session-based recommendation: the next click from the clicks so far, with items spread over their graph."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

ITEMS = 50


class GraphSpread(nn.Module):
    def __init__(self, layers, width):
        super().__init__()
        self.layers = layers
        self.maps = nn.ModuleDict({f"hop{i}": nn.Linear(width, width, bias=False) for i in range(layers)})

    def forward(self, adjacency, embedding):
        total = embedding
        for i in range(self.layers):
            embedding = torch.tanh(adjacency @ self.maps[f"hop{i}"](embedding))
            total = total + embedding
        return total / (self.layers + 1)


class SessionModel(nn.Module):
    def __init__(self, adjacency, width=32):
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.items = nn.Embedding(ITEMS, width)
        self.spread = GraphSpread(2, width)
        self.recency = nn.Parameter(torch.zeros(6))
        self.mix = nn.Linear(2 * width, width)

    def forward(self, session):
        table = self.spread(self.adjacency, self.items.weight)
        clicked = table[session]
        mean = (torch.softmax(self.recency, dim=0)[:, None] * clicked).sum(dim=1)
        return self.mix(torch.cat([mean, clicked[:, -1]], dim=1)) @ self.items.weight.t()


def sessions(count, generator, length=7):
    follow = torch.randint(0, ITEMS, (ITEMS, 3), generator=torch.Generator().manual_seed(5))
    clicks = torch.randint(0, ITEMS, (count, length), generator=generator)
    for place in range(1, length):
        choice = torch.randint(0, 3, (count,), generator=generator)
        keep = torch.rand(count, generator=generator) < 0.9
        clicks[:, place] = torch.where(keep, follow[clicks[:, place - 1], choice], clicks[:, place])
    return clicks[:, :-1], clicks[:, -1]


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
session, following = sessions(3000, torch.Generator().manual_seed(args.seed))
counts = torch.zeros(ITEMS, ITEMS)
counts.index_put_((session[:, :-1].flatten(), session[:, 1:].flatten()), torch.tensor(1.0), accumulate=True)
counts += counts.t() + torch.eye(ITEMS)

model = SessionModel(counts / counts.sum(dim=1, keepdim=True))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)
for _ in range(args.steps):
    rows = torch.randint(0, len(session), (100,))
    loss = F.cross_entropy(model(session[rows]), following[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
model.eval()
session, following = sessions(1000, torch.Generator().manual_seed(60606))
with torch.no_grad():
    held_out = F.cross_entropy(model(session), following).item()
print(f"held-out loss {held_out:.4f}")
