"""A deep self-normalizing network on 8 x 8 digits, trained by a Trainer with callbacks."""

import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


class Callback:
    def on_batch_end(self, trainer, loss): ...

    def on_epoch_end(self, trainer): ...


class LossMeter(Callback):
    def __init__(self):
        self.total, self.batches = 0.0, 0

    def on_batch_end(self, _trainer, loss):
        self.total += loss.item()
        self.batches += 1

    def on_epoch_end(self, trainer):
        print(f"epoch {trainer.epoch}: train {self.total / self.batches:.3f}, valid {trainer.evaluate():.3f}")
        self.total, self.batches = 0.0, 0


class DecayRate(Callback):
    def __init__(self, optimizer, milestones):
        self.scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.3)

    def on_epoch_end(self, _trainer):
        self.scheduler.step()


class Trainer:
    def __init__(self, model, optimizer, train_loader, valid_loader, callbacks):
        self.model, self.optimizer = model, optimizer
        self.train_loader, self.valid_loader = train_loader, valid_loader
        self.callbacks = callbacks
        self.criterion = nn.CrossEntropyLoss()
        self.epoch = self.step = 0

    def notify(self, event, *values):
        for callback in self.callbacks:
            getattr(callback, event)(self, *values)

    def training_step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def fit(self, steps):
        while self.step < steps:
            self.model.train()
            for x, y in self.train_loader:
                loss = self.training_step(x, y)
                self.notify("on_batch_end", loss)
                self.step += 1
                if self.step == steps:
                    break
            self.epoch += 1
            self.notify("on_epoch_end")

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        losses = [self.criterion(self.model(x), y) * len(y) for x, y in self.valid_loader]
        return sum(losses).item() / len(self.valid_loader.dataset)


def build_model(features, classes, width=48, depth=8):
    layers = []
    for number in range(depth):
        linear = nn.Linear(features if number == 0 else width, width)
        nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.SELU()]
    return nn.Sequential(*layers, nn.AlphaDropout(0.1), nn.Linear(width, classes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    x, y = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.3, random_state=args.seed, stratify=y)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_valid = (x_train - mean) / std, (x_valid - mean) / std
    train_set = TensorDataset(torch.tensor(x_train, dtype=torch.float32), torch.tensor(y_train))
    valid_set = TensorDataset(torch.tensor(x_valid, dtype=torch.float32), torch.tensor(y_valid))

    model = build_model(x.shape[1], 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    trainer = Trainer(
        model,
        optimizer,
        DataLoader(train_set, batch_size=64, shuffle=True),
        DataLoader(valid_set, batch_size=200),
        callbacks=[LossMeter(), DecayRate(optimizer, milestones=[9, 12])],
    )
    trainer.fit(args.steps)

    # held out
    print(f"held-out loss {trainer.evaluate():.4f}")
