"""checking.py: what is tried once more, and when nothing is."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from trainwell.capture.runner import Heard
from trainwell.checking import _forks_wanted
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import GradientsSeen, InputSeen, LossSeen, Steps
from trainwell.diagnosis.diagnose import diagnose

STUCK = Heard(
    state="stopped",
    seconds=4.0,
    steps=Steps(
        taken=12,
        values=(2.3,) * 12,
        losses=(LossSeen(function="cross-entropy", step=0, outputs=(8, 10)),),
        gradients=(GradientsSeen(steps=11, kept=0, share=0.0),),
        networks=1,
    ),
)


def wanted(heard: Heard, *, left: float = 50.0, once: bool = False) -> tuple[list[tuple[str, float]], str]:
    seen = [Observation(steps=heard.steps)]
    forks, why = _forks_wanted(heard, seen, [diagnose(each) for each in seen], left=left, once=once, select=None)
    return [(fork.changed, fork.factor) for fork in forks], why


def changed(**values: object) -> Heard:
    assert STUCK.steps is not None
    return replace(STUCK, steps=replace(STUCK.steps, **values))  # type: ignore[arg-type]  # as the record checks


def test_a_loss_that_does_not_come_down_is_tried_at_lower_rates() -> None:
    assert wanted(STUCK) == ([("learning rate", 0.1), ("learning rate", 0.01)], "")


def test_inputs_far_apart_are_tried_standardized() -> None:
    falling = tuple(2.3 - 0.1 * step for step in range(12))
    heard = changed(values=falling, input=InputSeen(features=3, smallest=0.1, largest=50.0, widest=50.0))
    assert wanted(heard) == ([("standardized input", 1.0)], "")


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (lambda: changed(values=tuple(2.3 - 0.1 * step for step in range(12))), "no reason|gives a reason"),
        (lambda: changed(networks=2, quiet_networks=1), "several networks or optimizers"),
        (lambda: changed(gradients=(GradientsSeen(steps=11, kept=0, share=0.0),) * 2), "several networks"),
        (lambda: changed(losses=(), values=(2.3,) * 11 + (-2.3,)), "none of those that are known"),
        (lambda: changed(losses=(LossSeen(function="cross-entropy", step=0, activation="softmax"),)), "a cause itself"),
    ],
)
def test_nothing_is_tried_where_it_would_prove_nothing(heard: Callable[[], Heard], why: str) -> None:
    forks, said = wanted(heard())
    assert forks == []
    assert any(each in said for each in why.split("|"))


def test_nothing_is_tried_that_the_budget_does_not_allow_or_the_user() -> None:
    assert wanted(STUCK, left=5.0) == (
        [],
        "running the script again would take longer than the 5 s left of the budget",
    )
    assert wanted(STUCK, once=True) == ([], "the script was to be run once")
