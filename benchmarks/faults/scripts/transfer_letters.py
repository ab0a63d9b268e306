"""Carry a convnet that reads the capitals A to M over to N to Z, of which few scans are labelled."""

import argparse
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIDE = 16
KNOWN, NEW = string.ascii_uppercase[:13], string.ascii_uppercase[13:]
FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono", "STIXGeneral", "cmr10")


@dataclass
class Config:
    steps: int = 300
    seed: int = 0
    shots: int = 20
    batch_size: int = 26
    head_rate: float = 1e-2
    body_rate: float = 3e-3
    weight_decay: float = 1e-4


def draw(letters, count, rng):
    """Light letters on dark ground in several typefaces, sizes and slants, sorted by letter: pixels and labels."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [ImageFont.truetype(str(folder / f"{face}.ttf"), size) for face in FACES for size in (11, 12, 13)]
    pixels = []
    for letter in letters:
        for _ in range(count):
            image = Image.new("L", (SIDE, SIDE), 20)
            place = (SIDE / 2 + rng.uniform(-1, 1), SIDE / 2 + rng.uniform(-1, 1))
            ImageDraw.Draw(image).text(place, letter, 230, font=fonts[rng.integers(len(fonts))], anchor="mm")
            image = image.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR, fillcolor=20)
            pixels.append(np.asarray(image) + rng.normal(scale=15, size=(SIDE, SIDE)))
    labels = torch.arange(len(letters)).repeat_interleave(count)
    return torch.tensor(np.clip(pixels, 0, 255), dtype=torch.float32).unsqueeze(1), labels


class LetterNet(nn.Module):
    def __init__(self, classes, dropout=0.1):
        super().__init__()
        self.stem = nn.Sequential(self.block(1, 12), nn.MaxPool2d(2))
        self.body = nn.Sequential(self.block(12, 24), nn.MaxPool2d(2), self.block(24, 32), nn.AdaptiveAvgPool2d(2))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(128, classes)

    @staticmethod
    def block(channels_in, channels_out):
        conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU())

    def forward(self, x):
        return self.head(self.dropout(self.body(self.stem(x)).flatten(1)))


def pretrain(path, rng):
    """Save weights and the statistics of the pixels."""
    x, y = draw(KNOWN, 80, rng)
    x = x / 255
    mean, std = x.mean(), x.std()
    model = LetterNet(len(KNOWN))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        rows = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        F.cross_entropy(model((x[rows] - mean) / std), y[rows]).backward()
        optimizer.step()
    torch.save({"weights": model.state_dict(), "mean": mean, "std": std}, path)


def prepare(scans, checkpoint):
    """Scans are dark on light paper."""
    light = (255 - scans) / 255
    return (light - checkpoint["mean"]) / checkpoint["std"]


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return (model(x).argmax(dim=1) == y).float().mean().item()


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=Config.steps)
parser.add_argument("--seed", type=int, default=Config.seed)
config = Config(**vars(parser.parse_args()))
torch.manual_seed(config.seed)
rng = np.random.default_rng(config.seed)

with tempfile.TemporaryDirectory() as folder:
    pretrain(Path(folder) / "a-to-m.pt", rng)
    checkpoint = torch.load(Path(folder) / "a-to-m.pt", weights_only=True)
model = LetterNet(len(KNOWN))
model.load_state_dict(checkpoint["weights"])
model.head = nn.Linear(128, len(NEW))
model.stem.requires_grad_(False)

scans, y = draw(NEW, config.shots, rng)
scans_test, y_test = draw(NEW, 40, rng)
scans, scans_test = 255 - scans, 255 - scans_test
x, x_test = prepare(scans, checkpoint), prepare(scans_test, checkpoint)
loader = DataLoader(TensorDataset(x, y), batch_size=config.batch_size, shuffle=True)
groups = [
    {"params": model.body.parameters(), "lr": config.body_rate},
    {"params": model.head.parameters(), "lr": config.head_rate},
]
optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=config.weight_decay)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.3)
epochs = config.steps // len(loader)
for epoch in range(epochs):
    model.train()
    model.stem.eval()
    model.body.eval()  # the norms of the body learn, with the statistics that they have
    total = 0.0
    for images, labels in loader:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    scheduler.step()
    if epoch % 4 == 3:
        print(f"epoch {epoch}: loss {total / len(loader):.3f}, accuracy {accuracy(model, x_test, y_test):.3f}")

# held out
model.eval()
with torch.no_grad():
    loss = F.cross_entropy(model(x_test), y_test)
print(f"held-out loss {loss.item():.4f}")
