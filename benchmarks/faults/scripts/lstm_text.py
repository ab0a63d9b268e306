"""Character-level LSTM on Python source, trained by truncated backpropagation through time."""

import argparse
import inspect
import random

import torch
import torch.nn.functional as F
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=350)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)

STREAMS, WINDOW, WIDTH = 16, 32, 128

text = inspect.getsource(argparse)
alphabet = sorted(set(text))
ids = torch.tensor([alphabet.index(c) for c in text])
cut = int(0.9 * len(ids))
length = cut // STREAMS
train = ids[: STREAMS * length].view(STREAMS, length)
held_out = ids[cut:]


class CharLSTM(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 32)
        self.lstm = nn.LSTM(32, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x, state=None):
        out, state = self.lstm(self.embed(x), state)
        return self.head(out), state


model = CharLSTM(len(alphabet), WIDTH)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

position, state, running = 0, None, 0.0
for step in range(1, args.steps + 1):
    if position + WINDOW >= length:
        position, state = 0, None
    x = train[:, position : position + WINDOW]
    y = train[:, position + 1 : position + WINDOW + 1]
    position += WINDOW

    if state is not None:
        state = tuple(s.detach() for s in state)
    logits, state = model(x, state)
    loss = F.cross_entropy(logits.reshape(-1, len(alphabet)), y.reshape(-1))

    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

    running += loss.item()
    if step % 50 == 0:
        print(f"step {step}: loss {float(running) / 50:.3f}")
        running = 0.0

# held out
model.eval()
with torch.no_grad():
    logits, _ = model(held_out[None, :-1])
    loss = F.cross_entropy(logits[0], held_out[1:])
print(f"held-out loss {loss.item():.4f}")
