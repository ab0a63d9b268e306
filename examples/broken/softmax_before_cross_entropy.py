"""Handwritten digits, a small network: it learns, but slowly, and the loss never comes near 0."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.output = nn.Linear(64, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.hidden(pixels))
        return torch.softmax(self.output(features), dim=1)


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    pixels = torch.tensor(digits.data, dtype=torch.float32) / 16.0
    dataset = TensorDataset(pixels, torch.tensor(digits.target))
    training, validation = random_split(dataset, [0.8, 0.2])
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(10):
        for inputs, labels in DataLoader(training, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels)
            loss.backward()
            optimizer.step()
        inputs, labels = next(iter(DataLoader(validation, batch_size=len(validation))))
        accuracy = (model(inputs).argmax(dim=1) == labels).float().mean().item()
        print(f"epoch {epoch}: loss {loss.item():.3f}, validation accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
