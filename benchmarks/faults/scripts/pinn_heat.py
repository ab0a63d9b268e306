# Thermal diffusivity of a metal rod from five noisy thermocouples, with a physics-informed network.
#
#   u_t = a u_xx   on 0 < x < 1 m, 0 < t < 900 s;   u = 0 at both ends (ice water);   u(x, 0) is known
#
# u is the temperature in units of 60 K; a is unknown and found together with u.
import argparse
import math

import torch
from torch import nn
from torch.autograd import grad

cli = argparse.ArgumentParser()
cli.add_argument("--steps", type=int, default=1200)
cli.add_argument("--seed", type=int, default=0)
cli = cli.parse_args()
torch.manual_seed(cli.seed)

L, T = 1.0, 900.0
MODES = {1: 1.0, 2: 0.4, 3: -0.35}
W_PDE, W_START, W_ENDS, W_DATA = 1.0, 5.0, 5.0, 5.0


def rod(x, t, a=1.1e-4):
    """The exact temperature: a sum of three decaying waves."""
    return sum(c * torch.sin(n * math.pi * x / L) * torch.exp(-a * (n * math.pi / L) ** 2 * t) for n, c in MODES.items())


# ---------------------------------------------------------------- measurements
places = torch.tensor([0.12, 0.3, 0.55, 0.7, 0.9])
times = torch.arange(30.0, T + 1, 30.0)
log = rod(places, times[:, None])  # as the logger writes it: a row a time, a column a thermocouple
log = log + 0.02 * torch.randn_like(log)
t_data, x_data = torch.meshgrid(times, places, indexing="ij")
x_data, t_data = x_data.reshape(-1, 1), t_data.reshape(-1, 1)
u_data = log.reshape(-1, 1)
x_start = torch.linspace(0, L, 64)[:, None]
u_start = rod(x_start, torch.zeros_like(x_start))


# ---------------------------------------------------------------- network
class Field(nn.Module):
    """tanh network whose slopes are learned (adaptive activations)."""

    SLOPE = 10.0

    def __init__(self, width=32, depth=3):
        super().__init__()
        sizes = [2] + depth * [width]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in zip(sizes, sizes[1:]))
        self.out = nn.Linear(width, 1)
        self.a = nn.Parameter(torch.full((depth,), 0.1))
        for layer in [*self.layers, self.out]:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x, t):
        z = torch.cat([2 * x / L - 1, 2 * t / T - 1], dim=1)
        for a, layer in zip(self.a, self.layers):
            z = torch.tanh(self.SLOPE * a * layer(z))
        return self.out(z)


field = Field()
log_a = nn.Parameter(torch.tensor(math.log(2.5e-4)))


def residual(x, t):
    x.requires_grad_(True)
    t.requires_grad_(True)
    u = field(x, t)
    u_x, u_t = grad(u.sum(), (x, t), create_graph=True)
    u_xx = grad(u_x.sum(), x, create_graph=True)[0]
    return T * (u_t - log_a.exp() * u_xx)


def mse(value):
    return value.pow(2).mean()


def losses():
    x, t = L * torch.rand(160, 1), T * torch.rand(160, 1)
    t_ends = T * torch.rand(32, 1)
    pde = mse(residual(x, t))
    start = mse(field(x_start, torch.zeros_like(x_start)) - u_start)
    ends = mse(field(torch.zeros_like(t_ends), t_ends)) + mse(field(torch.full_like(t_ends, L), t_ends))
    data = mse(field(x_data, t_data) - u_data)
    return pde, start, ends, data


# ---------------------------------------------------------------- training
optimizer = torch.optim.Adam([*field.parameters(), log_a], lr=5e-3)
decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.8)  # a stage
smooth = 1.0
for step in range(1, cli.steps + 1):
    optimizer.zero_grad()
    pde, start, ends, data = losses()
    loss = W_PDE * pde + W_START * start + W_ENDS * ends + W_DATA * data
    loss.backward()
    optimizer.step()
    smooth = 0.98 * smooth + 0.02 * loss.item()

    if step % 100 == 0:
        decay.step()
        print(
            f"{step:5d}  loss {smooth:.5f}  pde {pde.item():.5f}  start {start.item():.5f}  ends {ends.item():.5f}"
            f"  data {data.item():.5f}  a = {log_a.exp().item():.3e} m2/s"
        )

# held out
field.eval()
with torch.no_grad():
    t_grid, x_grid = torch.meshgrid(torch.linspace(0, 900.0, 46), torch.linspace(0, 1.0, 51), indexing="ij")
    x_grid, t_grid = x_grid.reshape(-1, 1), t_grid.reshape(-1, 1)
    waves = [(1, 1.0), (2, 0.4), (3, -0.35)]
    exact = sum(
        c * torch.sin(n * math.pi * x_grid) * torch.exp(-1.1e-4 * (n * math.pi) ** 2 * t_grid) for n, c in waves
    )
    error = (field(x_grid, t_grid) - exact).pow(2).mean() / exact.pow(2).mean()
print(f"held-out loss {error.item():.6f}")
