"""Regularization, transfer, and inputs that are ignored: trainings in which the rules fire, and near misses."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from rows import Row, heard
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from trainwell.capture.interventions import changed
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation

Made = Callable[[], tuple[nn.Module, Optimizer]]
WITHOUT = Fork(changed="no weight decay or dropout")
LOWER = (Fork(changed="learning rate", factor=0.1), Fork(changed="learning rate", factor=0.01))


def steps(
    made: Made, batches: Callable[[], Iterator[tuple[Tensor, Tensor]]], *, evaluate: Tensor | None = None
) -> Callable[[], None]:
    """A step a batch; between, a look at some samples in test mode."""

    def train() -> None:
        torch.manual_seed(0)
        model, optimizer = made()
        for number, (x, y) in enumerate(batches()):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if evaluate is not None and number % 5 == 4:
                model.eval()
                with torch.no_grad():
                    model(evaluate)
                model.train()

    return train


def tried(train: Callable[[], None], *forks: Fork) -> Observation:
    """A training, and the same again with one thing changed."""
    plain = heard(train)
    assert plain.steps is not None
    found = []
    for fork in forks:
        with changed(fork):
            again = heard(train)
        assert again.steps is not None
        found.append(replace(fork, values=again.steps.values))
    return replace(plain, forks=Forks(unchanged=plain.steps.values, changed=tuple(found)))


def digits(lab: Any, *, batch: int = 32, count: int = 15) -> Any:
    """The first so many batches."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        split = lab.digits()
        for number in range(count):
            chosen = torch.arange(number * batch, (number + 1) * batch) % len(split.x)
            yield split.x[chosen], split.y[chosen]

    return batches


def decayed(lab: Any, decay: float, *, apart: bool = False) -> Observation:
    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 32, 10, norm=True)
        matrices = [each for each in model.parameters() if each.ndim > 1]
        vectors = [each for each in model.parameters() if each.ndim < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices},
            {"params": vectors, "weight_decay": 0.0 if apart else decay},
        ]
        return model, AdamW(groups, lr=1e-3, weight_decay=decay)

    return heard(steps(made, digits(lab, count=4)))


def regularized(lab: Any, *, decay: float = 0.0, dropout: float = 0.0, rate: float = 0.05) -> Observation:
    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 64, 64, 10, dropout=dropout)
        return model, SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=decay)

    return tried(steps(made, digits(lab, count=30)), WITHOUT, LOWER[0])


def normed(lab: Any, batch: int) -> Observation:
    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 64, 64, 10, norm=True)
        return model, AdamW(model.parameters(), lr=2e-3)

    return tried(steps(made, digits(lab, batch=batch, count=30)), Fork(changed="norms over the sample"))


class Dropping(nn.Module):
    """A perceptron whose dropout is a function."""

    def __init__(self, drop: Callable[[Tensor, bool], Tensor]) -> None:
        super().__init__()
        self.drop = drop
        self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.drop(self.first(x).relu(), self.training))
        return found


def dropping(lab: Any, drop: Callable[[Tensor, bool], Tensor], *, evaluate: Tensor | None = None) -> Observation:
    def made() -> tuple[nn.Module, Optimizer]:
        model = Dropping(drop)
        return model, AdamW(model.parameters(), lr=2e-3)

    return heard(steps(made, digits(lab, count=5), evaluate=evaluate))


class Overwriting(nn.Module):
    """A perceptron that loses its input on the way, or begins with an output layer of zeros."""

    def __init__(self, *, lost: bool) -> None:
        super().__init__()
        self.lost = lost
        self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 10)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(torch.zeros_like(x) if self.lost else x).relu()
        found: Tensor = self.last(hidden)
        return found


def overwriting(lab: Any, *, lost: bool) -> Observation:
    def made() -> tuple[nn.Module, Optimizer]:
        model = Overwriting(lost=lost)
        return model, SGD(model.parameters(), lr=0.1)

    return heard(steps(made, digits(lab, count=10)))


def loaded(lab: Any, batches: Callable[[Any], Iterator[tuple[Tensor, Tensor]]], *, alike: bool = False) -> Observation:
    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 16, 10)
        return model, SGD(model.parameters(), lr=0.1)

    split = lab.digits()
    inputs = split.x * 0.0 if alike else split.x
    loader = DataLoader(TensorDataset(inputs, split.y), batch_size=32)
    return heard(steps(made, lambda: batches(loader)))


def in_turn(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    yield from loader


def stale(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    batch = next(iter(loader))
    for _x, _y in loader:
        yield batch


def anew(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(12):
        x, y = next(iter(loader))
        yield x, y


@cache
def trained_before(lab: Any) -> dict[str, Tensor]:
    """A convnet with batch norms, after four epochs on digits."""
    model: nn.Module = lab.convnet(width=8)
    lab.train(model, lab.digits(), lr=1e-2, epochs=4)
    return model.state_dict()


def convnet(lab: Any) -> nn.Sequential:
    """With those weights, for pictures."""
    model: nn.Sequential = lab.convnet(width=8, seed=1)
    model.load_state_dict(trained_before(lab))
    model[0] = nn.Identity()
    return model.train()


def pictures(lab: Any, *, scale: float = 1.0, shift: float = 0.0) -> Any:
    """Batches of digits as pictures of one channel, in another range."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in digits(lab, count=20)():
            yield x.unflatten(1, (1, 8, 8)) * scale + shift, y

    return batches


def fine_tuned(lab: Any, *, rate: float) -> Observation:
    trained_before(lab)

    def made() -> tuple[nn.Module, Optimizer]:
        model = convnet(lab)
        return model, SGD(model.parameters(), lr=rate, momentum=0.9)

    return tried(steps(made, pictures(lab)), *LOWER)


def upon_frozen(lab: Any, *, in_test_mode: bool, scale: float = 1.0, shift: float = 0.0) -> Observation:
    trained_before(lab)

    def made() -> tuple[nn.Module, Optimizer]:
        backbone = convnet(lab)[:-1].requires_grad_(False).train(not in_test_mode)
        head = nn.Linear(64, 10)
        return nn.Sequential(backbone, head), SGD(head.parameters(), lr=0.1)

    return tried(steps(made, pictures(lab, scale=scale, shift=shift)), Fork(changed="standardized input"))


CASES: dict[str, Callable[[Any], Observation]] = {
    "decay on all tensors": lambda lab: decayed(lab, 0.01),
    "decay on matrices": lambda lab: decayed(lab, 0.01, apart=True),
    "decay far too strong": lambda lab: regularized(lab, decay=5.0),
    "decay as it should be": lambda lab: regularized(lab, decay=5e-4),
    "dropout far too strong": lambda lab: regularized(lab, dropout=0.9),
    "dropout of half": lambda lab: regularized(lab, dropout=0.5),
    "norms over three": lambda lab: normed(lab, 3),
    "norms over sixteen": lambda lab: normed(lab, 16),
    "dropout in any mode": lambda lab: dropping(lab, lambda x, _: F.dropout(x, 0.3)),
    "dropout in training": lambda lab: dropping(lab, lambda x, training: F.dropout(x, 0.3, training=training)),
    "dropout in evaluation": lambda lab: dropping(
        lab, lambda x, _: F.dropout(x, 0.3, training=True), evaluate=lab.digits().xv
    ),
    "input lost": lambda lab: overwriting(lab, lost=True),
    "output layer of zeros, trained": lambda lab: overwriting(lab, lost=False),
    "samples all alike": lambda lab: loaded(lab, in_turn, alike=True),
    "batch of before the loop": lambda lab: loaded(lab, stale),
    "iterator made in the loop": lambda lab: loaded(lab, anew),
    "batches in turn": lambda lab: loaded(lab, in_turn),
    "pictures of another range": lambda lab: upon_frozen(lab, in_test_mode=True, scale=10.0),
    "pictures as before": lambda lab: upon_frozen(lab, in_test_mode=True),
    "frozen, in training mode": lambda lab: upon_frozen(lab, in_test_mode=False, scale=2.0, shift=1.0),
    "rate for new weights": lambda lab: fine_tuned(lab, rate=3.0),
    "rate for old weights": lambda lab: fine_tuned(lab, rate=0.01),
}

ROWS: tuple[Row, ...] = (
    Row(
        code="REG003",
        fires="decay on all tensors",
        misses="decay on matrices",
        severity="info",
        message="Weight decay # is on # tensors of one dimension too, of # that it is on.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="REG004",
        fires="decay far too strong",
        misses="decay as it should be",
        severity="warning",
        message="With weight decay # at learning rate #, the loss goes from # to # in # steps; the same steps without "
        "bring it to #.",
        threshold="SHARE",
        changed_to=1.0,
    ),
    Row(
        code="REG004",
        fires="dropout far too strong",
        misses="dropout of half",
        severity="warning",
        message="With dropout #, the loss goes from # to # in # steps; the same steps without bring it to #.",
        threshold="DROPPED",
        changed_to=1.0,
    ),
    Row(
        code="REG005",
        fires="norms over three",
        misses="norms over sixteen",
        severity="warning",
        message='Batch norm "#" (and # more) normalizes over # numbers a channel, of # samples, and the loss goes from '
        "# to # in # steps; the same steps with each sample normalized by itself bring it to #.",
        threshold="FEW",
        changed_to=2.0,
    ),
    Row(
        code="REG006",
        fires="dropout in any mode",
        misses="dropout in training",
        severity="error",
        message="Run once more in test mode, `dropout` here still leaves out #% of the numbers at random: the same "
        "sample gets another answer each time.",
        threshold="ALLOWED",
        changed_to=0.5,
    ),
    Row(
        code="REG006",
        fires="dropout in evaluation",
        misses="dropout in training",
        severity="error",
        message="In test mode, `dropout` here still leaves out #% of the numbers at random: the same sample gets "
        "another answer each time.",
        threshold="ALLOWED",
        changed_to=0.5,
    ),
    Row(
        code="DEP003",
        fires="input lost",
        misses="output layer of zeros, trained",
        severity="error",
        message="After # steps not a single bit of the network's # outputs changes when all # samples of the batch are "
        "exchanged: it ignores its input.",
        threshold="CHANGED",
        changed_to=-1,
    ),
    Row(
        code="DEP003",
        fires="samples all alike",
        misses="batches in turn",
        severity="error",
        message="All # samples of the first batch are the same numbers, though their targets differ.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="DEP003",
        fires="batch of before the loop",
        misses="batches in turn",
        severity="error",
        message="At each of # steps the network is given the same batch, though the loader hands out # batches "
        "meanwhile.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="DEP003",
        fires="iterator made in the loop",
        misses="batches in turn",
        severity="error",
        message="At each of # steps the loader is begun anew and hands out its first batch, the same each time: the "
        "other # are never seen.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="TRF001",
        fires="pictures of another range",
        misses="pictures as before",
        severity="warning",
        message='The network was trained before, and batch norm "#" is given numbers whose mean lies # of its running '
        "deviations away, and whose deviation is # times the running one.",
        threshold="APART",
        changed_to=1e9,
    ),
    Row(
        code="TRF002",
        fires="rate for new weights",
        misses="rate for old weights",
        severity="warning",
        message="The network was trained before (its batch norms have running statistics), and in # steps its loss "
        "goes from # to #; the same steps at # times the learning rate bring it to #.",
        threshold="FOLD",
        changed_to=1e9,
    ),
    Row(
        code="TRF003",
        fires="frozen, in training mode",
        misses="pictures as before",
        severity="error",
        message='Batch norm "#" is frozen with the layer before it, but in # steps its running mean moved '
        "by # of its deviations.",
        threshold="MOVED",
        changed_to=1e9,
    ),
)
