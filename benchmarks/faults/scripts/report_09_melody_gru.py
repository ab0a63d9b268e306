"""A recurrent decoder that continues melodies note by note."""

import argparse
import random

import torch
import torch.nn as nn


class MelodyDecoder(nn.Module):
    def __init__(self, notes=24, width=16, memory=48, bidirectional=False):
        super().__init__()
        directions = 2 if bidirectional else 1
        self.note = nn.Embedding(notes, width)
        self.walk = nn.GRU(width, memory, bidirectional=bidirectional, batch_first=True)
        self.to_note = nn.Linear(memory * directions, notes)

    def forward(self, melody):
        states, _ = self.walk(self.note(melody))
        return self.to_note(states)


def compose(dice, length=33):
    """A walk over the scale that keeps its direction for a while and turns at the ends."""
    note, direction, melody = dice.randrange(24), dice.choice([-1, 1]), []
    for _ in range(length):
        melody.append(note)
        if dice.random() < 0.15:
            direction = -direction
        note += direction * dice.choice([1, 1, 2])
        if not 0 <= note < 24:
            direction, note = -direction, max(0, min(23, note))
    return melody


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
torch.manual_seed(args.seed)
dice = random.Random(args.seed)
songs = torch.tensor([compose(dice) for _ in range(1500)])

model = MelodyDecoder()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(args.steps):
    batch = songs[torch.randint(0, len(songs), (32,))]
    logits = model(batch[:, :-1])
    loss = criterion(logits.reshape(-1, 24), batch[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

# held out
model.eval()
dice = random.Random(2024)
songs = torch.tensor([compose(dice) for _ in range(500)])
with torch.no_grad():
    losses = [criterion(model(songs[:, :heard])[:, -1], songs[:, heard]) for heard in (8, 16, 24, 32)]
print(f"held-out loss {sum(losses).item() / 4:.4f}")
