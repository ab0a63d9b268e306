"""checking.py: what is tried once more, and when nothing is."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from trainwell.capture.runner import Heard
from trainwell.checking import Checked, _forks_wanted
from trainwell.core.records.evidence import InitialLoss, LayerStatistic
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import InputSeen
from trainwell.core.records.seen.losses import LossSeen
from trainwell.core.records.seen.updates import GradientsSeen, RatesSeen
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.diagnose import Diagnosis, diagnose, forks_wanted
from trainwell.report.check_report import CheckReport, abstained, ruled_out

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
    assert wanted(heard) == ([("standardized input", 1.0), ("learning rate", 0.1)], "")


def test_a_tenth_of_the_rate_is_tried_of_any_training() -> None:
    assert wanted(changed(values=tuple(2.3 - 0.1 * step for step in range(12)))) == ([("learning rate", 0.1)], "")


@pytest.mark.parametrize(
    ("heard", "why"),
    [
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


def tried(factor: float, last: float) -> Fork:
    return Fork(changed="learning rate", factor=factor, values=(2.3,) * 6 + (last,) * 6)


def test_higher_rates_are_tried_only_where_a_lower_one_does_not_help() -> None:
    assert STUCK.steps is not None
    stuck = replace(STUCK.steps, rates=(RatesSeen(kind="SGD", groups=((0.1,) * 12,)),))
    first = Observation(steps=stuck)
    assert [each.factor for each in forks_wanted(first, select=["OPT003"])] == [0.1]
    for last, factors in ((2.3, [10.0, 100.0, 1000.0]), (1.0, [])):
        forks = Forks(unchanged=stuck.values, changed=(tried(0.1, last),))
        assert [each.factor for each in forks_wanted(replace(first, forks=forks), select=["OPT003"])] == factors


@pytest.mark.parametrize(("share", "severity"), [(0.5, "info"), (0.9, "warning")])
def test_without_forks_a_warning_stands_where_its_numbers_are_far_out(share: float, severity: str) -> None:
    layer = LayerStatistic(
        name="0", kind="Linear", activation="tanh", mean=0.0, std=1.0, dead=0.0, saturated=share, gradient_std=1.0
    )
    start = InitialLoss(
        measured=math.nan, zero_output=math.nan, best_constant=math.nan, logit_std=1.0, layers=(layer, layer)
    )
    [finding] = diagnose(Observation(steps=STUCK.steps, initial_loss=start), select=["ACT001"]).findings
    assert finding.severity == severity


def test_where_nothing_helps_no_cause_is_claimed() -> None:
    forks = Forks(unchanged=(2.3,) * 12, changed=(tried(0.1, 2.3), tried(0.01, 2.31)))
    assert STUCK.steps is not None
    growing = Observation(steps=replace(STUCK.steps, values=(1.0,) * 4 + (3.0,) * 8))
    [info] = diagnose(growing, select=["OPT001"]).findings
    found = Checked(target="train.py", heard=STUCK, runs=3, seconds=1.0, diagnosis=Diagnosis((info,), ()), forks=forks)
    said = abstained(found)
    assert said.startswith(
        "In 12 steps the loss goes from 2.3 to 2.3, and no cause is supported. Tried: 0.1 times the "
    )
    assert [code for code, _ in ruled_out(found)] == ["OPT001"]
    plain = CheckReport(found).to_plain()
    assert (plain["headline"], plain["abstained"]) == (None, True)
    assert plain["ruled_out"][0]["why"].endswith("; without, 2.3")
    assert abstained(replace(found, forks=None)) == ""
