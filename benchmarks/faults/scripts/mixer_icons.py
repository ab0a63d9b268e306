"""MLP-Mixer that names the pattern on a small colour texture; mixup, warm-up and cosine, averaged weights."""
import argparse
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

KINDS = ["stripes", "checks", "rings", "dots", "waves", "noise"]
SIDE = 24


def texture(kind, rng):
    """One image (3, SIDE, SIDE), from 0 to 1."""
    y, x = np.mgrid[:SIDE, :SIDE] + rng.uniform(0, SIDE, (2, 1, 1))
    turn, wave = rng.uniform(0, math.pi), 2 * math.pi / rng.uniform(5, 8)
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    if kind == "stripes":
        gray = np.sin(wave * u)
    elif kind == "checks":
        gray = np.sign(np.sin(wave * u) * np.sin(wave * v))
    elif kind == "rings":
        gray = np.sin(wave * np.hypot(x - SIDE, y - SIDE))
    elif kind == "dots":
        gray = 2.0 * (np.cos(wave * u) + np.cos(wave * v) > 0.9) - 1
    elif kind == "waves":
        gray = np.sin(wave * (u + 3 * np.sin(wave * v / 2)))
    else:
        gray = rng.normal(0, 1, (SIDE // 2, SIDE // 2)).repeat(2, 0).repeat(2, 1)
    dark, light = rng.permutation([rng.uniform(0, 0.4, (3, 1, 1)), rng.uniform(0.6, 1, (3, 1, 1))])
    image = dark + (light - dark) * (gray + 1) / 2 + rng.normal(0, 0.03, (3, SIDE, SIDE))
    return image.clip(0, 1)


def make_set(count, rng):
    labels = rng.integers(0, len(KINDS), count)
    images = np.stack([texture(KINDS[label], rng) for label in labels])
    return torch.tensor(images, dtype=torch.float32), torch.tensor(labels)


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim, drop):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.token_mlp = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.channel_mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.drop = drop

    def forward(self, x):
        h = self.norm1(x).transpose(1, 2)
        x = x + F.dropout(self.token_mlp(h), self.drop, training=self.training).transpose(1, 2)
        return x + F.dropout(self.channel_mlp(self.norm2(x)), self.drop, training=self.training)


class Mixer(nn.Module):
    def __init__(self, patch=4, dim=48, depth=2, drop=0.05):
        super().__init__()
        self.stem = nn.Conv2d(3, dim, patch + 2, stride=patch, padding=1)
        self.blocks = nn.ModuleList([MixerBlock((SIDE // patch) ** 2, dim, drop) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, len(KINDS))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(dim=1))


def mixup(x, y, alpha=0.2):
    share = np.random.beta(alpha, alpha)
    partner = torch.randperm(len(x))
    hot = F.one_hot(y, len(KINDS)).float()
    return share * x + (1 - share) * x[partner], share * hot + (1 - share) * hot[partner]


def rate(step, warm, total):
    """Share of the full rate: up in a line, down along a cosine."""
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def main(steps, seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    rng = np.random.default_rng(seed)
    train_x, train_y = make_set(2400, rng)
    val_x, val_y = make_set(400, rng)
    center, spread = train_x.mean((0, 2, 3), keepdim=True), train_x.std((0, 2, 3), keepdim=True)
    train_x, val_x = (train_x - center) / spread, (val_x - center) / spread

    model = Mixer()
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    batch = 48
    epochs = math.ceil(steps * batch / len(train_x))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, 30, steps))

    step = 0
    for epoch in range(epochs):
        order = torch.randperm(len(train_x))
        model.train()
        seen = []
        for chosen in order.split(batch)[: steps - step]:
            x, hot = mixup(train_x[chosen], train_y[chosen])
            loss = -(hot * model(x).log_softmax(dim=1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            scheduler.step()
            with torch.no_grad():
                for mean, new in zip(ema.parameters(), model.parameters()):
                    mean.lerp_(new, 1 - min(0.97, (1 + step) / (10 + step)))
            seen.append(loss.item())
            step += 1
        ema.eval()
        with torch.no_grad():
            guess = ema(val_x).argmax(dim=1)
        print(f"epoch {epoch + 1}: loss {np.mean(seen):.3f}, accuracy {(guess == val_y).float().mean():.3f}")
    return model, ema, center, spread


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    model, ema, center, spread = main(**vars(parser.parse_args()))

    # held out
    ema.eval()
    test_x, test_y = make_set(600, np.random.default_rng(10_000))
    with torch.no_grad():
        logits = ema((test_x - 0.5) / 0.27)
    print(f"held-out loss {F.cross_entropy(logits, test_y).item():.4f}")
