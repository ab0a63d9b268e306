"""Which digits are among the three pictures? Multi-label classification with a shared encoder (a deep set)."""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SET = 3


def draw_sets(pixels, target, count, rng):
    """Sets of pictures and, for each of the ten digits, whether the set has it."""
    chosen = rng.integers(len(pixels), size=(count, SET))
    present = np.zeros((count, 10), dtype=np.float32)
    present[np.arange(count)[:, None], target[chosen]] = 1.0
    return torch.from_numpy(pixels[chosen]), torch.from_numpy(present)


class DeepSet(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.enc1 = nn.Linear(64, width)
        self.enc2 = nn.Linear(width, width)
        self.dec = nn.Linear(width, 10)
        self.activation = nn.ReLU()
        self.reset()

    def reset(self):
        for layer in (self.enc1, self.enc2, self.dec):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, sets):
        h = sets.reshape(-1, 64)
        h = self.activation(self.enc1(h))
        h = self.activation(self.enc2(h))
        h = h.view(len(sets), SET, -1).mean(dim=1)
        return self.dec(h)


def run(steps, seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    order = rng.permutation(len(pixels))
    x, y = draw_sets(pixels[order[:1200]], digits.target[order[:1200]], 4000, rng)
    x_test, present = draw_sets(pixels[order[1200:]], digits.target[order[1200:]], 1000, rng)
    dtype = torch.float32

    net = DeepSet().to(dtype)
    share = y.mean(dim=0)  # a digit is in about a quarter of the sets
    criterion = nn.BCEWithLogitsLoss(pos_weight=(1 - share) / share)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    loader = DataLoader(TensorDataset(x.to(dtype), y.to(dtype)), batch_size=64, shuffle=True)
    done = 0
    while done < steps:
        for sets, labels in loader:
            optimizer.zero_grad()
            loss = criterion(net(sets), labels)
            loss.backward()
            optimizer.step()
            done += 1
            if done % 50 == 0:
                print(f"step {done}: loss {loss.item():.4f}")
            if done == steps:
                break
    # held out
    net = net.float().eval()
    weight = torch.where(present == 1, 2.2, 0.65)  # both answers count alike
    with torch.no_grad():
        logits = net(x_test.float())
    loss = nn.functional.binary_cross_entropy_with_logits(logits, present, weight)
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    run(**vars(parser.parse_args()))
