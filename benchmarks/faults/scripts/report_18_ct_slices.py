"""Segment a bright organ in slices measured in Hounsfield units."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Slices(Dataset):
    """Made-up axial slices; `standardize` subtracts the mean of the scanner's range and divides by its spread."""

    def __init__(self, count, seed, standardize=True):
        generator = torch.Generator().manual_seed(seed)
        y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
        centre = 7 + 10 * torch.rand(count, 2, 1, 1, generator=generator)
        axes = 3 + 3 * torch.rand(count, 2, 1, 1, generator=generator)
        organ = ((y - centre[:, 0]) / axes[:, 0]) ** 2 + ((x - centre[:, 1]) / axes[:, 1]) ** 2 < 1
        tissue = 60.0 + 90.0 * organ + 45.0 * torch.randn(count, 24, 24, generator=generator)
        self.image = ((tissue - 101.0) / 76.9 if standardize else tissue).unsqueeze(1)
        self.organ = organ.long()

    def __len__(self):
        return len(self.organ)

    def __getitem__(self, index):
        return self.image[index], self.organ[index]


def conv_block(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.1))


def evaluate(model, loader, criterion):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for image, organ in loader:
            total += criterion(model(image), organ).item() * len(organ)
    model.train()
    return total / len(loader.dataset)


def main(steps, seed):
    torch.manual_seed(seed)
    train_loader = DataLoader(Slices(400, seed), batch_size=16, shuffle=True)
    evaluation = [Slices(100, part_seed, standardize=True) for part_seed in (10_001, 10_002)]
    val_loader, test_loader = (DataLoader(part, batch_size=50) for part in evaluation)
    model = nn.Sequential(conv_block(1, 12), conv_block(12, 12), conv_block(12, 12), nn.Conv2d(12, 2, 1))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    step = 0
    while step < steps:
        for image, organ in train_loader:
            loss = criterion(model(image), organ)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % 10 == 0:
                print(f"step {step} train {loss.item():.3f} val {evaluate(model, val_loader, criterion):.3f}")
            if step >= steps:
                break

    # held out
    print(f"held-out loss {evaluate(model, test_loader, criterion):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
