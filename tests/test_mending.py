"""mending.py: a remedy is kept where the fault is gone and held-out loss is lower in every pair of trainings."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from trainwell.capture.given import Setup
from trainwell.capture.rehearse import hear_setup
from trainwell.checking import check, check_setup
from trainwell.cli.formats import tried
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.steps import Steps
from trainwell.mending import held_out, is_better, mend

STEPS = Steps(taken=9, values=(9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0), samples=(32,) * 9, fresh=(32,) * 9)


def regression() -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(0)
    inputs = torch.randn(2000, 8, generator=made)
    return inputs, inputs @ torch.randn(8, 1, generator=made)


def finding(code: str) -> Finding:
    return Finding(code=code, name="x", severity="warning", message="x", remedies=(Remedy(text="Do it."),))


def test_held_out_is_what_was_never_trained_on() -> None:
    assert held_out(STEPS) == 2.0
    assert held_out(replace(STEPS, fresh=(32,) * 3 + (0,) * 6)) is None
    # Of the first six, the last third is two.
    assert held_out(replace(STEPS, fresh=(32,) * 6 + (31,) * 3)) == 4.5
    assert held_out(replace(STEPS, samples=(8,) * 9, fresh=(8,) * 9)) is None
    assert held_out(replace(STEPS, values=(*STEPS.values[:8], math.nan))) == math.inf
    assert held_out(Steps(taken=2, values=(1.0, 1.0))) is None


@pytest.mark.parametrize(
    ("pairs", "better"),
    [
        ([(2.0, 1.0), (2.1, 1.2), (2.0, 1.1)], True),
        ([(2.0, 1.0), (2.1, 1.2), (2.0, 2.1)], False),
        ([(2.0, 1.0), (2.1, 1.2)], False),
        ([(2.0, 0.1), (2.0, 1.99), (2.0, 1.99)], False),
        ([(math.inf, 1.0), (math.inf, 1.2), (math.inf, 1.1)], True),
        ([(2.0, math.inf), (2.0, 1.0), (2.0, 1.0)], False),
    ],
)
def test_better_is_beyond_chance(pairs: list[tuple[float, float]], better: bool) -> None:
    assert is_better(pairs) is better


def test_a_rate_that_was_too_high_is_mended_and_one_that_was_right_is_not() -> None:
    high = Setup(nn.Linear(8, 1), train=regression(), optimizer=lambda p: torch.optim.SGD(p, lr=2.0))
    lower = Fork(changed="learning rate", factor=0.1)
    run = partial(hear_setup, high, steps=30, seconds=60.0)
    made = mend(finding("OPT002"), run, lambda _: [], fork=lower)
    assert made is not None
    assert made.proven
    assert made.seeds == 3
    assert made.loss_after is not None
    assert made.loss_before is not None
    assert made.loss_after < made.loss_before
    right = replace(high, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    made = mend(finding("OPT002"), partial(hear_setup, right, steps=30, seconds=60.0), lambda _: [], fork=lower)
    assert made is not None
    assert not made.proven
    assert made.unproven == "the loss of the first steps is not lower by more than chance"


def test_what_is_still_found_is_not_mended() -> None:
    setup = Setup(nn.Linear(8, 1), train=regression(), optimizer=lambda p: torch.optim.SGD(p, lr=2.0))
    run = partial(hear_setup, setup, steps=30, seconds=60.0)
    made = mend(finding("OPT002"), run, lambda _: ["OPT002"], fork=Fork(changed="learning rate", factor=0.1))
    assert made is not None
    assert not made.proven
    assert made.unproven == "OPT002 is still found"


def test_data_that_repeats_proves_nothing() -> None:
    inputs, targets = regression()
    few = inputs[:64], targets[:64]
    setup = Setup(nn.Linear(8, 1), train=few, batch_size=32, optimizer=lambda p: torch.optim.SGD(p, lr=2.0))
    run = partial(hear_setup, setup, steps=30, seconds=60.0)
    made = mend(finding("OPT002"), run, lambda _: [], fork=Fork(changed="learning rate", factor=0.1))
    assert made is not None
    assert not made.proven
    assert made.unproven == "its batches repeat, so nothing is held out"


def test_a_check_tries_its_own_findings() -> None:
    setup = Setup(nn.Linear(8, 1), train=regression(), optimizer=lambda p: torch.optim.SGD(p, lr=5.0))
    found = check_setup(setup, fix=True)
    assert found.diagnosis.headline is not None
    assert found.diagnosis.headline.code == "OPT002"
    assert found.diagnosis.headline.remedies[0].proven
    healthy = replace(setup, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    assert check_setup(healthy, fix=True).diagnosis.headline is None


def test_nothing_is_offered_where_the_author_must_think() -> None:
    def never(**_: object) -> object:
        raise AssertionError("nothing is run")

    assert mend(finding("DEP002"), never, lambda _: []) is None  # type: ignore[arg-type]  # it is not called


LEAKING = """
import torch
from torch import nn

torch.manual_seed(0)
inputs = torch.randn(640, 8)
model = nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
total = 0.0
for step in range(20):
    loss = nn.functional.mse_loss(model(inputs[32 * step : 32 * step + 32]), torch.zeros(32, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss
"""


def test_what_costs_no_loss_is_proven_where_it_is_gone_and_nothing_else_has_changed(tmp_path: Path) -> None:
    script = tmp_path / "leaking.py"
    script.write_text(LEAKING)
    found = check(str(script), fix=True, select=["OPT017"]).diagnosis.headline
    assert found is not None
    assert (found.code, found.remedies[0].proven) == ("OPT017", True)
    assert "+    total += loss.item()" in found.remedies[0].patch
    assert tried(found.remedies[0]) == "Proven: the finding is gone, and each step's loss is what it was, 3 seeds."
