"""Distil a convnet that reads digits into a perceptron small enough for a microcontroller."""

import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, optim

TEMPERATURE = 3.0
HARD = 0.3  # share of the loss on labels


class Teacher(nn.Module):
    """Expects pixels of mean 0 and spread 1."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
        )
        self.classify = nn.Linear(32 * 16, 10)

    def forward(self, x):
        return self.classify(self.features(x))


class Student(nn.Module):
    """Takes the brightness as the sensor gives it, between 0 and 1."""

    def __init__(self, width=24):
        super().__init__()
        self.inner = nn.Linear(64, width)
        self.outer = nn.Linear(width, 10)

    def forward(self, x):
        h = self.inner(x.flatten(1))
        h = (h - h.mean(dim=1, keepdim=True)) / (h.std(dim=1, keepdim=True) + 1e-5)
        return self.outer(F.relu(h))


def batches(count, size):
    """Rows of an endless stream of shuffled epochs."""
    while True:
        for rows in torch.randperm(count).split(size):
            if len(rows) == size:
                yield rows


def train_teacher(x, y, steps=120):
    teacher = Teacher()
    optimizer = optim.Adam(teacher.parameters(), lr=3e-3)
    for step, rows in zip(range(steps), batches(len(x), 64)):
        loss = F.cross_entropy(teacher(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 40 == 39:
            print(f"teacher {step + 1:4d}: {loss.item():.3f}")
    return teacher.eval().requires_grad_(False)


def distillation_loss(logits, wanted, labels):
    soft = F.kl_div(
        F.log_softmax(logits / TEMPERATURE, dim=1), F.softmax(wanted / TEMPERATURE, dim=1), reduction="batchmean"
    )
    hard = F.cross_entropy(logits, labels)
    return HARD * hard + (1 - HARD) * TEMPERATURE**2 * soft


parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, default=400)
args = parser.parse_args()
torch.manual_seed(args.seed)

pixels, labels = load_digits(return_X_y=True)
pixels = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
train_rows, test_rows = train_test_split(range(len(pixels)), test_size=0.4, random_state=0, stratify=labels)
labels = torch.tensor(labels)
x, y, x_test, y_test = pixels[train_rows], labels[train_rows], pixels[test_rows], labels[test_rows]
mean, std = x.mean(), x.std()


def normalize(images):
    return (images - mean) / std


teacher = train_teacher(normalize(x), y)
print(f"teacher on new digits: {F.cross_entropy(teacher(normalize(x_test)), y_test).item():.3f}")

student = Student()
optimizer = optim.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)
seen = 0.0
for step, rows in zip(range(args.steps), batches(len(x), 48)):
    images = x[rows] + 0.05 * torch.randn_like(x[rows])
    wanted = teacher(normalize(images))
    loss = distillation_loss(student(images), wanted, y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    seen += loss.item()
    if step % 50 == 49:
        with torch.no_grad():
            right = (student(x_test).argmax(dim=1) == y_test).float().mean().item()
        print(f"student {step + 1:4d}: {seen / 50:.3f}, {100 * right:.1f}% of new digits right")
        seen = 0.0

# held out, one image at a time as the sensor sends them
student.eval()
with torch.no_grad():
    loss = F.cross_entropy(torch.cat([student(image) for image in x_test.split(1)]), y_test)
print(f"held-out loss {loss.item():.4f}")
