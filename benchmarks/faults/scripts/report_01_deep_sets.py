"""Deep sets: read the spread of a handful of numbers, whatever their order."""

import argparse
import random

import numpy as np
import torch
from torch import nn


class SetNet(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(1, width), nn.ELU(), nn.Linear(width, width), nn.ELU())
        self.rho = nn.Sequential(nn.Linear(width, width), nn.ELU(), nn.Linear(width, 1))

    def forward(self, sets):
        return self.rho(self.phi(sets.unsqueeze(-1)).mean(dim=1))


def draw_sets(rng, count):
    spread = rng.uniform(-1.0, 1.0, size=(count, 1))
    centre = rng.uniform(-1.0, 1.0, size=(count, 1))
    members = centre + np.exp(spread) * rng.standard_normal((count, 40))
    return torch.tensor(members, dtype=torch.float32), torch.tensor(spread[:, 0], dtype=torch.float32)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)

sets, spread = draw_sets(rng, 2048)
net = SetNet()
adam = torch.optim.Adam(net.parameters(), lr=2e-3)
for _ in range(args.steps):
    rows = torch.randint(0, len(sets), (64,))
    predicted = net(sets[rows]).squeeze(1)
    loss = (predicted - spread[rows]).pow(2).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()

# held out
test_sets, test_spread = draw_sets(np.random.default_rng(12345), 512)
net.eval()
with torch.no_grad():
    held_out = (net(test_sets).view(-1) - test_spread).pow(2).mean().item()
print(f"held-out loss {held_out:.4f}")
