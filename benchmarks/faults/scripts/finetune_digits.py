"""Carry a perceptron that knows the digits 0 to 4 over to the digits 5 to 9, of which few are labelled."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

LABELLED = (40, 40, 40, 8, 8)  # images of each new class; eights and nines are rare


def prepare(pixels):
    return (pixels - 5.0) / 6.0


def pretrain(path, seed):
    """Train on the old digits with scikit-learn and save the hidden layers as a checkpoint with batch norms."""
    old = load_digits(n_class=5)
    h = prepare(old.data)
    mlp = MLPClassifier((96, 48), random_state=seed)
    for _ in range(30):
        mlp.partial_fit(h, old.target, classes=range(5))
    state = {}
    for i in (1, 2):
        h = h @ mlp.coefs_[i - 1] + mlp.intercepts_[i - 1]
        mean, var = h.mean(axis=0), h.var(axis=0)
        arrays = {"fc.weight": mlp.coefs_[i - 1].T, "fc.bias": mlp.intercepts_[i - 1], "norm.running_mean": mean}
        arrays |= {"norm.running_var": var, "norm.weight": np.sqrt(var + 1e-5), "norm.bias": mean}
        state |= {f"block{i}.{name}": torch.tensor(value).float() for name, value in arrays.items()}
        state[f"block{i}.norm.num_batches_tracked"] = torch.tensor(1)
        h = np.maximum(h, 0.0)
    torch.save(state, path)


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x):
        return torch.relu(self.norm(self.fc(x)))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = Block(64, 96)
        self.block2 = Block(96, 48)

    def forward(self, x):
        return self.block2(self.block1(x))


parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=120)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)

backbone = Backbone()
with tempfile.TemporaryDirectory() as folder:
    checkpoint = Path(folder) / "zero-to-four.pt"
    pretrain(checkpoint, args.seed)
    backbone.load_state_dict(torch.load(checkpoint, weights_only=True))

digits = load_digits()
labelled, unlabelled = [], []
for new, count in zip(range(5, 10), LABELLED):
    found = rng.permutation(np.flatnonzero(digits.target == new))
    labelled.extend(found[:count])
    unlabelled.extend(found[count:])
x = torch.tensor(prepare(digits.data[labelled])).float()
y = torch.tensor(digits.target[labelled] - 5)
x_test = torch.tensor(prepare(digits.data[unlabelled])).float()

head = nn.Linear(48, 5)
backbone.block1.requires_grad_(False)
backbone.eval()  # few images: the statistics of the checkpoint are better than theirs
optimizer = torch.optim.SGD(
    [{"params": backbone.block2.parameters(), "lr": 1e-3}, {"params": head.parameters(), "lr": 1e-2}], momentum=0.9
)
criterion = nn.CrossEntropyLoss(weight=1.0 / torch.tensor(LABELLED))
loader = DataLoader(TensorDataset(x, y), batch_size=17, shuffle=True)
inputs, targets = next(iter(loader))
print("features of a batch:", tuple(backbone(inputs).shape))

step = 0
while step < args.steps:
    total = 0.0
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = criterion(head(backbone(inputs)), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
        step += 1
        if step == args.steps:
            break
    print(f"step {step:4d}: loss {total / len(loader):.4f}")

# held out
backbone.eval()
truth = torch.tensor(digits.target[unlabelled] - 5)
with torch.no_grad():
    losses = nn.functional.cross_entropy(head(backbone(x_test))[:, :5], truth, reduction="none")
print(f"held-out loss {torch.stack([losses[truth == c].mean() for c in range(5)]).mean().item():.4f}")
