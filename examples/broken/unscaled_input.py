"""Three sorts of wine told apart by thirteen measurements: a third of the answers are right, as by guessing."""

import torch
from sklearn.datasets import load_wine
from torch import nn


def main() -> None:
    torch.manual_seed(0)
    data, target = load_wine(return_X_y=True)
    inputs = torch.tensor(data, dtype=torch.float32)
    labels = torch.tensor(target)
    order = torch.randperm(len(inputs))
    training, test = order[:130], order[130:]
    model = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(60):
        for chosen in training[torch.randperm(len(training))].split(26):
            optimizer.zero_grad()
            loss = criterion(model(inputs[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
        if epoch % 20 == 19:
            accuracy = (model(inputs[test]).argmax(dim=1) == labels[test]).float().mean().item()
            print(f"epoch {epoch + 1}: loss {loss.item():.3f}, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
