"""Rules of the data that are told from a script's first steps."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rows import Row, heard, loop
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from trainwell.core.records.observation import Observation


def fed(model: nn.Module, batches: Iterable[Any], *, epochs: int = 1) -> Callable[[], None]:
    """Steps of a classifier on what a loader gives."""

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(epochs):
            for inputs, labels in batches:
                optimizer.zero_grad()
                F.cross_entropy(model(inputs), labels).backward()
                optimizer.step()

    return train


def by_class(lab: Any, *, classes: int = 10, each: int = 40) -> TensorDataset:
    """Digits sorted by class, as many of each."""
    split = lab.digits()
    chosen = torch.cat([(split.y == label).nonzero()[:each, 0] for label in range(classes)])
    return TensorDataset(split.x[chosen], split.y[chosen])


def _ordered(lab: Any, *, shuffle: bool = False, batch: int = 16) -> Observation:
    torch.manual_seed(0)
    loader = DataLoader(by_class(lab), batch_size=batch, shuffle=shuffle)
    return heard(fed(lab.mlp(64, 16, 10), loader))


def _first_class(lab: Any, *, shuffle: bool = False) -> Observation:
    """Eight batches of a loader that would give many more."""
    torch.manual_seed(0)
    loader = DataLoader(by_class(lab, each=70), batch_size=8, shuffle=shuffle)

    def batches() -> Iterable[Any]:
        for (inputs, labels), _ in zip(loader, range(8)):
            yield inputs, labels

    return heard(fed(lab.mlp(64, 16, 10), batches()))


class Noisy(Dataset[tuple[Tensor, Tensor]]):
    """Digits with noise, drawn by numpy from a generator of the dataset's own or of the process, or by torch."""

    def __init__(self, split: Any, draws: str) -> None:
        self.x, self.y, self.draws = split.x[:64], split.y[:64], draws
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        if self.draws == "torch":
            noise = torch.randn(64)
        elif self.draws == "own":
            noise = torch.tensor(self.rng.normal(size=64), dtype=torch.float32)
        else:
            noise = torch.tensor(np.random.normal(size=64), dtype=torch.float32)  # noqa: NPY002 - scripts do
        return self.x[place] + noise, self.y[place]


def seed_alike(_worker: int) -> None:
    np.random.seed(0)  # noqa: NPY002 - scripts do


def _workers(lab: Any, draws: str, *, init: Callable[[int], None] | None = None) -> Observation:
    loader = DataLoader(Noisy(lab.digits(), draws), batch_size=16, num_workers=2, worker_init_fn=init)
    return heard(fed(lab.mlp(64, 16, 10), loader))


class Tagger(nn.Module):
    """A label for each word."""

    def __init__(self, words: int, labels: int) -> None:
        super().__init__()
        self.word, self.last = nn.Embedding(words, 8), nn.Linear(8, labels)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.word(x))
        return found


def sentences(*, fill: int = 0) -> tuple[Tensor, Tensor]:
    """Words 1 to 9 and their labels, two classes from 1 on; the ends of rows are filled up with 0, or the labels'."""
    draw = torch.Generator().manual_seed(0)
    words, labels = torch.zeros(48, 12, dtype=torch.long), torch.full((48, 12), fill)
    for row, length in enumerate(torch.randint(4, 13, (48,), generator=draw).tolist()):
        words[row, :length] = torch.randint(1, 10, (length,), generator=draw)
        labels[row, :length] = 1 + words[row, :length] % 2
    return words, labels


def tagged(*, fill: int = 0, ignore: int = -100, sideways: bool = False) -> Callable[[], None]:
    """Steps of a tagger on filled rows."""
    words, labels = sentences(fill=fill)
    torch.manual_seed(0)
    model = Tagger(10, 3)

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for x, y in zip(words.split(12), labels.split(12), strict=True):
            if sideways:
                x, y = x.t(), y.t()
            optimizer.zero_grad()
            F.cross_entropy(model(x).flatten(0, 1), y.reshape(-1), ignore_index=ignore).backward()
            optimizer.step()

    return train


def evaluated(lab: Any, scale: Callable[[Tensor], Tensor], *, noise: float = 0.0) -> Callable[[], None]:
    """Epochs on standardized digits, after each of which others are classified, as `scale` makes them."""
    split = lab.digits()
    torch.manual_seed(0)
    model = lab.mlp(64, 32, 10)

    def train() -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(3):
            model.train()
            for x, y in zip(split.x[:512].split(64), split.y[:512].split(64), strict=True):
                optimizer.zero_grad()
                F.cross_entropy(model(x + noise * torch.randn_like(x)), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                for x, y in zip(split.xv[:256].split(64), split.yv[:256].split(64), strict=True):
                    F.cross_entropy(model(scale(x)), y)

    return train


def raw(x: Tensor) -> Tensor:
    """As if it had never been standardized: to about [0, 1]."""
    return x / 6 + 0.3


def _binary(lab: Any, targets: Tensor) -> Observation:
    split = lab.digits()
    return heard(
        loop(
            lab.mlp(64, 16, 1),
            lambda out: F.binary_cross_entropy_with_logits(out.squeeze(1), targets),
            inputs=split.x,
        )
    )


def _missing_target(lab: Any, targets: Tensor) -> Observation:
    split = lab.digits()
    return heard(loop(lab.mlp(64, 16, 1), lambda out: F.mse_loss(out.squeeze(1), targets), inputs=split.x))


def _from_one(lab: Any) -> Observation:
    split = lab.digits()

    def train() -> None:
        with pytest.raises(IndexError, match="Target 10 is out of bounds"):
            fed(lab.mlp(64, 16, 10), [(split.x, split.y + 1)])()

    return heard(train)


BLURRED = torch.tensor([0.0, 1.2, 0.1, 1.1, 0.3, 0.7, 1.2, 0.9])

CASES: dict[str, Callable[[Any], Observation]] = {
    "digits by class": lambda lab: _ordered(lab),
    "digits shuffled": lambda lab: _ordered(lab, shuffle=True),
    "first digit alone": lambda lab: _first_class(lab),
    "first digits shuffled": lambda lab: _first_class(lab, shuffle=True),
    "noise of the dataset's own": lambda lab: _workers(lab, "own"),
    "noise of torch": lambda lab: _workers(lab, "torch"),
    "noise of numpy": lambda lab: _workers(lab, "numpy"),
    "workers seeded alike": lambda lab: _workers(lab, "numpy", init=seed_alike),
    "labels filled up": lambda lab: heard(tagged()),
    "labels filled up, ignored": lambda lab: heard(tagged(ignore=0)),
    "evaluated unscaled": lambda lab: heard(evaluated(lab, raw)),
    "evaluated as trained": lambda lab: heard(evaluated(lab, lambda x: x)),
    "classes from one": _from_one,
    "labels of minus one": lambda lab: _binary(lab, torch.tensor([-1.0, 1.0] * 4)),
    "labels blurred": lambda lab: _binary(lab, BLURRED),
    "target missing": lambda lab: _missing_target(lab, torch.tensor([0.0, float("nan")] * 4)),
    "no target missing": lambda lab: _missing_target(lab, torch.arange(8.0)),
}

ROWS: tuple[Row, ...] = (
    Row(
        code="DAT004",
        fires="classes from one",
        misses="labels blurred",
        severity="error",
        message="The cross-entropy is given classes from # to # but there are # outputs: classes go from # to # and "
        "torch raises.",
        threshold="ALLOWED",
        changed_to=1.0,
    ),
    Row(
        code="DAT004",
        fires="labels of minus one",
        misses="labels blurred",
        severity="error",
        message="The targets of the binary cross-entropy go from -# to # and #% of them are below # or above #: of "
        "these there is no lowest loss.",
        threshold="OUTSIDE",
        changed_to=1.5,
    ),
    Row(
        code="DAT004",
        fires="target missing",
        misses="no target missing",
        severity="error",
        message="#% of the targets in a batch are NaN or infinite, and the squared error with them.",
        threshold="MISSING",
        changed_to=1.0,
    ),
    Row(
        code="DAT007",
        fires="evaluated unscaled",
        misses="evaluated as trained",
        severity="warning",
        message="The network is evaluated on inputs of another scale than in training: the means lie # training "
        "deviations apart, the deviations are # times those of the training. Brought to the training's, the same "
        "batches have loss # in place of #.",
        threshold="GAIN",
        changed_to=2.0,
    ),
    Row(
        code="DAT008",
        fires="digits by class",
        misses="digits shuffled",
        severity="error",
        message="The samples come sorted by class: # labels of # classes make # runs, in a random order about #; # of "
        "# batches hold a single class.",
        threshold="BEYOND_CHANCE",
        changed_to=1e6,
    ),
    Row(
        code="DAT008",
        fires="first digit alone",
        misses="first digits shuffled",
        severity="error",
        message="The samples come sorted by class: all # labels of the first # batches are of one class, and #% of # "
        "samples from the rest of the # are of others.",
        threshold="FEWEST_SAMPLES",
        changed_to=65,
    ),
    Row(
        code="DAT010",
        fires="noise of the dataset's own",
        misses="noise of torch",
        severity="error",
        message="The # workers of the loader draw the same random numbers: two of them, each asked twice for sample "
        "# gave the same two different answers.",
        threshold="LEAST",
        changed_to=3,
    ),
    Row(
        code="DAT010",
        fires="workers seeded alike",
        misses="noise of numpy",
        severity="error",
        message="The # workers of the loader draw the same random numbers: two of them, each asked twice for sample "
        "# gave the same two different answers.",
        threshold="LEAST",
        changed_to=3,
    ),
    Row(
        code="DAT011",
        fires="labels filled up",
        misses="labels filled up, ignored",
        severity="error",
        message="#% of the targets in the loss are padding: rows end in class # over # to # positions, where the "
        "inputs are filled up, and the loss counts it.",
        threshold="SHARE",
        changed_to=0.9,
    ),
)
