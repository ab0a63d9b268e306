"""capture/rates_ahead.py: a schedule is looked ahead, and nothing of it moves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import SGD, Optimizer
from torch.optim import lr_scheduler as schedules

from trainwell.capture.rates_ahead import MOST, driving_nothing, rates_ahead


def warmed(optimizer: Optimizer) -> Any:
    first = schedules.LinearLR(optimizer, start_factor=0.1, total_iters=5)
    second = schedules.CosineAnnealingLR(optimizer, T_max=15)
    return schedules.SequentialLR(optimizer, [first, second], milestones=[5])


class Holder:
    """Whatever holds the function of a schedule is not copied."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise AssertionError

    def share(self, step: int) -> float:
        return 1 / (1 + step)


@pytest.mark.parametrize(
    "make",
    [
        lambda optimizer: schedules.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 8)),
        lambda optimizer: schedules.LambdaLR(optimizer, Holder().share),
        lambda optimizer: schedules.OneCycleLR(optimizer, max_lr=0.5, total_steps=20),
        lambda optimizer: schedules.CosineAnnealingLR(optimizer, T_max=20),
        lambda optimizer: schedules.StepLR(optimizer, step_size=3),
        warmed,
    ],
)
def test_what_is_foretold_comes_true(make: Callable[[Optimizer], Any]) -> None:
    weight = torch.zeros(3, requires_grad=True)
    optimizer = SGD([weight], lr=0.5, momentum=0.9)
    schedule = make(optimizer)
    template = driving_nothing(schedule)
    foretold = rates_ahead(template, 19)
    came = []
    for _ in range(20):
        came.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert foretold == pytest.approx(came)
    assert rates_ahead(template, 19) == foretold
    assert template.optimizer.param_groups[0]["params"][0] is not weight


def test_what_cannot_be_stepped_alone_is_not_foretold() -> None:
    optimizer = SGD([torch.zeros(1)], lr=0.1)
    assert rates_ahead(driving_nothing(schedules.ReduceLROnPlateau(optimizer)), 5) == ()
    assert rates_ahead(None, 5) == ()
    assert rates_ahead(driving_nothing(schedules.StepLR(optimizer, 3)), MOST + 1) == ()
