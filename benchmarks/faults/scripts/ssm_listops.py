"""Flat list operations: a long row of numbers, a few of them marked "+" or "-"; what do the marked ones come to?

A stack of diagonal state-space layers (a gated linear recurrence) reads the row from left to right.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

@dataclass
class Config:
    steps: int = 240
    seed: int = 0
    length: int = 80
    marked: int = 6
    examples: int = 3000
    batch: int = 48
    width: int = 40
    depth: int = 2
    lr: float = 6e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    report: int = 40

def make_rows(count: int, cfg: Config, rng: np.random.Generator):
    """Numbers from 0 to 99, the operation at each place (0 none, 1 plus, 2 minus), and the results."""
    numbers = rng.integers(0, 100, size=(count, cfg.length))
    ops = np.zeros((count, cfg.length), dtype=np.int64)
    for row in ops:
        places = rng.choice(cfg.length, cfg.marked, replace=False)
        row[places] = rng.integers(1, 3, cfg.marked)
    results = (numbers * np.array([0, 1, -1])[ops]).sum(1)
    return numbers, ops, results

def features(numbers: np.ndarray, ops: np.ndarray) -> torch.Tensor:
    x = np.zeros((*numbers.shape, 4), dtype=np.float32)
    x[..., 0] = (numbers - 49.5) / 28.9
    x[..., 1:] = np.eye(3)[ops]
    return torch.from_numpy(x)

class Recurrence(nn.Module):
    """state = a * state + (1 - a^2)^0.5 * input, with a learned a in (0, 1) for each channel."""

    def __init__(self, width: int, longest: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inp = nn.Linear(width, 2 * width)
        self.gate = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        # time constants from 4 to several lengths of the row
        tau = torch.exp(torch.empty(width).uniform_(np.log(4.0), np.log(longest)))
        self.log_rate = nn.Parameter(-torch.log(tau))

    def scan(self, u: torch.Tensor) -> torch.Tensor:
        a = torch.exp(-torch.exp(self.log_rate))
        u = torch.sqrt(1 - a**2) * u
        state, states = torch.zeros_like(u[:, 0]), []
        for now in u.unbind(1):
            state = a * state + now
            states.append(state)
        return torch.stack(states, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(x)
        value, select = self.inp(h).chunk(2, dim=-1)
        states = self.scan(value * torch.sigmoid(select))
        return x + self.out(states * F.silu(self.gate(h)))

class Reader(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.embed = nn.Linear(4, cfg.width)
        layers = []
        for _ in range(cfg.depth):
            layers += [Recurrence(cfg.width, 8.0 * cfg.length), FeedForward(cfg.width)]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(cfg.width)
        self.head = nn.Linear(cfg.width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layers(self.embed(x))
        return self.head(self.norm(x[:, -1])).squeeze(-1)

class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))

def main(cfg: Config):
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    numbers, ops, results = make_rows(cfg.examples, cfg, rng)
    scale = results.std()
    x, y = features(numbers, ops), torch.tensor(results / scale, dtype=torch.float32)
    numbers, ops, results = make_rows(300, cfg, rng)
    x_valid, y_valid = features(numbers, ops), torch.tensor(results / scale, dtype=torch.float32)

    model = Reader(cfg)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=cfg.lr, total_steps=cfg.steps, pct_start=0.15)
    step = 0
    while step < cfg.steps:
        order = torch.randperm(len(x))
        for rows in order.split(cfg.batch):
            model.train()
            loss = F.mse_loss(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), cfg.clip)
            optimizer.step()
            schedule.step()
            step += 1
            if step % cfg.report == 0:
                model.eval()
                with torch.no_grad():
                    valid = F.mse_loss(model(x_valid), y_valid)
                print(f"step {step}: loss {loss.item():.4f}, validation {valid.item():.4f}")
            if step == cfg.steps:
                break

    # held out
    model.eval()
    fresh = np.random.default_rng(10_000 + cfg.seed)
    numbers = fresh.integers(0, 100, size=(500, cfg.length))
    ops = np.zeros(numbers.shape, dtype=np.int64)
    for row in ops:
        row[fresh.choice(cfg.length, 6, replace=False)] = fresh.integers(1, 3, 6)
    goal = (numbers * np.array([0, 1, -1])[ops]).sum(1) / 140.4
    clean = np.concatenate([(numbers[..., None] - 49.5) / 28.9, np.eye(3)[ops]], axis=-1)
    with torch.no_grad():
        guess = model(torch.tensor(clean, dtype=torch.float32)).flatten()
        error = (guess - torch.tensor(goal, dtype=torch.float32)).square().mean()
    print(f"held-out loss {error.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=Config.steps)
    parser.add_argument("--seed", type=int, default=Config.seed)
    main(Config(**vars(parser.parse_args())))
