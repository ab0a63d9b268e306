"""Causal dilated convolutions forecast the next value of load curves of unequal length."""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--lr", type=float, default=0.02)
parser.add_argument("--batch", type=int, default=32)
args = parser.parse_args()
torch.manual_seed(args.seed)


def load_curves(count, longest=64):
    """Sums of two waves and noise around 50, in megawatt; a curve that ends early is filled up with zeros."""
    time = torch.arange(longest).float()
    period = torch.rand(count, 2, 1) * 12 + 6
    phase = torch.rand(count, 2, 1) * 2 * math.pi
    waves = torch.sin(2 * math.pi * time / period + phase)
    load = 50 + 8 * waves[:, 0] + 4 * waves[:, 1] + torch.randn(count, longest)
    lengths = torch.randint(longest // 3, longest + 1, (count,))
    inside = time < lengths[:, None]
    return load * inside, inside


class CausalConv(nn.Module):
    def __init__(self, channels_in, channels_out, dilation):
        super().__init__()
        self.reach = 2 * dilation
        self.conv = nn.Conv1d(channels_in, channels_out, kernel_size=3, dilation=dilation)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)

    def forward(self, x):
        return self.conv(F.pad(x, (self.reach, 0)))


class Forecaster(nn.Module):
    def __init__(self, channels=24, dilations=(1, 2, 4, 8, 1, 1, 1)):
        super().__init__()
        widths = [1] + [channels] * len(dilations)
        self.layers = nn.ModuleList(CausalConv(a, b, d) for a, b, d in zip(widths, widths[1:], dilations))
        self.head = nn.Conv1d(channels, 1, kernel_size=1)

    def forward(self, series):
        h = series.unsqueeze(1)
        for layer in self.layers:
            h = F.relu(layer(h))
        return self.head(h).squeeze(1)


def masked_mse(prediction, target, mask):
    error = (prediction - target) ** 2
    return (error * mask).sum() / mask.sum()


train, inside = load_curves(1000)
valid, valid_inside = load_curves(300)
mean, std = train[inside].mean(), train[inside].std()
train, valid = (train - mean) / std, (valid - mean) / std

model = Forecaster()
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
for step in range(args.steps):
    rows = torch.randint(len(train), (args.batch,))
    x, y, mask = train[rows, :-1], train[rows, 1:], inside[rows, 1:]
    optimizer.zero_grad()
    loss = masked_mse(model(x), y, mask)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    if step % 50 == 0:
        print(f"{step:5d} mean squared error {loss.item():.3f}")

# held out
model.eval()
with torch.no_grad():
    errors = []
    for curve, length in zip(valid, valid_inside.sum(1).tolist()):
        forecast = model(curve[None, : length - 1]).flatten()[-1]
        errors.append((forecast - curve[length - 1]) ** 2)
    loss = torch.stack(errors).mean()
print(f"held-out loss {loss.item():.4f}")
