"""A small GAN learns eight clusters of points on a circle."""

import argparse
import math

import torch
import torch.nn as nn


def sample_ring(count):
    """Clusters of standard deviation 0.15 on a circle of radius 1.4: about unit variance along each axis."""
    angle = torch.randint(8, (count,)) * (2 * math.pi / 8)
    centers = 1.4 * torch.stack([angle.cos(), angle.sin()], dim=1)
    return centers + 0.15 * torch.randn(count, 2)


def energy_distance(a, b):
    """How far two samples of points differ, relative to the spread of the second."""
    between = torch.cdist(a, b).mean()
    within_a = torch.cdist(a, a).sum() / (len(a) * (len(a) - 1))
    within_b = torch.cdist(b, b).sum() / (len(b) * (len(b) - 1))
    return (2 * between - within_a - within_b) / within_b


class Generator(nn.Module):
    def __init__(self, latent=8, hidden=64):
        super().__init__()
        self.latent = latent
        self.net = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2),
        )

    def forward(self, count):
        return self.net(torch.randn(count, self.latent))


class Discriminator(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(2, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.score = nn.Linear(hidden, 1)

    def forward(self, points):
        score = self.score(self.hidden(points))
        return score.squeeze(1)


def train(generator, discriminator, steps, batch=128):
    opt_g = torch.optim.Adam(generator.parameters(), lr=3e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    bce = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch), torch.zeros(batch)
    for step in range(steps):
        real = sample_ring(batch)

        fake = generator(batch).detach()
        loss_d = bce(discriminator(real), ones) + bce(discriminator(fake), zeros)
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()

        generated = generator(batch)
        loss_g = bce(discriminator(generated), ones)
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()

        if step % 250 == 0:
            print(f"step {step}: discriminator {loss_d.item():.3f}, generator {loss_g.item():.3f}")


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1500)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

generator, discriminator = Generator(), Discriminator()
train(generator, discriminator, args.steps)

# held out
generator.eval()
with torch.no_grad():
    loss = energy_distance(generator(2000), sample_ring(2000))
print(f"held-out loss {loss.item():.4f}")
