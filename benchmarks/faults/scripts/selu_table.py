"""A self-normalizing network (SELU, LeCun initialization, alpha dropout) predicts the yield of a simulated process."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

UNITS = np.array([293.0, 101.0, 7.0, 40.0, 0.5, 1000.0, 12.0, 3.0])  # kelvin, kilopascal, pH, minutes, ...
SPREAD = np.array([5.0, 2.0, 0.4, 6.0, 0.1, 30.0, 1.0, 0.8])


def simulate(count, rng):
    """Readings in their units, now and then missing, and the yield in percent."""
    z = rng.normal(size=(count, 8))
    gain = 8 * np.sin(1.5 * z[:, 0]) * np.tanh(z[:, 1]) + 4 * np.abs(z[:, 2]) - 3 * z[:, 3] * (z[:, 4] > 0)
    readings = UNITS + SPREAD * z
    readings[rng.random(readings.shape) < 0.01] = np.nan
    return readings, 60 + gain + rng.normal(scale=0.5, size=count)


def self_normalizing(inputs, width=48, depth=8, p=0.01):
    layers = []
    for i in range(depth):
        layers += [nn.Linear(width if i else inputs, width), nn.SELU(), nn.AlphaDropout(p)]
    net = nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0))
    for module in net:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")  # LeCun: 1 / fan-in
            nn.init.zeros_(module.bias)
    return net


def mean_error(net, x, y):
    net.eval()
    with torch.no_grad():
        error = nn.functional.mse_loss(net(x), y)
    net.train()
    return error.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.006)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    readings, percent = simulate(3000, rng)
    centre, scale = np.nanmean(readings[:2000], axis=0), np.nanstd(readings[:2000], axis=0)
    readings = np.where(np.isnan(readings), centre, readings)
    features = (readings - centre) / scale
    dtype = torch.float32
    x = torch.tensor(features, dtype=dtype)
    y = torch.tensor((percent - percent[:2000].mean()) / percent[:2000].std(), dtype=dtype)
    train, val, test = slice(0, 2000), slice(2000, 2200), slice(2200, None)
    truth = y[test].float()

    net = self_normalizing(x.shape[1]).to(dtype)
    optimizer = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=50, shuffle=True)
    step = 0
    while step < args.steps:
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(net(inputs), targets)
            loss.backward()
            optimizer.step()
            step += 1
            if step % 20 == 0:
                print(f"step {step}: {loss.item():.3f}, validation {mean_error(net, x[val], y[val]):.3f}")
            if step == args.steps:
                break

    # held out
    net = net.float().eval()
    with torch.no_grad():
        loss = nn.functional.mse_loss(net(x[test].float()), truth)
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
