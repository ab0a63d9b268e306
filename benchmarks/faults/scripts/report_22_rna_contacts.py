"""Predict which bases of an RNA strand pair up; strands differ in length, so they come one at a time."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn

PAIRS = torch.zeros(4, 4)
for one, other in [(0, 3), (1, 2), (2, 1)]:
    PAIRS[one, other] = PAIRS[other, one] = 1.0


def strand(generator):
    """A strand with its own taste in bases and one hairpin; returns the 16-channel pair map and the contacts."""
    length = int(torch.randint(18, 40, (1,), generator=generator))
    taste = torch.softmax(2.0 * torch.randn(4, generator=generator), dim=0)
    bases = torch.multinomial(taste, length, replacement=True, generator=generator)
    stem = int(torch.randint(3, 7, (1,), generator=generator))
    start = int(torch.randint(0, length - 2 * stem - 3, (1,), generator=generator))
    end = start + 2 * stem + 3
    contact = torch.zeros(length, length)
    for rung in range(stem):
        i, j = start + rung, end - 1 - rung
        bases[j] = 3 - bases[i]
        contact[i, j] = contact[j, i] = 1.0
    onehot = F.one_hot(bases, 4).float()
    pair_map = torch.einsum("ia,jb->abij", onehot, onehot).reshape(16, length, length)
    return pair_map.unsqueeze(0), contact.unsqueeze(0)


class ContactNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        layers, n_in = [], 16
        for _ in range(3):
            layers += [nn.Conv2d(n_in, width, 5, padding=2), nn.GroupNorm(4, width), nn.ReLU()]
            n_in = width
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 1))

    def forward(self, pair_map):
        score = self.layers(pair_map).squeeze(1)
        return score + score.transpose(1, 2)


def loss_of(score, contact):
    return F.binary_cross_entropy_with_logits(score, contact, pos_weight=torch.tensor(20.0))


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
generator = torch.Generator().manual_seed(args.seed)
net = ContactNet()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
net.train()
for _ in range(args.steps):
    pair_map, contact = strand(generator)
    loss = loss_of(net(pair_map), contact)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
net.eval()
generator = torch.Generator().manual_seed(271828)
with torch.no_grad():
    losses = [loss_of(net(pair_map), contact).item() for pair_map, contact in (strand(generator) for _ in range(200))]
print(f"held-out loss {sum(losses) / len(losses):.4f}")
