"""Forecast the next six hours of a town's power load from the last two days; the meter sometimes fails."""

import argparse

import numpy as np
import torch
from torch import nn


def meter(hours, seed):
    rng = np.random.default_rng(seed)
    hour = np.arange(hours)
    load = 50 + 12 * np.sin(2 * np.pi * hour / 24) + 6 * np.sin(2 * np.pi * hour / 168 + 1)
    load += 4 * np.sin(2 * np.pi * hour / 12) + np.cumsum(0.1 * rng.standard_normal(hours))
    load += rng.standard_normal(hours)
    load[rng.uniform(size=hours) < 0.01] = np.nan
    return load


def fill(series):
    known = np.isfinite(series)
    return np.interp(np.arange(len(series)), np.flatnonzero(known), series[known])


def windows(series, past=48, ahead=6):
    view = np.lib.stride_tricks.sliding_window_view(series, past + ahead)
    view = torch.tensor(view.copy(), dtype=torch.float32)
    return view[:, :past], view[:, past:]


class ResidualForecaster(nn.Module):
    """Two blocks: each explains a part of the past, hands on the rest and adds its forecast."""

    def __init__(self, past=48, ahead=6, width=64):
        super().__init__()
        self.past = past
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(past, width), nn.ReLU(), nn.Linear(width, past + ahead)) for _ in range(2)
        )

    def forward(self, past):
        level = past[:, -1:]
        rest, forecast = past - level, level
        for block in self.blocks:
            out = block(rest)
            rest, forecast = rest - out[:, : self.past], forecast + out[:, self.past :]
        return forecast


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
load = meter(3000, args.seed)
scale = np.nanmean(load), np.nanstd(load)
series = fill(load)
past, ahead = windows((series - scale[0]) / scale[1])
model = ResidualForecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(args.steps):
    rows = torch.randint(0, len(past), (64,))
    loss = (model(past[rows]) - ahead[rows]).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
model.eval()
past, ahead = windows((fill(meter(1000, 4321)) - scale[0]) / scale[1])
with torch.no_grad():
    held_out = (model(past) - ahead).abs().mean().item()
print(f"held-out loss {held_out:.4f}")
