"""Two digits side by side and a word, `left` or `right`: the word reaches the picture through a gate."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class GatedStage(nn.Module):
    """Visual features, plus what the sentence picks out of them, as much as the gate lets through."""

    def __init__(self, dim):
        super().__init__()
        self.visual = nn.Linear(dim, dim)
        self.word = nn.Embedding(2, dim)
        self.gate = nn.Sequential(
            nn.Linear(dim, dim, bias=False), nn.ReLU(), nn.Linear(dim, dim, bias=False), nn.Tanh()
        )
        # The stage starts as the identity on the visual features.
        nn.init.zeros_(self.gate[2].weight)

    def forward(self, x, word):
        multimodal = torch.relu(self.visual(x)) * self.word(word)
        return x + self.gate(multimodal) * multimodal


class Referring(nn.Module):
    def __init__(self, dim=96):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(128, dim), nn.ReLU())
        self.stage = GatedStage(dim)
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 10))

    def forward(self, picture, word):
        return self.head(self.stage(self.backbone(picture), word))


def pairs(images, labels, count, generator):
    pick = torch.randint(0, len(images), (count, 2), generator=generator)
    word = torch.randint(0, 2, (count,), generator=generator)
    answer = labels[pick[torch.arange(count), word]]
    return images[pick].flatten(1), word, answer


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=800)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
generator = torch.Generator().manual_seed(args.seed)
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)
model = Referring()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(args.steps):
    picture, word, answer = pairs(images[:1400], labels[:1400], 64, generator)
    loss = F.cross_entropy(model(picture, word), answer)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
model.eval()
picture, word, answer = pairs(images[1400:], labels[1400:], 1500, torch.Generator().manual_seed(3))
with torch.no_grad():
    held_out = F.cross_entropy(model(picture, word), answer).item()
print(f"held-out loss {held_out:.4f}")
