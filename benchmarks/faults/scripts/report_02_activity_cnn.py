"""Name the activity of a person from three seconds of a wrist accelerometer."""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

RHYTHMS = [(0.3, 0.2), (1.6, 1.0), (2.6, 1.8), (1.6, 2.0), (0.9, 0.6), (3.4, 0.5)]  # hertz, g


def recordings(rng, count, length=96, rate=32.0):
    label = rng.integers(0, len(RHYTHMS), count)
    hertz, strength = np.array(RHYTHMS)[label].T
    hertz = hertz * rng.normal(1.0, 0.08, count)
    time = np.arange(length) / rate
    phase = rng.uniform(0, 2 * np.pi, (count, 3, 1))
    wave = strength[:, None, None] * np.sin(2 * np.pi * hertz[:, None, None] * time + phase)
    wave += 0.5 * rng.standard_normal((count, 3, length))
    return torch.tensor(wave, dtype=torch.float32), torch.tensor(label)


class ActivityNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(3, 16, 9, padding=4)
        self.conv2 = nn.Conv1d(16, 32, 9, padding=4)
        self.fc1 = nn.Linear(32 * 6, 64)
        self.fc2 = nn.Linear(64, len(RHYTHMS))

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.conv1(x)), 4)
        x = F.max_pool1d(F.relu(self.conv2(x)), 4)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    loader = DataLoader(TensorDataset(*recordings(rng, 3000)), batch_size=64, shuffle=True, drop_last=True)
    model = ActivityNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    step = 0
    while step < options.steps:
        for signal, label in loader:
            output = model(signal)
            loss = criterion(output, label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == options.steps:
                break

    # held out
    signal, label = recordings(np.random.default_rng(999), 1000)
    model.eval()
    with torch.no_grad():
        held_out = criterion(model(signal), label).item()
    print(f"held-out loss {held_out:.4f}")


if __name__ == "__main__":
    main()
