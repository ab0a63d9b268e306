"""Sequence to sequence with GRUs: read a string of digits, write it backwards."""

import argparse
import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

PAD, BOS, EOS = 10, 11, 12
TOKENS = 13


def make_pairs(count):
    strings = set()
    while len(strings) < count:
        strings.add(tuple(random.choices(range(10), k=random.randint(2, 5))))
    strings = sorted(strings)
    random.shuffle(strings)
    source = [torch.tensor(s) for s in strings]
    target = [torch.tensor([*reversed(s), EOS]) for s in strings]
    lengths = torch.tensor([len(s) for s in strings])
    return (
        pad_sequence(source, batch_first=True, padding_value=PAD),
        lengths,
        pad_sequence(target, batch_first=True, padding_value=PAD),
    )


class Encoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, 16, padding_idx=PAD)
        self.gru = nn.GRU(16, width, batch_first=True)
        nn.init.orthogonal_(self.gru.weight_hh_l0)

    def forward(self, source, lengths):
        packed = pack_padded_sequence(self.embed(source), lengths, batch_first=True, enforce_sorted=False)
        return self.gru(packed)[1]


class Decoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, 16, padding_idx=PAD)
        self.gru = nn.GRU(16, width, batch_first=True)
        self.out = nn.Linear(width, TOKENS)

    def forward(self, tokens, hidden):
        out, hidden = self.gru(self.embed(tokens), hidden)
        return self.out(out), hidden


def train_step(encoder, decoder, optimizer, batch):
    source, lengths, target = batch
    hidden = encoder(source, lengths)
    start = torch.full((len(target), 1), BOS)
    inputs = torch.cat([start, target[:, :-1]], dim=1)
    logits, _ = decoder(inputs, hidden)
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([*encoder.parameters(), *decoder.parameters()], 1.0)
    optimizer.step()
    return loss.item()


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=700)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)

source, lengths, target = make_pairs(6000)
held_source, held_lengths, held_target = source[:500], lengths[:500], target[:500]
source, lengths, target = source[500:], lengths[500:], target[500:]
encoder, decoder = Encoder(width=96), Decoder(width=96)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
for step in range(args.steps):
    rows = torch.randint(len(source), (64,))
    loss = train_step(encoder, decoder, optimizer, (source[rows], lengths[rows], target[rows]))
    if step % 100 == 0:
        print(f"step {step}: loss {loss:.3f}")

# held out
encoder.eval()
decoder.eval()
with torch.no_grad():
    # The decoder reads what it has written itself, as it does in use.
    hidden = encoder(held_source, held_lengths)
    token, losses = torch.full((len(held_target), 1), BOS), []
    for position in range(held_target.size(1)):
        logits, hidden = decoder(token, hidden)
        losses.append(F.cross_entropy(logits[:, 0], held_target[:, position], ignore_index=PAD, reduction="sum"))
        token = logits.argmax(-1)
    loss = torch.stack(losses).sum() / (held_target != PAD).sum()
print(f"held-out loss {loss.item():.4f}")
