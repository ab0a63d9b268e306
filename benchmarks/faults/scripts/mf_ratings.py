"""Matrix factorization with biases on a table of ratings from one to five stars."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

USERS, ITEMS = 300, 200


def draw_ratings(rng, count):
    """Every user has four tastes, every item four traits; both have a level of their own."""
    tastes, traits = rng.normal(size=(USERS, 4)), rng.normal(size=(ITEMS, 4))
    user_level, item_level = 0.4 * rng.normal(size=USERS), 0.5 * rng.normal(size=ITEMS)
    pair = rng.choice(USERS * ITEMS, size=count, replace=False)
    user, item = pair // ITEMS, pair % ITEMS
    stars = 3.4 + user_level[user] + item_level[item] + 0.5 * (tastes[user] * traits[item]).sum(1)
    stars = (stars + 0.3 * rng.normal(size=count)).round().clip(1, 5)
    return torch.tensor(user), torch.tensor(item), torch.tensor(stars, dtype=torch.float32)


class Factorization(nn.Module):
    def __init__(self, rank=6, mean=3.0):
        super().__init__()
        self.user = nn.Embedding(USERS, rank)
        self.item = nn.Embedding(ITEMS, rank)
        self.user_bias = nn.Embedding(USERS, 1)
        self.item_bias = nn.Embedding(ITEMS, 1)
        self.mean = mean
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.normal_(self.item.weight, std=0.1)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, user, item):
        p, q = self.user(user), self.item(item)
        bias = self.user_bias(user).squeeze(1) + self.item_bias(item).squeeze(1)
        return self.mean + bias + (p * q).sum(1)


@torch.no_grad()
def mean_squared_error(model, data):
    user, item, stars = data[:]
    return nn.functional.mse_loss(model(user, item), stars).item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=512)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    user, item, stars = draw_ratings(np.random.default_rng(args.seed), 14000)

    data = TensorDataset(user, item, stars)
    train, valid = random_split(data, [12000, 2000])
    model = Factorization(mean=stars[train.indices].mean().item())
    loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    criterion = nn.MSELoss()

    step = 0
    while step < args.steps:
        for user, item, stars in loader:
            optimizer.zero_grad()
            loss = criterion(model(user, item), stars)
            loss.backward()
            optimizer.step()
            step += 1
            if step == args.steps:
                break
        if step % 120 == 0:
            print(f"step {step}: train {loss.item():.3f}, valid {mean_squared_error(model, valid):.3f}")

    # held out
    model.eval()
    print(f"held-out loss {mean_squared_error(model, valid):.4f}")
