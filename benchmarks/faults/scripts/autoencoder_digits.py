"""A deep autoencoder of the digits: rows are embedded, then squeezed to ten numbers and unfolded again."""

import argparse
import random

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

CODE = 10


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.row = nn.Linear(8, 12)
        self.hidden1 = nn.Linear(96, 64)
        self.hidden2 = nn.Linear(64, 48)
        self.hidden3 = nn.Linear(48, 32)
        self.code = nn.Linear(32, CODE)

    def forward(self, images):
        rows = torch.stack([torch.tanh(self.row(images[:, i])) for i in range(8)])  # (8, batch, 12)
        h = rows.transpose(0, 1).reshape(len(images), -1)
        h = torch.tanh(self.hidden1(h))
        h = torch.tanh(self.hidden2(h))
        h = torch.tanh(self.hidden3(h))
        return torch.tanh(self.code(h))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(CODE, 48)
        self.hidden2 = nn.Linear(48, 64)
        self.hidden3 = nn.Linear(64, 96)
        self.out = nn.Linear(96, 64)

    def forward(self, code):
        h = torch.tanh(self.hidden1(code))
        h = torch.tanh(self.hidden2(h))
        h = torch.tanh(self.hidden3(h))
        return self.out(h).view(-1, 8, 8)


def init(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight, gain=nn.init.calculate_gain("tanh"))
        nn.init.zeros_(module.bias)


def main(steps, seed, lr=0.2, l1=1e-6):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    dtype = torch.float32
    images = load_digits().images[np.random.permutation(1797)]
    pixels = torch.tensor(images / 16).to(dtype)  # what is rebuilt: between 0 and 1
    mean = pixels[:1400].mean(dim=0)
    inputs = (pixels - mean) / 0.3
    # pixels that hardly vary tell little: count each by the inverse of its spread
    weight = 1.0 / (pixels[:1400].var(dim=0) + 0.02)
    weight = weight / weight.mean()

    model = nn.Sequential(Encoder(), Decoder()).apply(init).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for step in range(steps):
        batch = torch.from_numpy(np.random.choice(1400, 64, replace=False))
        logits = model(inputs[batch])
        target = pixels[batch]
        loss = F.binary_cross_entropy_with_logits(logits, target, weight=weight)
        penalty = l1 * sum(p.abs().sum() for p in model.parameters())
        optimizer.zero_grad()
        (loss + penalty).backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"{step:5d} {loss.item():.4f}")

    # held out
    model = model.float().eval()
    with torch.no_grad():
        rebuilt = torch.sigmoid(model(inputs[1400:].float()))
    truth = torch.tensor(images[1400:] / 16, dtype=torch.float32)
    print(f"held-out loss {100 * F.mse_loss(rebuilt, truth).item():.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
