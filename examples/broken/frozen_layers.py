"""Handwritten digits, a deep network: it learns something, and more layers make it worse."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Deep(nn.Module):
    def __init__(self, depth: int = 6, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.hidden = [nn.Linear(width, width) for _ in range(depth)]
        self.output = nn.Linear(width, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.first(pixels))
        for layer in self.hidden:
            features = torch.relu(layer(features))
        return self.output(features)


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    pixels = torch.tensor(digits.data, dtype=torch.float32) / 16.0
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(pixels))
    training, test = order[:1400], order[1400:]
    model = Deep()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(20):
        for chosen in training[torch.randperm(len(training))].split(64):
            optimizer.zero_grad()
            loss = criterion(model(pixels[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
        if epoch % 5 == 4:
            accuracy = (model(pixels[test]).argmax(dim=1) == labels[test]).float().mean().item()
            print(f"epoch {epoch + 1}: loss {loss.item():.3f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
