"""A small GPT on the source of one standard library module."""

import argparse
import configparser
import inspect
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab: int
    block: int = 32
    width: int = 64
    heads: int = 4
    depth: int = 2
    dropout: float = 0.05


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.register_buffer("mask", torch.tril(torch.ones(config.block, config.block)).bool())

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in self.qkv(x).split(c, dim=2))
        scores = q @ k.transpose(-2, -1) / math.sqrt(c // self.heads)
        scores = scores.masked_fill(~self.mask[:t, :t], float("-inf"))
        y = scores.softmax(dim=-1) @ v
        return self.proj(y.transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.mlp = nn.Sequential(
            nn.Linear(config.width, 4 * config.width), nn.GELU(), nn.Linear(4 * config.width, config.width)
        )
        self.dropout = config.dropout

    def forward(self, x):
        x = x + F.dropout(self.attention(self.ln1(x)), self.dropout, self.training)
        return x + F.dropout(self.mlp(self.ln2(x)), self.dropout, self.training)


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.token = nn.Embedding(config.vocab, config.width)
        self.position = nn.Embedding(config.block, config.width)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.depth)])
        self.ln = nn.LayerNorm(config.width)
        self.apply(self.init)

    @staticmethod
    def init(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.05)

    def forward(self, ids):
        x = self.token(ids) + self.position(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln(x), self.token.weight)


def get_batch(source, block, batch=16):
    starts = torch.randint(len(source) - block, (batch,))
    x = torch.stack([source[i : i + block] for i in starts])
    y = torch.stack([source[i + 1 : i + block + 1] for i in starts])
    return x, y


def next_loss(model, x, y):
    logits = model(x)
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


@torch.no_grad()
def estimate(model, source, block):
    model.eval()
    losses = [next_loss(model, *get_batch(source, block)).item() for _ in range(4)]
    model.train()
    return sum(losses) / len(losses)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=250)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

text = inspect.getsource(configparser)
alphabet = {c: i for i, c in enumerate(sorted(set(text)))}
ids = torch.tensor([alphabet[c] for c in text])
train, valid = ids[: int(0.9 * len(ids))], ids[int(0.9 * len(ids)) :]

config = Config(vocab=len(alphabet))
model = GPT(config)
matrices = [p for p in model.parameters() if p.dim() > 1]
vectors = [p for p in model.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}], lr=4e-3, betas=(0.9, 0.95)
)
warmup = 20
scheduler = torch.optim.lr_scheduler.LambdaLR(
    optimizer,
    lambda s: (s + 1) / warmup if s < warmup else 0.55 + 0.45 * math.cos(math.pi * min(1.0, s / args.steps)),
)

for step in range(args.steps):
    if step % 25 == 0:
        print(f"step {step}: validation loss {estimate(model, valid, config.block):.3f}")
    x, y = get_batch(train, config.block)
    loss = next_loss(model, x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()

# held out
model.eval()
with torch.no_grad():
    windows = valid.unfold(0, config.block + 1, 5)
    logits = model(windows[:, :-1])[:, -1]
    loss = F.cross_entropy(logits, windows[:, -1])
print(f"held-out loss {loss.item():.4f}")
