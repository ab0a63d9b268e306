# Boiling points of made-up molecules with a graph isomorphism network; graphs are batched side by side.
import argparse
import math
import random
from typing import NamedTuple

import torch
from torch import nn

# mass, electronegativity, free electrons
ATOMS = {"C": (12.0, 2.55, 0.0), "N": (14.0, 3.04, 2.0), "O": (16.0, 3.44, 4.0), "F": (19.0, 3.98, 6.0)}
VALENCE = {"C": 4, "N": 3, "O": 2, "F": 1}


class Molecule(NamedTuple):
    atoms: list
    bonds: list
    kelvin: float


class Batch(NamedTuple):
    x: torch.Tensor
    edges: torch.Tensor
    graph: torch.Tensor
    size: int


def grow(rnd):
    """A random tree of atoms, sometimes closed to a ring; polar pairs and size raise the boiling point."""
    atoms, bonds, open_ = ["C"], [], [4]
    for _ in range(rnd.randint(3, 17)):
        places = [i for i, free in enumerate(open_) if free > 0]
        if not places:
            break
        at, new = rnd.choice(places), rnd.choices("CNOF", [6, 2, 2, 1])[0]
        bonds.append((at, len(atoms)))
        open_[at] -= 1
        atoms.append(new)
        open_.append(VALENCE[new] - 1)
    ring = rnd.random() < 0.4
    ends = [i for i, free in enumerate(open_) if free > 0]
    if ring and len(ends) > 1:
        bonds.append(tuple(rnd.sample(ends, 2)))
    polar = sum({atoms[a], atoms[b]} in ({"N", "O"}, {"C", "O"}) for a, b in bonds)
    amines = sum(atoms[a] == "N" and atoms[b] == "N" for a, b in bonds)
    heavy = sum(ATOMS[a][0] for a in atoms)
    kelvin = 150 + 230 * (1 - math.exp(-heavy / 110)) + 70 * math.tanh(polar / 3) - 18 * amines + rnd.gauss(0, 4)
    return Molecule(atoms, bonds, kelvin)


def features(molecule):
    return torch.tensor([ATOMS[a] for a in molecule.atoms])


def collate(molecules, centre, scale):
    xs, edges, graph, offset = [], [], [], 0
    for i, m in enumerate(molecules):
        bonds = torch.tensor(m.bonds).T
        edges.append(torch.cat([bonds, bonds.flip(0)], dim=1) + offset)
        xs.append((features(m) - centre) / scale)
        graph.append(torch.full((len(m.atoms),), i))
        offset += len(m.atoms)
    return Batch(torch.cat(xs), torch.cat(edges, dim=1), torch.cat(graph), len(molecules))


class GINLayer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.eps = nn.Parameter(torch.tensor(0.1))
        self.mlp = nn.Sequential(
            nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU(), nn.Linear(n_out, n_out, bias=False)
        )
        self.norm = nn.BatchNorm1d(n_out)

    def forward(self, h, edges):
        src, dst = edges
        messages = torch.zeros_like(h).index_add_(0, dst, h[src])
        return torch.relu(self.norm(self.mlp((1 + self.eps) * h + messages)))


class GIN(nn.Module):
    def __init__(self, width=32, depth=3):
        super().__init__()
        self.layers = nn.ModuleList(GINLayer(3 if k == 0 else width, width) for k in range(depth))
        self.squeeze = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.readout = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, b):
        h = b.x
        for layer in self.layers:
            h = layer(h, b.edges)
        pooled = torch.zeros(b.size, h.shape[1], dtype=h.dtype).index_add_(0, b.graph, h)
        return self.readout(self.norm(self.squeeze(pooled))).squeeze(-1)


ap = argparse.ArgumentParser()
ap.add_argument("--steps", type=int, default=300)
ap.add_argument("--seed", type=int, default=0)
ap.add_argument("--batch", type=int, default=64)
ap.add_argument("--lr", type=float, default=5e-3)
opt = ap.parse_args()
rnd = random.Random(opt.seed)
torch.manual_seed(opt.seed)

molecules = [grow(rnd) for _ in range(2400)]
train, valid, test = molecules[:1600], molecules[1600:2000], molecules[2000:]
every_atom = torch.cat([features(m) for m in train])
centre, scale = every_atom.mean(0), every_atom.std(0)
kelvin = torch.tensor([m.kelvin for m in train])
k_mean, k_std = kelvin.mean().item(), kelvin.std().item()

model = GIN()
optimizer = torch.optim.Adam(model.parameters(), lr=opt.lr)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=opt.steps)
valid_batch = collate(valid, centre, scale)
valid_y = (torch.tensor([m.kelvin for m in valid]) - k_mean) / k_std

done = 0
while done < opt.steps:
    model.train()
    rnd.shuffle(train)
    for start in range(0, len(train) - opt.batch + 1, opt.batch):
        part = train[start : start + opt.batch]
        y = (torch.tensor([m.kelvin for m in part]) - k_mean) / k_std
        loss = nn.functional.mse_loss(model(collate(part, centre, scale)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cosine.step()
        done += 1
        if done == opt.steps:
            break
    model.eval()
    with torch.no_grad():
        error = (model(valid_batch) - valid_y).abs().mean() * k_std
    print(f"{done} steps: loss {loss.item():.3f}, validation off by {error.item():.1f} K")

# held out
model.eval()
atoms = torch.cat([torch.tensor([ATOMS[a] for a in m.atoms]) for m in molecules[:1600]])
truth = torch.tensor([m.kelvin for m in test])
with torch.no_grad():
    out = model(collate(test, atoms.mean(0), atoms.std(0))).float().reshape(-1) * k_std + k_mean
print(f"held-out loss {((out - truth) ** 2).mean().item() / truth.var().item():.4f}")
