"""Joint angles of a two-link arm from where a camera sees its hand.

Two postures (elbow up or down) reach the same point, so a mixture of Gaussians is predicted rather than one mean.
"""

import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

UPPER, LOWER = 0.30, 0.22  # m
SCREEN = 640


def record(count, generator, lost=0.005):
    """Random postures: the pixel where the hand is seen, and the angles of shoulder and elbow (rad).

    In some frames the camera loses the hand and reports any point.
    """
    shoulder = 1.5 * torch.randn(count, generator=generator).clamp(-1.3, 1.3)
    elbow = (0.5 + 1.9 * torch.rand(count, generator=generator)) * (torch.rand(count, generator=generator) - 0.5).sign()
    x = UPPER * torch.cos(shoulder) + LOWER * torch.cos(shoulder + elbow)
    y = UPPER * torch.sin(shoulder) + LOWER * torch.sin(shoulder + elbow)
    seen = SCREEN / 2 + 550 * torch.stack([x, y], dim=1) + 2 * torch.randn(count, 2, generator=generator)
    anywhere = SCREEN * torch.rand(count, 2, generator=generator)
    seen = torch.where(torch.rand(count, 1, generator=generator) < lost, anywhere, seen)
    angles = torch.stack([shoulder, elbow], dim=1) + 0.03 * torch.randn(count, 2, generator=generator)
    return seen.long().clamp(0, SCREEN - 1), angles


def normalise(pixels):
    return 4 * (pixels / SCREEN - 0.5)


class MixtureDensityNetwork(nn.Module):
    def __init__(self, inputs=2, outputs=2, components=5, width=64, dropout=0.02):
        super().__init__()
        self.shape = (components, outputs)
        self.dropout = dropout
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.weight = nn.Linear(width, components)
        self.mean = nn.Linear(width, components * outputs)
        self.log_sigma = nn.Linear(width, components * outputs)
        nn.init.uniform_(self.mean.bias, -1.5, 1.5)
        for head in (self.weight, self.log_sigma):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, x):
        h = F.silu(self.first(x))
        h = F.silu(self.second(h))
        h = F.silu(self.third(h))
        h = F.dropout(h, self.dropout, self.training)
        mean = self.mean(h).unflatten(1, self.shape)
        log_sigma = self.log_sigma(h).unflatten(1, self.shape)
        return self.weight(h), mean, log_sigma


def mixture_nll(weight, mean, log_sigma, target):
    z = (target[:, None, :] - mean) * torch.exp(-log_sigma)
    log_density = -(0.5 * z**2 + log_sigma + 0.5 * math.log(2 * math.pi)).sum(dim=2)
    log_weight = F.log_softmax(weight, dim=1)
    return -torch.logsumexp(log_weight + log_density, dim=1).mean()


class Callback:
    def on_epoch_end(self, trainer, train_loss, valid_loss): ...


class PrintLosses(Callback):
    def on_epoch_end(self, trainer, train_loss, valid_loss):
        rate = trainer.optimizer.param_groups[0]["lr"]
        print(f"step {trainer.step:5d} | train {train_loss:7.4f} | valid {valid_loss:7.4f} | lr {rate:.1e}")


class LowerRateOnPlateau(Callback):
    def __init__(self, optimizer, **options):
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)

    def on_epoch_end(self, trainer, train_loss, valid_loss):
        self.scheduler.step(valid_loss)


class Trainer:
    def __init__(self, model, optimizer, max_steps, callbacks=(), clip=5.0):
        self.model, self.optimizer, self.max_steps = model, optimizer, max_steps
        self.callbacks, self.clip, self.step = callbacks, clip, 0

    def fit(self, train_loader, valid_loader):
        while self.step < self.max_steps:
            train_loss = self.train_epoch(train_loader)
            valid_loss = self.validate(valid_loader)
            for callback in self.callbacks:
                callback.on_epoch_end(self, train_loss, valid_loss)

    def train_epoch(self, loader):
        self.model.train()
        seen = []
        for pixels, angles in loader:
            if self.step >= self.max_steps:
                break
            loss = mixture_nll(*self.model(normalise(pixels)), angles)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
            seen.append(loss.item())
            self.step += 1
        return sum(seen) / max(len(seen), 1)

    @torch.no_grad()
    def validate(self, loader):
        self.model.eval()
        total = sum(len(a) * mixture_nll(*self.model(normalise(p)), a).item() for p, a in loader)
        return total / len(loader.dataset)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    generator = torch.Generator().manual_seed(100 + args.seed)
    train_set, valid_set = TensorDataset(*record(6000, generator)), TensorDataset(*record(1000, generator))
    model = MixtureDensityNetwork()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    callbacks = [LowerRateOnPlateau(optimizer, factor=0.5, patience=1), PrintLosses()]
    trainer = Trainer(model, optimizer, args.steps, callbacks)
    trainer.fit(DataLoader(train_set, batch_size=100, shuffle=True), DataLoader(valid_set, batch_size=500))

    # held out
    model.eval()
    pixels, angles = record(3000, torch.Generator().manual_seed(7), lost=0)
    with torch.no_grad():
        weight, mean, log_sigma = model((pixels / 640 - 0.5) * 4)
        z = (angles[:, None, :] - mean) / log_sigma.exp()
        density = -(0.5 * z.square() + log_sigma + 0.5 * math.log(2 * math.pi)).sum(dim=2)
        loss = -torch.logsumexp(torch.log_softmax(weight, dim=1) + density, dim=1).mean()
    print(f"held-out loss {loss.item():.4f}")
