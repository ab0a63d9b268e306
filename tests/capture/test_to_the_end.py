"""capture/to_the_end.py: a Setup's curves, and what a check reads in them."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from trainwell.capture.dependence import UntoldError
from trainwell.capture.given import Setup
from trainwell.capture.to_the_end import train_to_the_end
from trainwell.checking import check_setup

made = torch.Generator().manual_seed(0)
X = torch.randn(360, 20, generator=made)
NOISY = (X[:, 0] + 0.8 * torch.randn(360, generator=made) > 0).long()
CLEAN = (X[:, 0] + X[:, 1] > 0).long()


def setup(labels: Tensor = NOISY, *, trained: int = 60, epochs: int = 60) -> Setup:
    def build() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 2))

    return Setup(
        build,
        train=(X[:trained], labels[:trained]),
        val=(X[trained:], labels[trained:]),
        optimizer=lambda weights: torch.optim.Adam(weights, lr=2e-3),
        batch_size=20,
        epochs=epochs,
    )


def test_curves_are_measured_after_each_epoch_in_test_mode() -> None:
    mine = setup(epochs=5)
    before = torch.get_rng_state()
    curves = train_to_the_end(mine, seconds=60.0)
    again = train_to_the_end(mine, seconds=60.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert curves == again
    assert curves.train_loss.x == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert curves.start == pytest.approx(0.7, abs=0.1)
    assert curves.samples == 60
    assert curves.unit == "epoch"
    assert all(0 <= each <= 1 for each in curves.validation_metric.y)


def test_numbers_have_no_accuracy() -> None:
    mine = replace(setup(epochs=4), train=(X[:60], X[:60, :2].clone()), val=(X[60:], X[60:, :2].clone()))
    assert train_to_the_end(mine, seconds=60.0).validation_metric.y == ()


class Endless(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return itertools.cycle(zip(X, NOISY, strict=True))


@pytest.mark.parametrize(
    ("changed", "seconds", "why"),
    [
        ({"val": None}, 60.0, "no `val`"),
        ({"epochs": 3}, 60.0, "3 epochs"),
        ({"epochs": 100_000}, 1.0, "100000 epochs take"),
        ({"train": DataLoader(Endless(), batch_size=20)}, 0.5, "longer than"),
    ],
)
def test_why_there_is_none(changed: dict[str, Any], seconds: float, why: str) -> None:
    with pytest.raises(UntoldError, match=why):
        train_to_the_end(replace(setup(), **changed), seconds=seconds)


def test_a_check_says_that_a_setup_overfits() -> None:
    found = check_setup(setup())
    assert found.diagnosis.headline is not None
    assert found.diagnosis.headline.code == "REG001"
    assert "epoch" in found.diagnosis.headline.message


def test_a_check_is_silent_where_it_does_not() -> None:
    quiet = check_setup(replace(setup(CLEAN, trained=200, epochs=30), optimizer=falling))
    assert [each.code for each in quiet.diagnosis.findings if each.severity != "info"] == []
    assert "curves" not in {each.why.partition(":")[2].strip() for each in quiet.diagnosis.not_run}


def falling(weights: Iterator[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=2e-3, weight_decay=1e-2)


def test_a_step_of_ones_own_is_not_measured() -> None:
    def step(model: nn.Module, batch: Any, loss: Any, optimizer: torch.optim.Optimizer) -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss(model(batch[0].float()), batch[1])
        value.backward()
        optimizer.step()
        return value

    mine = replace(setup(CLEAN, trained=200, epochs=5), step=step)
    double = replace(mine, train=(mine.train[0].double(), mine.train[1]), val=(mine.val[0].double(), mine.val[1]))
    found = check_setup(double)
    assert any("step of your own" in each.why for each in found.diagnosis.not_run)


def test_what_a_network_raises_in_an_epoch_ends_no_check() -> None:
    class Raising(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(20, 2)

        def forward(self, x: Tensor) -> Tensor:
            if not self.training and len(x) == 20 and not torch.is_grad_enabled():
                raise RuntimeError("not in test mode")
            found: Tensor = self.linear(x)
            return found

    found = check_setup(replace(setup(CLEAN, trained=200, epochs=5), model=Raising))
    assert any("not in test mode" in each.why for each in found.diagnosis.not_run if each.code == "REG001")
