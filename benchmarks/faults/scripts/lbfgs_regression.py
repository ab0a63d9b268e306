"""A small network fitted by L-BFGS with a closure: the Friedman regression problem, in units of its own."""

import argparse

import torch
from sklearn.datasets import make_friedman1
from sklearn.model_selection import train_test_split
from torch import nn


class Standardizer:
    def fit(self, table):
        self.mean, self.std = table.mean(0), table.std(0)
        return self

    def transform(self, table):
        return (table - self.mean) / self.std


class Network(nn.Module):
    def __init__(self, inputs, hidden=16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
        )
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h = self.layers(x)
        return self.out(h).squeeze(-1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    x, y = make_friedman1(n_samples=1500, n_features=8, noise=0.5, random_state=args.seed)
    # The columns come in units of their own: percent, kelvin, metre and so on.
    x = x * [100, 20, 1, 5, 30, 1, 0.1, 2] + [0, 280, 5, 100, 0, 0, 0, 10]
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=500, random_state=args.seed)
    scaler = Standardizer().fit(x_train)
    x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
    y_mean, y_std = y_train.mean(), y_train.std()
    y_train, y_test = (y_train - y_mean) / y_std, (y_test - y_mean) / y_std

    net = Network(inputs=x.shape[1])
    criterion = nn.MSELoss()
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=4, history_size=20)

    def closure():
        optimizer.zero_grad()
        loss = criterion(net(x_train), y_train) + 1e-4 * sum(p.square().sum() for p in net.parameters())
        loss.backward()
        return loss

    for step in range(args.steps):
        loss = optimizer.step(closure)
        if step % 5 == 0:
            with torch.no_grad():
                test_loss = criterion(net(x_test), y_test)
            print(f"step {step}: train {loss.item():.4f}, test {test_loss.item():.4f}")

    # held out
    net.eval()
    with torch.no_grad():
        loss = nn.functional.mse_loss(net(x_test).flatten(), y_test)
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
