"""Screening: find the rare malignant tumours among many benign ones (breast cancer table).

Only one malignant sample in six is kept for training, so the loss weighs the classes.
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Screening(nn.Module):
    def __init__(self, features: int, hidden: int = 32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)


def class_losses(logits, y):
    """Negative log-likelihood of each sample; logsigmoid is safe for large logits."""
    return -(y * F.logsigmoid(logits) + (1 - y) * F.logsigmoid(-logits))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, default=0.02)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    frame = load_breast_cancer(as_frame=True).frame
    train, rest = train_test_split(frame, test_size=0.4, stratify=frame.target, random_state=args.seed)
    val, test = train_test_split(rest, test_size=0.6, stratify=rest.target, random_state=args.seed)
    rare = (train.target == 0) & (rng.random(len(train)) > 0.17)
    train = train[~rare]

    columns = frame.columns.drop("target")
    scaler = StandardScaler().fit(train[columns])

    def tensors(part):
        x = torch.tensor(scaler.transform(part[columns]), dtype=torch.float32)
        y = torch.tensor((part.target == 0).to_numpy(), dtype=torch.float32)
        return x, y

    x_train, y_train = tensors(train)
    x_val, y_val = tensors(val)
    x_test, _ = tensors(test)
    positive = (y_train == 1).float().mean().item()
    weight = (1 - positive) / positive
    print(f"{len(x_train)} training samples, {positive:.1%} malignant")

    def criterion(logits, y):
        losses = class_losses(logits, y)
        return (torch.where(y == 1, weight, 1.0) * losses).sum() / (positive * weight + 1 - positive) / len(y)

    model = Screening(len(columns))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-3)
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=16, shuffle=True, drop_last=True)
    x, y = next(iter(loader))
    print(f"loss of the first batch before training: {criterion(model(x), y).item():.3f}")

    done = 0
    while done < args.steps:
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            done += 1
            if done % 20 == 0:
                model.eval()
                with torch.no_grad():
                    print(f"step {done}: train {loss.item():.3f}, val {criterion(model(x_val), y_val).item():.3f}")
                model.train()
            if done >= args.steps:
                break

    # held out
    model.eval()
    malignant = torch.tensor((test.target == 0).to_numpy())
    with torch.no_grad():
        logits = model(x_test)
    missed = F.softplus(-logits[malignant]).mean()
    alarmed = F.softplus(logits[~malignant]).mean()
    print(f"held-out loss {(missed + alarmed).item() / 2:.4f}")


if __name__ == "__main__":
    main()
