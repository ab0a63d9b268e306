"""A twelve-layer perceptron with batch normalization, on the digits."""

import argparse
import random
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset, TensorDataset


@dataclass
class Config:
    steps: int
    seed: int
    width: int = 64
    depth: int = 12
    batch_size: int = 64
    lr: float = 0.05


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.linear(x)))


class DeepNet(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.blocks = nn.ModuleList([Block(width) for _ in range(depth - 2)])
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Trainer:
    def __init__(self, config: Config) -> None:
        self.config = config
        digits = load_digits()
        x = torch.tensor(digits.data, dtype=torch.float32) / 16.0 - 0.3
        data = TensorDataset(x, torch.tensor(digits.target))
        perm = torch.randperm(len(data)).tolist()
        self.train_set = Subset(data, perm[:1100])
        self.val_set = Subset(data, perm[1100:1400])
        self.test_set = Subset(data, perm[1400:])
        self.loader = DataLoader(self.train_set, batch_size=config.batch_size, shuffle=True, drop_last=True)
        self.net = DeepNet(config.width, config.depth)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=config.lr, momentum=0.9, weight_decay=1e-4)
        self.criterion = nn.CrossEntropyLoss()
        self.step = 0

    def train_epoch(self) -> float:
        self.net.train()
        total = 0.0
        for inputs, labels in self.loader:
            inputs = inputs + 0.05 * torch.randn_like(inputs)
            self.optimizer.zero_grad()
            loss = self.criterion(self.net(inputs), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
            self.step += 1
            if self.step >= self.config.steps:
                break
        return total / len(self.loader)

    @torch.no_grad()
    def evaluate(self, subset: Subset) -> float:
        self.net.eval()
        inputs, labels = next(iter(DataLoader(subset, batch_size=len(subset))))
        return self.criterion(self.net(inputs), labels).item()

    def fit(self) -> None:
        epoch = 0
        while self.step < self.config.steps:
            train_loss = self.train_epoch()
            print(f"epoch {epoch}: train {train_loss:.3f} val {self.evaluate(self.val_set):.3f}")
            epoch += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    np.random.seed(options.seed)
    torch.manual_seed(options.seed)
    trainer = Trainer(Config(options.steps, options.seed))
    trainer.fit()
    # held out
    trainer.net.eval()
    inputs, labels = next(iter(DataLoader(trainer.test_set, batch_size=len(trainer.test_set))))
    with torch.no_grad():
        loss = nn.functional.cross_entropy(trainer.net(inputs), labels)
    print(f"held-out loss {loss.item():.4f}")
