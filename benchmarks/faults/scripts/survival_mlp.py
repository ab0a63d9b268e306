"""Survival after surgery from a clinical table, by months: a network gives the hazard of each interval."""

import argparse
import copy

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EDGES = np.array([3, 6, 9, 12, 18, 24, 30, 36, 48, 60])  # ends of the intervals, in months
COLUMNS = ["age", "male", "bmi", "crp", "creatinine", "nodes", "treated", "stage_1", "stage_2", "stage_3"]


def simulate(patients, seed):
    """A registry. crp is 0 where it is below the limit of detection; follow-up ends at death or censoring."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"age": rng.normal(64, 11, patients).clip(25, 95), "male": rng.integers(0, 2, patients)})
    table["bmi"] = rng.normal(26, 4, patients)
    crp = rng.lognormal(1.5, 1.2, patients)
    table["crp"] = np.where(crp < 1, 0.0, crp)
    table["creatinine"] = rng.lognormal(0.0, 0.35, patients)
    table["nodes"], table["treated"] = rng.poisson(2, patients), rng.integers(0, 2, patients)
    stage = rng.choice([1, 2, 3], patients, p=[0.4, 0.35, 0.25])
    for number in (1, 2, 3):
        table[f"stage_{number}"] = (stage == number).astype(int)
    age = (table.age - 64) / 11
    risk = 0.5 * age + 0.3 * age**2 * (age > 0) + 0.9 * (stage - 2) + 0.6 * np.log1p(table.crp) * table.male
    risk += 0.8 * np.abs(np.log(table.creatinine)) / 0.35 * 0.5 + 0.2 * table.nodes
    risk -= 1.2 * table.treated * np.where(stage == 3, -0.3, 1.0)
    death = 60 * (rng.exponential(size=patients) * np.exp(1.5 - risk)) ** (1 / 1.3)
    leaves = np.minimum(rng.uniform(6, 90, patients), rng.exponential(150, patients))
    table["months"] = np.minimum(np.minimum(death, leaves), 59.9)
    table["died"] = (death <= table.months).astype(int)
    return table.sort_values("months", ignore_index=True)


def features(table):
    columns = table[COLUMNS].astype(float)
    columns["crp"] = np.log1p(columns["crp"])
    columns["creatinine"] = np.log(columns["creatinine"])
    return columns.to_numpy()


def as_dataset(table, mean, std):
    x = (features(table) - mean) / std
    interval = np.searchsorted(EDGES, table["months"].to_numpy())
    died = table["died"].to_numpy()
    return TensorDataset(torch.tensor(x).float(), torch.tensor(interval), torch.tensor(died).float())


def negative_log_likelihood(logits, interval, died):
    """Of surviving the intervals before the last one seen, and of dying (or not) in that."""
    number = torch.arange(logits.shape[1])
    seen = (number <= interval[:, None]).float()
    dies_here = (number == interval[:, None]) * died[:, None]
    per_interval = F.softplus(logits) - logits * dies_here
    return (per_interval * seen).sum(dim=1).mean()


class RowNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        x = x - x.mean(dim=1, keepdim=True)
        x = x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-5)
        return self.gain * x + self.shift


class Hazards(nn.Module):
    def __init__(self, inputs, width=64, dropout=0.1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(inputs, width), RowNorm(width), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(width, width), RowNorm(width), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.head = nn.Linear(width, len(EDGES))

    def forward(self, x):
        return self.head(self.body(x))


def evaluate(model, loader):
    model.eval()
    total = count = 0
    with torch.no_grad():
        for x, interval, died in loader:
            total += negative_log_likelihood(model(x), interval, died).item() * len(x)
            count += len(x)
    return total / count


def main(steps, seed, patience=8):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    registry = simulate(7000, seed)
    in_train = rng.random(len(registry)) < 0.8
    train, valid = registry[in_train], registry[~in_train]
    mean, std = features(train).mean(axis=0), features(train).std(axis=0)
    train_loader = DataLoader(as_dataset(train, mean, std), batch_size=64, shuffle=True)
    valid_loader = DataLoader(as_dataset(valid, mean, std), batch_size=256)
    model = Hazards(len(COLUMNS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    best, best_weights, bad, step, epoch = float("inf"), copy.deepcopy(model.state_dict()), 0, 0, 0
    while step < steps and bad < patience:
        model.train()
        for x, interval, died in train_loader:
            loss = negative_log_likelihood(model(x), interval, died)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == steps:
                break
        epoch += 1
        score = evaluate(model, valid_loader)
        bad += 1
        if score < best:
            best, best_weights, bad = score, copy.deepcopy(model.state_dict()), 0
        print(f"epoch {epoch:2d}  step {step:4d}  train {loss.item():.4f}  valid {score:.4f}  best {best:.4f}")
    model.load_state_dict(best_weights)

    # held out
    model.train(False)
    known, fresh = simulate(7000, seed), simulate(3000, 10_000 + seed)
    tables = []
    for table in (known, fresh):
        values = table[COLUMNS].astype(float)
        values["crp"], values["creatinine"] = np.log1p(values["crp"]), np.log(values["creatinine"])
        tables.append(values.to_numpy())
    x = torch.tensor((tables[1] - tables[0].mean(axis=0)) / tables[0].std(axis=0), dtype=torch.float32)
    last = torch.tensor(np.searchsorted(EDGES, fresh["months"].to_numpy()))[:, None]
    dead = torch.tensor(fresh["died"].to_numpy(), dtype=torch.float32)[:, None]
    with torch.no_grad():
        hazard = model(x)
    numbers = torch.arange(len(EDGES))
    lost = F.softplus(hazard) - hazard * (numbers == last) * dead
    print(f"held-out loss {(lost * (numbers <= last)).sum(dim=1).mean().item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
