"""Which track comes next on a playlist? Two towers and Bayesian personalized ranking."""

from argparse import ArgumentParser

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, relu, softmax

N_TRACKS, N_LISTS, MAX_SEEN, MAX_LATER = 300, 6000, 12, 5
PAD = 0  # track numbers start at 1
SPLIT = (5000, 5500)


def simulate(rng: np.random.Generator):
    """What stands on each playlist (padded), what was added later (padded), and what is measured of the tracks."""
    genres = 8
    taste = rng.dirichlet(np.full(genres, 0.1), size=N_TRACKS)
    popularity = 1 / (5 + rng.permutation(N_TRACKS)) ** 0.7
    measured = taste @ rng.normal(size=(genres, 5)) + 0.4 * rng.normal(size=(N_TRACKS, 5))
    measured = (measured - measured.mean(0)) / measured.std(0)
    seen, later = np.zeros((N_LISTS, MAX_SEEN), int), np.zeros((N_LISTS, MAX_LATER), int)
    for row in range(N_LISTS):
        mood = rng.dirichlet(np.full(genres, 0.05))
        p = popularity * (taste @ mood + 0.003)
        n_seen, n_later = rng.integers(4, MAX_SEEN + 1), min(1 + rng.geometric(0.5), MAX_LATER)
        tracks = 1 + rng.choice(N_TRACKS, n_seen + n_later, replace=False, p=p / p.sum())
        seen[row, :n_seen], later[row, :n_later] = tracks[:n_seen], tracks[n_seen:]
    measured = np.vstack([np.zeros((1, 5)), measured])
    return torch.from_numpy(seen), torch.from_numpy(later), torch.from_numpy(measured).float()


class PlaylistTower(nn.Module):
    """Attends to the tracks that are there and maps their weighted mean."""

    def __init__(self, dim: int):
        super().__init__()
        self.table = nn.Embedding(N_TRACKS + 1, dim, padding_idx=PAD)
        self.attention = nn.Linear(dim, 1)
        self.hidden, self.out = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, seen: Tensor) -> Tensor:
        tracks = self.table(seen)
        score = self.attention(tracks).squeeze(-1)
        weight = softmax(score.masked_fill(seen == PAD, -1e9), dim=1)
        pooled = (weight.unsqueeze(-1) * tracks).sum(1)
        return self.out(relu(self.hidden(pooled)))


class TrackTower(nn.Module):
    def __init__(self, dim: int, measured: Tensor):
        super().__init__()
        self.table = nn.Embedding(N_TRACKS + 1, dim, padding_idx=PAD)
        self.bias = nn.Embedding(N_TRACKS + 1, 1)
        self.from_measured = nn.Linear(measured.shape[1], dim, bias=False)
        self.register_buffer("measured", measured)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return self.table(ids) + self.from_measured(self.measured[ids]), self.bias(ids).squeeze(-1)


class Recommender(nn.Module):
    def __init__(self, measured: Tensor, dim: int = 16):
        super().__init__()
        self.playlist, self.track = PlaylistTower(dim), TrackTower(dim, measured)
        self.apply(self.initialize)
        nn.init.zeros_(self.track.bias.weight)

    @staticmethod
    def initialize(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)

    def forward(self, seen: Tensor, ids: Tensor):
        """Scores of the tracks ids (lists, any number) and the vectors they are made of."""
        who = self.playlist(seen)
        what, bias = self.track(ids)
        return torch.einsum("bd,bnd->bn", who, what) + bias, who, what


def bpr(model: Recommender, seen: Tensor, later: Tensor, negatives: int, decay: float):
    drawn = torch.randint(1, N_TRACKS + 1, (len(later), negatives))
    good, who, what = model(seen, later)
    bad, _, other = model(seen, drawn)
    pairs = -logsigmoid(good.unsqueeze(2) - bad.unsqueeze(1)).mean(2)
    there = (later != PAD).float()
    rank = (pairs * there).sum() / there.sum()
    norms = who.pow(2).sum(-1).mean() + what.pow(2).sum(-1).mean() + other.pow(2).sum(-1).mean()
    return rank + decay * norms, rank


def main(steps: int, seed: int, batch: int = 128, rate: float = 5e-3, decay: float = 3e-3):
    torch.manual_seed(seed)
    seen, later, measured = simulate(np.random.default_rng(seed))
    train, valid = slice(0, SPLIT[0]), slice(SPLIT[0], SPLIT[1])
    model = Recommender(measured)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)

    step = 0
    while step < steps:
        model.train()
        order = torch.randperm(SPLIT[0])
        for rows in order.split(batch):
            loss, rank = bpr(model, seen[train][rows], later[train][rows], negatives=20, decay=decay)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        model.eval()
        with torch.no_grad():
            _, unseen = bpr(model, seen[valid], later[valid], negatives=50, decay=0.0)
        print(f"step {step}: pairs {rank.item():.3f}, of other playlists {unseen.item():.3f}")

    # held out
    model.eval()
    generator = torch.Generator().manual_seed(99)
    test_seen, first = seen[SPLIT[1] :], later[SPLIT[1] :, :1]
    rivals = torch.randint(1, N_TRACKS + 1, (len(first), 200), generator=generator)
    with torch.no_grad():
        scores = model(test_seen, torch.cat([first, rivals], 1))[0]
        loss = nn.functional.softplus(scores[:, 1:] - scores[:, :1]).mean()
    print(f"held-out loss {loss.item():.4f}")


if __name__ == "__main__":
    cli = ArgumentParser(description=__doc__)
    cli.add_argument("--steps", type=int, default=400)
    cli.add_argument("--seed", type=int, default=0)
    main(**vars(cli.parse_args()))
