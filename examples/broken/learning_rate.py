"""Handwritten digits, a convolutional network: after ten epochs it is no better than guessing."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    pictures = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16.0
    dataset = TensorDataset(pictures, torch.tensor(digits.target))
    training, validation = random_split(dataset, [0.8, 0.2])
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    for epoch in range(10):
        model.train()
        for inputs, labels in DataLoader(training, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
        model.eval()
        inputs, labels = next(iter(DataLoader(validation, batch_size=len(validation))))
        accuracy = (model(inputs).argmax(dim=1) == labels).float().mean().item()
        print(f"epoch {epoch}: loss {loss.item():.3f}, validation accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
