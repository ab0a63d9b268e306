"""Handwritten digits, read row by row by a recurrent network: the loss hardly moves."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.GRU(8, 48)
        self.output = nn.Linear(48, 10)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        # The recurrent layer wants (rows, pictures, pixels).
        sequence = pictures.view(8, -1, 8)
        _, last = self.rows(sequence)
        return self.output(last[0])


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    pictures = torch.tensor(digits.images, dtype=torch.float32) / 16.0
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(pictures))
    training, test = order[:1400], order[1400:]
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(20):
        for chosen in training[torch.randperm(len(training))].split(50):
            optimizer.zero_grad()
            loss = criterion(model(pictures[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
        if epoch % 5 == 4:
            accuracy = (model(pictures[test]).argmax(dim=1) == labels[test]).float().mean().item()
            print(f"epoch {epoch + 1}: loss {loss.item():.3f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
