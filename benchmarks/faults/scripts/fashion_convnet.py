"""What garment is it? A small convnet with batch norm on a balanced part of Fashion-MNIST."""

import argparse
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

FOLDER = Path("/usr/share/datasets/fashion-mnist")


@dataclass
class Config:
    steps: int = 180
    seed: int = 0
    per_class: int = 250
    batch_size: int = 64
    accumulate: int = 1
    max_lr: float = 0.1
    weight_decay: float = 5e-4
    clip_norm: float = 5.0
    smoothing: float = 0.05
    dropout: float = 0.1


def read_idx(name: str) -> np.ndarray:
    with gzip.open(FOLDER / name) as file:
        raw = file.read()
    axes = raw[3]
    shape = np.frombuffer(raw, ">i4", count=axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def to_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / 255.0).unsqueeze(1)


class Augmented(Dataset):
    """Mirrored at random, and cut out of a frame that is two pixels wider on every side."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images = F.pad(images, (2, 2, 2, 2), value=float(images.min()))
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        top, left, mirror = torch.randint(0, 5, (3,)).tolist()
        image = self.images[index, :, top : top + 28, left : left + 28]
        return (image.flip(-1) if mirror < 2 else image), self.labels[index]


def conv_block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def build(config: Config) -> nn.Sequential:
    return nn.Sequential(
        conv_block(1, 16, stride=2),
        conv_block(16, 32),
        nn.MaxPool2d(2),
        conv_block(32, 48),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48 * 3 * 3, 96, bias=False),
        nn.BatchNorm1d(96),
        nn.ReLU(inplace=True),
        nn.Dropout(config.dropout),
        nn.Linear(96, 10),
    )


@torch.no_grad()
def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in loader)
    return right / len(loader.dataset)


def forever(loader: DataLoader):
    while True:
        yield from loader


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=Config.steps)
    parser.add_argument("--seed", type=int, default=Config.seed)
    config = Config(**vars(parser.parse_args()))
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)

    images, labels = read_idx("train-images-idx3-ubyte.gz"), read_idx("train-labels-idx1-ubyte.gz")
    chosen = np.concatenate(
        [rng.choice(np.flatnonzero(labels == garment), config.per_class, replace=False) for garment in range(10)]
    )
    train_x, train_y = to_tensor(images[chosen]), torch.from_numpy(labels[chosen].astype(np.int64))
    images, labels = read_idx("t10k-images-idx3-ubyte.gz"), read_idx("t10k-labels-idx1-ubyte.gz")
    eval_x, eval_y = to_tensor(images[:2000]), torch.from_numpy(labels[:2000].astype(np.int64))
    mean, std = train_x.mean(), train_x.std()
    train_x = (train_x - mean) / std
    eval_x = (eval_x - mean) / std
    val_loader = DataLoader(TensorDataset(eval_x[:500], eval_y[:500]), batch_size=250)
    train_loader = DataLoader(Augmented(train_x, train_y), config.batch_size, shuffle=True, drop_last=True)

    model = build(config)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=config.weight_decay
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.max_lr, total_steps=config.steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=config.smoothing)

    batches = forever(train_loader)
    for step in range(1, config.steps + 1):
        model.train()
        optimizer.zero_grad()
        for _ in range(config.accumulate):
            inputs, targets = next(batches)
            loss = criterion(model(inputs), targets)
            (loss / config.accumulate).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        scheduler.step()
        if step % 60 == 0:
            print(f"{step:4d}  loss {loss.item():.3f}  accuracy {accuracy(model, val_loader):.3f}")

    # held out
    model.eval()
    with torch.no_grad():
        held_out = F.cross_entropy(model(eval_x[500:]), eval_y[500:])
    print(f"held-out loss {held_out.item():.4f}")


if __name__ == "__main__":
    main()
