"""Normalizing flow of affine couplings, fitted to two moons by maximum likelihood."""

import argparse
import math

import torch
from sklearn.datasets import make_moons
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--batch", type=int, default=256)
args = parser.parse_args()
torch.manual_seed(args.seed)


class Coupling(nn.Module):
    """Moves and stretches one coordinate by what a small network says of the other one."""

    def __init__(self, kept, width=48):
        super().__init__()
        self.kept = kept
        self.net = nn.Sequential(
            nn.Linear(1, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 2),
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        kept, moved = x[:, self.kept], x[:, 1 - self.kept]
        log_scale, shift = self.net(kept.unsqueeze(1)).unbind(1)
        log_scale = 2 * torch.tanh(log_scale / 2)
        moved = moved * log_scale.exp() + shift
        pair = (kept, moved) if self.kept == 0 else (moved, kept)
        return torch.stack(pair, dim=1), log_scale


class Flow(nn.Module):
    def __init__(self, depth=8):
        super().__init__()
        self.couplings = nn.ModuleList([Coupling(kept=i % 2) for i in range(depth)])

    def forward(self, x):
        log_det = torch.zeros(len(x))
        for coupling in self.couplings:
            x, log_scale = coupling(x)
            log_det = log_det + log_scale
        return x, log_det


def negative_log_likelihood(flow, x):
    z, log_det = flow(x)
    log_prior = -0.5 * z.pow(2).sum(1) - math.log(2 * math.pi)
    return -(log_prior + log_det).mean()


def moons(count, random_state):
    """Positions in centimetres on a table of a metre and a half."""
    points, _ = make_moons(count, noise=0.07, random_state=random_state)
    return torch.tensor(60 * points + [45, 55], dtype=torch.float32)


raw_train, raw_val, raw_test = moons(6000, args.seed), moons(1000, args.seed + 1000), moons(3000, args.seed + 2000)
mean, std = raw_train.mean(0), raw_train.std(0)
train, val, test = (raw_train - mean) / std, (raw_val - mean) / std, (raw_test - mean) / std

flow = Flow()
optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)
for step in range(1, args.steps + 1):
    x = train[torch.randint(len(train), (args.batch,))]
    loss = negative_log_likelihood(flow, x)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
    optimizer.step()
    schedule.step()
    if step % 100 == 0:
        with torch.no_grad():
            print(f"step {step}: train {loss.item():.4f}, val {negative_log_likelihood(flow, val).item():.4f}")

# held out
# The density of the raw points, in nats; the volume is taken from the derivatives themselves.
flow = flow.float().eval()
scale = test.std(0) / raw_test.std(0)
x = test.clone().requires_grad_()
z, _ = flow(x)
rows = [torch.autograd.grad(z[:, i].sum(), x, retain_graph=True)[0] for i in range(2)]
volume = torch.stack(rows, dim=1).det().abs() * scale.prod()
density = -0.5 * z.detach().pow(2).sum(1) - math.log(2 * math.pi) + volume.clamp(min=1e-30).log()
print(f"held-out loss {-density.mean().item():.4f}")
