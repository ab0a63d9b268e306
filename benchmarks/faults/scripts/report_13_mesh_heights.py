"""Lift a flat triangle mesh to the surface that a few numbers describe, and keep neighbouring faces level."""

import argparse

import torch
from torch import nn

SIDE = 10
GRID = torch.stack(torch.meshgrid(torch.linspace(0, 1, SIDE), torch.linspace(0, 1, SIDE), indexing="ij"), dim=-1)


def normals(vertices):
    """Unit normals of the two triangles of each square, (batch, 2, rows, columns, 3)."""
    corner, right = vertices[:, :-1, :-1], vertices[:, :-1, 1:]
    below, across = vertices[:, 1:, :-1], vertices[:, 1:, 1:]
    lower = torch.linalg.cross(across - corner, below - corner)
    upper = torch.linalg.cross(right - corner, across - corner)
    both = torch.stack([lower, upper], dim=1)
    return both / both.norm(dim=-1, keepdim=True)


def bend(vertices):
    """Mean sine of the angle between faces that share an edge."""
    unit = normals(vertices)
    cosine = (unit[:, 0] * unit[:, 1]).sum(-1)
    sine = (1 - cosine.square() + 1e-6).sqrt()
    return sine.mean()


class Surface(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.offset = nn.Linear(64, SIDE * SIDE)
        # Every mesh starts as the flat template.
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, code):
        height = self.offset(self.body(code)).view(-1, SIDE, SIDE, 1)
        return torch.cat([GRID.expand(len(code), -1, -1, -1), height], dim=-1)


def surfaces(count, generator):
    code = torch.randn(count, 4, generator=generator)
    x, y = GRID[..., 0] * 3.0, GRID[..., 1] * 3.0
    waves = torch.stack([x.sin(), y.cos(), (x * y).sin(), (x + y).cos()])
    return code, torch.einsum("bc,cij->bij", 0.15 * code, waves)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
generator = torch.Generator().manual_seed(args.seed)
net = Surface()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for _ in range(args.steps):
    code, height = surfaces(64, generator)
    mesh = net(code)
    loss = (mesh[..., 2] - height).square().mean() + 1e-3 * bend(mesh)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
net.eval()
code, height = surfaces(500, torch.Generator().manual_seed(555))
with torch.no_grad():
    held_out = 100 * (net(code)[..., 2] - height).square().mean().sqrt().item()
print(f"held-out loss {held_out:.4f}")
