"""Skip-gram with negative sampling (word2vec) on the words of Python source."""

import argparse
import inspect
import re
import subprocess
import tarfile
from collections import Counter

import torch
import torch.nn.functional as F
from torch import nn

WINDOW, NEGATIVES, RARE = 3, 5, 5


def read_words():
    text = inspect.getsource(tarfile) + inspect.getsource(subprocess)
    words = re.findall(r"[A-Za-z_]+|[^\w\s]", text)
    counts = Counter(words)
    kept = [word for word, count in counts.most_common() if count >= RARE]
    number = {word: i for i, word in enumerate(kept)}
    frequency = torch.tensor([counts[word] for word in kept], dtype=torch.float32)
    return torch.tensor([number[word] for word in words if word in number]), frequency


def make_pairs(words):
    pairs = []
    for shift in range(1, WINDOW + 1):
        pairs.append(torch.stack([words[:-shift], words[shift:]], dim=1))
        pairs.append(torch.stack([words[shift:], words[:-shift]], dim=1))
    return torch.cat(pairs)


class SkipGram(nn.Module):
    def __init__(self, vocabulary, width=32):
        super().__init__()
        self.center = nn.Embedding(vocabulary, width)
        self.context = nn.Embedding(vocabulary, width)
        nn.init.uniform_(self.center.weight, -0.5 / width, 0.5 / width)
        nn.init.uniform_(self.context.weight, -0.5 / width, 0.5 / width)

    def forward(self, center, context, negative):
        v = self.center(center)
        good = (v * self.context(context)).sum(1)
        bad = torch.bmm(self.context(negative), v.unsqueeze(2)).squeeze(2)
        return -(F.logsigmoid(good) + F.logsigmoid(-bad).sum(1)).mean()


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1000)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)

words, frequency = read_words()
noise = frequency.pow(0.75)
cut = int(0.85 * len(words))
pairs, held_pairs = make_pairs(words[:cut]), make_pairs(words[cut:])

model = SkipGram(len(frequency))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
batch = 512
epochs = max(1, args.steps * batch // len(pairs))
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=epochs)

step = 0
while step < args.steps:
    for rows in torch.randperm(len(pairs)).split(batch):
        center, context = pairs[rows].unbind(1)
        negative = torch.multinomial(noise, len(rows) * NEGATIVES, replacement=True).view(len(rows), NEGATIVES)
        loss = model(center, context, negative)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(f"step {step}: loss {loss.item():.3f}")
        if step >= args.steps:
            break
    scheduler.step()

# held out
model.eval()
torch.manual_seed(1000)
with torch.no_grad():
    center, context = held_pairs.unbind(1)
    negative = torch.multinomial(noise, len(center) * NEGATIVES, replacement=True).view(len(center), NEGATIVES)
    loss = model(center, context, negative)
print(f"held-out loss {loss.item():.4f}")
