"""report/calibration.py: what is said of probabilities is what was measured."""

import dataclasses
import math
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.records.outcome import CalibrationBin, Outcome
from trainwell.report.calibration import calibration, diagram, halves
from trainwell.report.parts import Numbering


@pytest.fixture
def outcome(examples: ModuleType) -> Outcome:
    made: Outcome = examples.classification_outcome()
    return made


def test_the_sentence_names_what_was_said_and_what_was_right(outcome: Outcome) -> None:
    assert calibration(outcome) == (
        "Its probabilities. When it says 99.7% (on average of the 328 test samples it is surest of), it is right 100% "
        "of the time; when it says 80.1% (of the other 32), 84.4%. On average they are off by 1.3 percentage points "
        "(expected calibration error, 15 bins), after logits were divided by 0.48."
    )


def test_nothing_is_said_of_a_temperature_that_was_not_fitted(outcome: Outcome) -> None:
    plain = dataclasses.replace(outcome, temperature=1.0)
    assert calibration(plain).endswith("(expected calibration error, 15 bins).")


def test_one_bin_is_said_in_one_sentence(outcome: Outcome) -> None:
    alone = dataclasses.replace(outcome, calibration=outcome.calibration[-1:])
    assert "It says 99.7% on average and is right 100% of the time, 328 test samples." in calibration(alone)


def test_of_a_few_samples_no_share_is_told(outcome: Outcome) -> None:
    few = dataclasses.replace(outcome, calibration=(outcome.calibration[0], outcome.calibration[-1]))
    assert "too few are left to say what it is worth when it is less sure." in calibration(few)
    assert "50%" not in calibration(few)


def test_older_records_and_regressions_have_no_bins(outcome: Outcome) -> None:
    older = dataclasses.replace(outcome, calibration=(), temperature=1.0)
    assert calibration(older).startswith("Its probabilities. On average they are off by 1.3 percentage points")
    assert diagram(older, Numbering()) is None
    assert calibration(dataclasses.replace(older, calibration_error=math.nan)) == ""


@given(st.lists(st.integers(1, 500), min_size=1, max_size=15))
@settings(deadline=None, max_examples=50)
def test_the_surest_half_is_the_fewest_bins_that_hold_half_of_the_samples(counts: list[int]) -> None:
    bins = tuple(
        CalibrationBin(confidence=(i + 0.5) / 15, right=0.5, count=count, interval=(0.0, 1.0))
        for i, count in enumerate(counts)
    )
    surest, others = halves(bins)
    assert others + surest == bins
    assert 2 * sum(one.count for one in surest) >= sum(counts) > 2 * sum(one.count for one in surest[1:])
