"""Progress of diabetes from ten measurements: the predictions all come out near the mean."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn


def main() -> None:
    torch.manual_seed(0)
    data, target = load_diabetes(return_X_y=True)
    inputs = torch.tensor(StandardScaler().fit_transform(data), dtype=torch.float32)
    wanted = torch.tensor((target - target.mean()) / target.std(), dtype=torch.float32)
    order = torch.randperm(len(inputs))
    training, test = order[:350], order[350:]
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(100):
        for chosen in training[torch.randperm(len(training))].split(50):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs[chosen]), wanted[chosen])
            loss.backward()
            optimizer.step()
        if epoch % 20 == 19:
            error = (model(inputs[test]).squeeze(1) - wanted[test]).square().mean()
            print(f"epoch {epoch + 1}: test error {error.item():.3f} of the variance")


if __name__ == "__main__":
    main()
