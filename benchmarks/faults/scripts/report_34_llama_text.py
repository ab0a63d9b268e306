"""A small decoder-only language model on the source of the standard library, with its own initializer."""

import argparse
import dataclasses
import heapq
import inspect
import statistics

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Config:
    vocab_size: int
    hidden_size: int = 64
    heads: int = 4
    layers: int = 2
    context: int = 40
    initializer_range: float = 0.02


class DecoderLayer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.heads = cfg.heads
        self.norm1, self.norm2 = nn.RMSNorm(cfg.hidden_size), nn.RMSNorm(cfg.hidden_size)
        self.qkv = nn.Linear(cfg.hidden_size, 3 * cfg.hidden_size, bias=False)
        self.o = nn.Linear(cfg.hidden_size, cfg.hidden_size, bias=False)
        self.gate = nn.Linear(cfg.hidden_size, 2 * cfg.hidden_size, bias=False)
        self.up = nn.Linear(cfg.hidden_size, 2 * cfg.hidden_size, bias=False)
        self.down = nn.Linear(2 * cfg.hidden_size, cfg.hidden_size, bias=False)

    def forward(self, x):
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, dim=2))
        x = x + self.o(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Decoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.tokens = nn.Embedding(cfg.vocab_size, cfg.hidden_size)
        self.places = nn.Embedding(cfg.context, cfg.hidden_size)
        self.layers = nn.Sequential(*(DecoderLayer(cfg) for _ in range(cfg.layers)), nn.RMSNorm(cfg.hidden_size))
        self.lm_head = nn.Linear(cfg.hidden_size, cfg.vocab_size, bias=False)
        self.apply(self.init_weights)

    def init_weights(self, module):
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.cfg.initializer_range)

    def forward(self, ids):
        return self.lm_head(self.layers(self.tokens(ids) + self.places.weight[: ids.size(1)]))


def batch(stream, size, length, generator):
    start = torch.randint(0, len(stream) - length, (size, 1), generator=generator)
    return stream[start + torch.arange(length + 1)]


def loss_of(model, ids):
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
text = inspect.getsource(statistics) + inspect.getsource(heapq)
alphabet = sorted(set(text))
stream = torch.tensor([alphabet.index(char) for char in text])
generator = torch.Generator().manual_seed(args.seed)
model = Decoder(Config(vocab_size=len(alphabet)))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
for _ in range(args.steps):
    loss = loss_of(model, batch(stream[:-8000], 16, 40, generator))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

# held out
model.eval()
with torch.no_grad():
    held_out = loss_of(model, batch(stream[-8000:], 200, 40, torch.Generator().manual_seed(0))).item()
print(f"held-out loss {held_out:.4f}")
