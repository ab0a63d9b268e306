"""Translate numbers into Gray code, bit by bit."""

import argparse
import itertools

import torch
from torch import nn

BITS = 10


class Translator(nn.Module):
    def __init__(self, width=40, depth=4):
        super().__init__()
        sizes = [BITS] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.out = nn.Linear(width, BITS)

    def forward(self, bits):
        for layer in self.hidden:
            bits = torch.relu(layer(bits))
        return self.out(bits)


def table():
    number = torch.arange(2**BITS)
    places = torch.arange(BITS)
    bits = (number[:, None] >> places) & 1
    gray = ((number ^ (number >> 1))[:, None] >> places) & 1
    return bits.float(), gray.float()


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1500)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
bits, gray = table()
order = torch.randperm(len(bits), generator=torch.Generator().manual_seed(0))
fit, test = order[:800], order[800:]
net = Translator()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
for _ in range(args.steps):
    rows = fit[torch.randint(0, len(fit), (50,))]
    loss = criterion(net(bits[rows]), gray[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
net.eval()
with torch.no_grad():
    print(f"held-out loss {criterion(net(bits[test]), gray[test]).item():.4f}")
