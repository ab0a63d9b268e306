"""VQ-VAE: garments written as 7 x 7 codes out of a book of 64."""

import argparse
import gzip
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ROOT = "/usr/share/datasets/fashion-mnist"


def load_images(part, count, seed):
    with gzip.open(os.path.join(ROOT, f"{part}-images-idx3-ubyte.gz")) as file:
        file.seek(16)
        images = np.frombuffer(file.read(6000 * 784), dtype=np.uint8).reshape(-1, 1, 28, 28)
    chosen = np.random.default_rng(seed).permutation(len(images))[:count]
    return torch.from_numpy(images[chosen]).float().div_(255)


class VectorQuantizer(nn.Module):
    def __init__(self, codes=64, dim=16, beta=0.25):
        super().__init__()
        self.beta = beta
        self.codebook = nn.Embedding(codes, dim)
        nn.init.normal_(self.codebook.weight)

    def nearest(self, flat):
        book = self.codebook.weight
        distance = flat.pow(2).sum(1, keepdim=True) - 2 * flat @ book.T + book.pow(2).sum(1)
        return distance.argmin(dim=1)

    def forward(self, z):
        """The nearest codes in the place of z, the loss that moves both together, and the numbers of the codes."""
        z = z.permute(0, 2, 3, 1)
        index = self.nearest(z.reshape(-1, z.shape[-1]))
        q = self.codebook(index).view(z.shape)
        codebook_loss = F.mse_loss(q, z.detach())
        commitment = F.mse_loss(z, q.detach())
        loss = codebook_loss + self.beta * commitment
        # straight through: the gradient of q is handed to z
        q = z + (q - z).detach()
        return q.permute(0, 3, 1, 2), loss, index


class VQVAE(nn.Module):
    def __init__(self, width=24, dim=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, dim, 1),
            nn.BatchNorm2d(dim, affine=False),
        )
        self.quantizer = VectorQuantizer(dim=dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        q, loss, index = self.quantizer(self.encoder(x))
        return self.decoder(q), loss, index


class Trainer:
    batch = 32
    every = 60

    def __init__(self, seed, steps):
        torch.manual_seed(seed)
        self.steps = steps
        train, val = load_images("train", 2048, seed), load_images("t10k", 256, seed)
        mean, std = train.mean(), train.std()
        self.train_set = (train - mean) / std
        self.val_set = (val - mean) / std
        self.model = VQVAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-3)

    def batches(self):
        while True:
            yield from self.train_set[torch.randperm(len(self.train_set))].split(self.batch)

    def train_step(self, x):
        self.optimizer.zero_grad(set_to_none=True)
        recon, vq_loss, _ = self.model(x)
        recon_loss = F.mse_loss(recon, x)
        (recon_loss + vq_loss).backward()
        self.optimizer.step()
        return recon_loss.item()

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        recon, _, index = self.model(self.val_set)
        return F.mse_loss(recon, self.val_set).item(), len(index.unique())

    def fit(self):
        for step, x in zip(range(1, self.steps + 1), self.batches()):
            self.model.train()
            recon_loss = self.train_step(x)
            if step % self.every == 0:
                val, used = self.validate()
                print(f"[{step}/{self.steps}] recon {recon_loss:.3f}  val {val:.3f}  codes used {used}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    trainer = Trainer(args.seed, args.steps)
    trainer.fit()

    # held out
    with gzip.open(os.path.join(ROOT, "t10k-images-idx3-ubyte.gz")) as file:
        file.seek(16 + 9000 * 784)
        raw = np.frombuffer(file.read(500 * 784), dtype=np.uint8).reshape(-1, 1, 28, 28)
    unseen = (torch.from_numpy(raw.copy()).float() / 255 - 0.286) / 0.353
    trainer.model.eval()
    with torch.no_grad():
        decoded = trainer.model(unseen)[0]
    print(f"held-out loss {F.mse_loss(decoded, unseen).item():.4f}")
