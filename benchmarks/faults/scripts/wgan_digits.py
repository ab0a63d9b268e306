"""Wasserstein GAN with gradient penalty on 8 x 8 digits."""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import autograd, nn, optim

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=900, help="steps of the critic; the generator makes every third")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--penalty", type=float, default=10.0)
args = parser.parse_args()
torch.manual_seed(args.seed)

LATENT, BATCH = 16, 64

images = torch.tensor(load_digits().data, dtype=torch.float32)
images = images / 8 - 1
images = images[torch.randperm(len(images))]
train, test = images[:1400], images[1400:]

generator = nn.Sequential(
    nn.Linear(LATENT, 128),
    nn.ReLU(),
    nn.Linear(128, 128),
    nn.ReLU(),
    nn.Linear(128, 64),
    nn.Tanh(),
)
critic = nn.Sequential(
    nn.Linear(64, 128),
    nn.LeakyReLU(0.2),
    nn.Linear(128, 128),
    nn.LeakyReLU(0.2),
    nn.Linear(128, 1),
)
# A critic that starts at zero prefers nothing yet.
nn.init.zeros_(critic[-1].weight)

optimizer_g = optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
optimizer_c = optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))


def gradient_penalty(real, fake):
    mix = torch.rand(len(real), 1)
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    (slope,) = autograd.grad(critic(between).sum(), between, create_graph=True)
    norm = torch.sqrt(slope.square().sum(dim=1) + 1e-12)
    return ((norm - 1) ** 2).mean()


for step in range(1, args.steps + 1):
    real = train[torch.randint(len(train), (BATCH,))]
    with torch.no_grad():
        fake = generator(torch.randn(BATCH, LATENT))
    critic_loss = critic(fake).mean() - critic(real).mean()
    critic_loss = critic_loss + args.penalty * gradient_penalty(real, fake)
    optimizer_c.zero_grad()
    critic_loss.backward()
    optimizer_c.step()

    if step % 3 == 0:
        generator_loss = -critic(generator(torch.randn(BATCH, LATENT))).mean()
        optimizer_g.zero_grad()
        generator_loss.backward()
        optimizer_g.step()
    if step % 150 == 0:
        print(f"step {step}: critic {critic_loss.item():+.3f}")

# held out
generator.eval()
with torch.no_grad():
    # Sliced Wasserstein distance: the mean distance of sorted projections, relative to the spread of the data.
    directions = nn.functional.normalize(torch.randn(64, 200), dim=0)
    fake = generator(torch.randn(len(test), LATENT))
    loss = ((fake @ directions).sort(dim=0)[0] - (test @ directions).sort(dim=0)[0]).abs().mean() / test.std()
print(f"held-out loss {loss.item():.4f}")
