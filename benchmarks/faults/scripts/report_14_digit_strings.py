"""Read a strip of digits aloud: a convolution looks, a recurrent decoder writes."""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

PAD, BOS, EOS = 10, 11, 12
SLOTS, STEPS = 3, 16


def strips(rng, images, labels, count):
    picture = np.zeros((count, 1, 8, 8 * SLOTS), dtype=np.float32)
    text = np.full((count, STEPS), PAD)
    text[:, 0] = BOS
    for row in range(count):
        length = rng.integers(1, SLOTS + 1)
        for slot, pick in enumerate(rng.integers(0, len(images), length)):
            picture[row, 0, :, 8 * slot : 8 * slot + 8] = images[pick] / 16
            text[row, slot + 1] = labels[pick]
        text[row, length + 1] = EOS
    return torch.tensor(picture), torch.tensor(text)


class StripReader(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 2 * 2 * SLOTS, hidden), nn.Tanh(),
        )  # fmt: skip
        self.embed = nn.Embedding(13, 16)
        self.write = nn.GRU(16 + hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 13)

    def forward(self, picture, text):
        seen = self.look(picture)
        given = torch.cat([self.embed(text), seen.unsqueeze(1).expand(-1, text.size(1), -1)], dim=2)
        states, _ = self.write(given, seen.unsqueeze(0))
        return self.head(states)


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
digits = load_digits()
picture, text = strips(np.random.default_rng(args.seed), digits.images[:1400], digits.target[:1400], 4000)

model = StripReader()
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(args.steps):
    rows = torch.randint(0, len(picture), (48,))
    logits = model(picture[rows], text[rows, :-1])
    loss = criterion(logits.flatten(0, 1), text[rows, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
model.eval()
picture, text = strips(np.random.default_rng(8), digits.images[1400:], digits.target[1400:], 600)
with torch.no_grad():
    logits = model(picture, text[:, :-1])
    held_out = nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten(), ignore_index=PAD).item()
print(f"held-out loss {held_out:.4f}")
