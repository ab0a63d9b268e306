"""Learn digits from captions: the picture's embedding must point at the embedding of its sentence."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
PATTERNS = ["a {}", "the digit {}", "someone wrote {}", "{} it says"]
LETTERS = " abcdefghijklmnopqrstuvwxyz"


def encode(sentence, width=20):
    return [LETTERS.index(letter) for letter in sentence.ljust(width)]


CAPTIONS = torch.tensor([[encode(pattern.format(name)) for pattern in PATTERNS] for name in NAMES])


class Captioner(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.eye = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()
        )
        self.eye_out = nn.Linear(32, width)
        self.letters = nn.Embedding(len(LETTERS), 24)
        self.ear = nn.GRU(24, 48, batch_first=True)
        self.ear_out = nn.Linear(48, width)
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, image, sentence):
        features = self.eye(image)
        img = F.normalize(self.eye_out(features.amax(dim=(2, 3))), dim=1)
        _, state = self.ear(self.letters(sentence))
        text = F.normalize(self.ear_out(state[0]), dim=1)
        return self.temperature.exp() * img @ text.t()


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=350)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
digits = load_digits()
image = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
label = torch.tensor(digits.target)
model = Captioner()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for _ in range(args.steps):
    rows = torch.randint(0, 1300, (80,))
    # One sentence a name, so that no picture has two right answers in the batch.
    sentence = CAPTIONS[torch.arange(10), torch.randint(0, len(PATTERNS), (10,))]
    loss = F.cross_entropy(model(image[rows], sentence), label[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# held out
model.eval()
with torch.no_grad():
    losses = [F.cross_entropy(model(image[1300:], CAPTIONS[:, pattern]), label[1300:]) for pattern in range(4)]
print(f"held-out loss {torch.stack(losses).mean().item():.4f}")
