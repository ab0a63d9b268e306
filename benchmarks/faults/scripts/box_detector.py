"""Which handwritten digit is in the scene, if any, and where? One network with a head for each question."""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

SIDE = 24
NOTHING = 5


def draw_scenes(count, digits, labels, rng):
    """Scenes with one digit, enlarged at random, among bright specks; every eighth holds none, on average."""
    scenes = np.zeros((count, SIDE, SIDE), dtype=np.float32)
    kinds = np.full(count, NOTHING)
    boxes = np.zeros((count, 4), dtype=np.float32)
    for scene, _ in enumerate(scenes):
        if rng.random() < 0.875:
            pick = rng.integers(len(digits))
            width, height = rng.integers(11, 15, size=2)
            left, top = rng.integers(0, SIDE - width + 1), rng.integers(0, SIDE - height + 1)
            rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
            patch = digits[pick][rows][:, columns]
            scenes[scene, top : top + height, left : left + width] = patch * rng.uniform(0.6, 1.0)
            kinds[scene] = labels[pick]
            boxes[scene] = left + width / 2, top + height / 2, width, height
        for row, column in rng.integers(0, SIDE, size=(rng.poisson(1.5), 2)):
            scenes[scene, row, column] = rng.uniform(2.0, 16.0)
    return torch.from_numpy(scenes).unsqueeze(1), torch.from_numpy(kinds), torch.from_numpy(boxes)


def normalize(scenes):
    """To the same brightness and contrast, scene by scene."""
    mean = scenes.mean(dim=(1, 2, 3), keepdim=True)
    std = scenes.std(dim=(1, 2, 3), keepdim=True)
    return (scenes - mean) / (std + 1e-3)


class Detector(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1),
            nn.BatchNorm2d(48),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.neck = nn.Sequential(nn.Linear(48 * 3 * 3, width), nn.ReLU())
        self.kind = nn.Linear(width, NOTHING + 1)
        self.box = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 4), nn.Sigmoid())
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self.kind.weight, std=0.01)

    def forward(self, scenes):
        features = self.neck(self.backbone(scenes))
        return self.kind(features), self.box(features)


class Trainer:
    def __init__(self, model, steps, lr=5e-3, warm_up=30, box_weight=5.0):
        self.model, self.steps, self.box_weight = model, steps, box_weight
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [*model.backbone.parameters(), *model.neck.parameters()], "weight_decay": 0.01},
                {"params": [*model.kind.parameters(), *model.box.parameters()], "weight_decay": 0.0},
            ],
            lr=lr,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda step: min(1.0, (step + 1) / warm_up) * (1.0 - step / (steps + 1)),
        )

    def losses(self, scenes, kinds, boxes):
        logits, guesses = self.model(scenes)
        kind_loss = F.cross_entropy(logits, kinds)
        present = (kinds != NOTHING).float()
        off = (guesses - boxes).abs().mean(dim=1)
        box_loss = (present * off).mean()
        return kind_loss, box_loss

    def fit(self, scenes, kinds, boxes, batch_size=48, log_every=100):
        done = 0
        while done < self.steps:
            for chosen in torch.randperm(len(scenes)).split(batch_size):
                kind_loss, box_loss = self.losses(scenes[chosen], kinds[chosen], boxes[chosen])
                self.optimizer.zero_grad()
                (kind_loss + self.box_weight * box_loss).backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
                self.optimizer.step()
                self.schedule.step()
                done += 1
                if done % log_every == 0:
                    print(f"step {done}: kind {kind_loss.item():.3f}, box {box_loss.item():.4f}")
                if done >= self.steps:
                    return


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=260)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    source = load_digits(n_class=NOTHING)
    order = rng.permutation(len(source.target))
    digits, labels = source.images[order].astype(np.float32), source.target[order]
    scenes, kinds, boxes = draw_scenes(4000, digits[:700], labels[:700], rng)
    later = draw_scenes(1000, digits[700:], labels[700:], rng)
    boxes = boxes / SIDE

    model = Detector()
    trainer = Trainer(model, args.steps)
    trainer.fit(normalize(scenes), kinds, boxes)

    # held out
    model.eval()
    scenes, kinds, boxes = later
    with torch.no_grad():
        logits, guesses = model(normalize(scenes))
    seen = kinds != NOTHING
    loss = F.cross_entropy(logits, kinds) + 5.0 * F.l1_loss(guesses[seen], boxes[seen] / SIDE)
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
