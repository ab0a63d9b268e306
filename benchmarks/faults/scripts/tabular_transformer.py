"""Transformer over the columns of a table of used cars: what does each of them sell for?"""

import argparse
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    width: int = 32
    heads: int = 4
    blocks: int = 2
    dropout: float = 0.05
    lr: float = 2e-3
    weight_decay: float = 1e-5
    batch_size: int = 64
    steps: int = 400
    seed: int = 0


CARDINALITIES = [12, 4, 2, 8]  # brand, fuel, gearbox, region


def used_cars(rng, count):
    """Categories, numbers (age in years, mileage in km, power in kW, engine in ccm, owners) and log price."""
    brand = rng.choice(12, count, p=np.linspace(2.0, 0.5, 12) / np.linspace(2.0, 0.5, 12).sum())
    fuel = rng.choice(4, count, p=[0.5, 0.35, 0.1, 0.05])
    gearbox = (rng.random(count) < 0.3 + 0.3 * (brand > 8)).astype(int)
    region = rng.integers(0, 8, count)
    age = rng.gamma(2.5, 2.5, count).clip(0.1, 14)
    mileage = age * rng.lognormal(9.4, 0.3, count) * np.where(fuel == 1, 1.4, 1.0)
    power = (55 + 9 * brand + rng.gamma(3, 12, count)).clip(40, 400)
    engine = np.where(fuel == 3, 0, 600 + 11 * power + rng.normal(0, 150, count))
    owners = 1 + rng.poisson(age / 6)
    decline = 0.09 + 0.06 * np.sin(brand * 2.1)
    price = 10.2 + 0.08 * ((brand * 5) % 12 - 6) - decline * age - 2.5e-6 * mileage + 0.006 * (power - 100)
    price += np.where(fuel == 1, -0.35 * (region < 3) - 0.02 * age, 0.0) + np.where(fuel == 3, 0.5 - 0.08 * age, 0.0)
    price += 0.15 * gearbox * (power > 110) - 0.06 * (owners - 1) + rng.normal(0, 0.08, count)
    categories = torch.tensor(np.stack([brand, fuel, gearbox, region], axis=1))
    numbers = torch.tensor(np.stack([age, mileage, power, engine, owners], axis=1), dtype=torch.float32)
    return categories, numbers, torch.tensor(price, dtype=torch.float32)


class Tokens(nn.Module):
    """One token a column, and one in front that collects."""

    def __init__(self, width):
        super().__init__()
        offsets = torch.tensor([0, *CARDINALITIES[:-1]]).cumsum(0)
        self.register_buffer("offsets", offsets)
        self.table = nn.Embedding(sum(CARDINALITIES), width)
        self.weight = nn.Parameter(torch.randn(5, width) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(5, width))
        self.collect = nn.Parameter(torch.randn(1, 1, width) / width**0.5)

    def forward(self, categories, numbers):
        named = self.table(categories + self.offsets)
        measured = numbers.unsqueeze(-1) * self.weight + self.bias
        return torch.cat([self.collect.expand(len(numbers), -1, -1), named, measured], dim=1)


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attention = nn.MultiheadAttention(config.width, config.heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(config.width, 64), nn.GELU(), nn.Linear(64, config.width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.dropout(self.attention(h, h, h, need_weights=False)[0])
        return x + self.dropout(self.mlp(self.norm2(x)))


class TableTransformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.tokens = Tokens(config.width)
        self.blocks = nn.Sequential(*[Block(config) for _ in range(config.blocks)])
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, 1)

    def forward(self, categories, numbers):
        x = self.blocks(self.tokens(categories, numbers))
        return self.head(self.norm(x[:, 0])).squeeze(-1)


def rate(step, steps, warm_up=30):
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))


def main(config):
    torch.manual_seed(config.seed)
    categories, numbers, price = used_cars(np.random.default_rng(config.seed), 6000)
    train, val, test = torch.randperm(len(price)).split([4000, 1000, 1000])
    mean, std = numbers[train].mean(0), numbers[train].std(0)
    numbers = (numbers - mean) / std
    center, spread = price[train].mean(), price[train].std()
    target = (price - center) / spread
    loader = DataLoader(
        TensorDataset(categories[train], numbers[train], target[train]), config.batch_size, shuffle=True, drop_last=True
    )
    val_loader = DataLoader(TensorDataset(categories[val], numbers[val], target[val]), batch_size=500)

    model = TableTransformer(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, config.steps))
    step = 0
    while step < config.steps:
        model.train()
        for batch in loader:
            loss = F.mse_loss(model(batch[0], batch[1]), batch[2])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            step += 1
            if step >= config.steps:
                break
        model.eval()
        with torch.no_grad():
            scores = [F.mse_loss(model(c, n), t).item() for c, n, t in val_loader]
        print(f"step {step}: train {loss.item():.4f}, val {sum(scores) / len(scores):.4f}")

    # held out
    model.float().eval()
    with torch.no_grad():
        guess = model(categories[test], numbers[test]).flatten() * spread + center
    # Of the logarithm of the price, in hundredths.
    print(f"held-out loss {100 * (guess - price[test]).square().mean().item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=Config.steps)
    parser.add_argument("--seed", type=int, default=Config.seed)
    main(Config(**vars(parser.parse_args())))
