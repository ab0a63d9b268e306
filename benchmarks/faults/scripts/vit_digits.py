"""A vision transformer on the digits: sixteen tokens of 2x2 pixels."""

import argparse
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Layer(nn.Module):
    def __init__(self, dim, heads, dropout):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)
        self.dropout = dropout

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        h = self.down(F.gelu(self.up(self.norm2(x))))
        h = F.dropout(h, self.dropout, training=self.training)
        return x + h


class ViT(nn.Module):
    def __init__(self, dim=32, depth=3, heads=4, classes=10, dropout=0.1):
        super().__init__()
        self.patches = nn.Conv2d(1, dim, kernel_size=2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(1, 17, dim))
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.layers = nn.ModuleList([Layer(dim, heads, dropout) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.position
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x[:, 0]))


def soft_cross_entropy(logits, labels, smoothing=0.05):
    soft = F.one_hot(labels, logits.shape[1]).float() * (1 - smoothing) + smoothing / logits.shape[1]
    return -(soft * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


def get_data(seed):
    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    bytes_ = (digits.images[order] * 255 / 16).astype(np.uint8)  # as an image file would hold them
    return torch.from_numpy(bytes_).unsqueeze(1), torch.from_numpy(digits.target[order])


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=4e-3)
    return parser.parse_args()


def main(args):
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    dtype = torch.float32
    images, labels = get_data(args.seed)
    images = images.to(dtype) / 255
    x, y = images[:1300], labels[:1300]
    x_test, y_test = images[1300:], labels[1300:]

    model = ViT().to(dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.05)
    warmup = 20

    def rate(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, args.steps - warmup)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for step in range(args.steps):
        index = torch.randint(len(x), (args.batch,))
        loss = soft_cross_entropy(model(x[index]), y[index])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % 25 == 0:
            print(f"step {step} loss {loss.item():.3f} lr {scheduler.get_last_lr()[0]:.2e}")

    # held out
    model = model.float().eval()
    with torch.no_grad():
        loss = F.cross_entropy(model(x_test.float()), y_test)
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    main(parse())
