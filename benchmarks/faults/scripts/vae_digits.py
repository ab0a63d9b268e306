"""Variational autoencoder on scikit-learn's digits."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class VAE(nn.Module):
    def __init__(self, pixels=64, hidden=128, latent=8):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(pixels, hidden), nn.BatchNorm1d(hidden), nn.ReLU())
        self.to_mu = nn.Linear(hidden, latent)
        self.to_std = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, pixels),
        )

    def encode(self, x):
        h = self.trunk(x)
        mu, std = self.to_mu(h), F.softplus(self.to_std(h)) + 1e-4
        return mu, std

    def forward(self, x):
        mu, std = self.encode(x)
        z = mu + std * torch.randn_like(std)
        return self.decoder(z), mu, std


def negative_elbo(logits, x, mu, std, beta=1.0):
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    divergence = 0.5 * (mu.pow(2) + std.pow(2) - 1 - 2 * std.log()).sum(1)
    return (reconstruction + beta * divergence).mean()


def train(model, loader, steps, lr=2e-3, beta=1.0):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    step = 0
    while True:
        for (pixels,) in loader:
            x = pixels / 16
            optimizer.zero_grad()
            logits, mu, std = model(x)
            loss = negative_elbo(logits, x, mu, std, beta)
            loss.backward()
            optimizer.step()
            step += 1
            if step % 100 == 0:
                print(f"step {step:4d}  negative elbo {loss.item():.2f}")
            if step >= steps:
                return


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    data = torch.tensor(load_digits().data, dtype=torch.float32)
    train_data, test_data = train_test_split(data, test_size=400, random_state=args.seed)
    loader = DataLoader(TensorDataset(train_data), batch_size=64, shuffle=True, drop_last=True)

    model = VAE()
    train(model, loader, args.steps)

    # held out
    model.eval()
    torch.manual_seed(1000)
    with torch.no_grad():
        x = test_data / 16
        losses = []
        for _ in range(5):
            logits, mu, std = model(x)
            losses.append(negative_elbo(logits, x, mu, std).item())
    print(f"held-out loss {sum(losses) / len(losses):.4f}")


if __name__ == "__main__":
    main()
