"""The headline: what it says first, for test parts of every size."""

import math

import pytest
from scipy.stats import binomtest

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import HeadGrid, HeadPoint, Yardstick
from trainwell.core.records.layout import InputLayout, OutputLayout, Task
from trainwell.core.records.outcome import Outcome
from trainwell.diagnosis.verdict import Verdict, says_little, verdict


def data(task: Task) -> DataRecord:
    names = ("no", "yes") if task == "classification" else ("y",)
    return DataRecord(
        source="rows.csv",
        fingerprint="0",
        task=task,
        input=InputLayout(kind="table", numbers=2),
        output=OutputLayout(task=task, size=len(names), names=names),
        samples=20,
        sizes={},
    )


def yardstick(name: str, test: float) -> Yardstick:
    return Yardstick(name=name, metric=test, loss=1.0, seconds=0.0, test=test)


def of_classes(right: int, n: int, *, other: float | None = None) -> Verdict:
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    outcome = Outcome(metric="accuracy", value=right / n, interval=(float(low), float(high)), n=n, loss=0.5)
    others = () if other is None else (yardstick("logistic regression", other),)
    return verdict(outcome, (yardstick("best constant", 0.5), *others), data("classification"))


def of_numbers(value: float, interval: tuple[float, float], n: int, *, other: float) -> Verdict:
    outcome = Outcome(metric="r2", value=value, interval=interval, n=n, loss=0.5)
    simple = (yardstick("best constant", 0.0), yardstick("linear regression", other))
    return verdict(outcome, simple, data("regression"))


@pytest.mark.parametrize(
    ("right", "n", "other", "learnable", "headline"),
    [
        (
            1,
            1,
            None,
            False,
            "Only 1 test sample, so this says little: the network reaches 100.0% (95% interval 20.7% to 100.0%), "
            "always giving the same answer 50.0%; whether anything was learnt stays open.",
        ),
        (
            4,
            4,
            0.75,
            True,
            "Only 4 test samples, so this says little: the network reaches 100.0% (95% interval 51.0% to 100.0%); "
            "logistic regression reaches 75.0%.",
        ),
        (
            2,
            4,
            1.0,
            False,
            "Only 4 test samples, so this says little: the network reaches 50.0% (95% interval 15.0% to 85.0%), always "
            "giving the same answer 50.0%; whether anything was learnt stays open.",
        ),
        (
            8,
            20,
            0.9,
            True,
            "Only 20 test samples, so this says little: logistic regression reaches 90.0%, the network 40.0% (95% "
            "interval 21.9% to 61.3%); use logistic regression until there are more.",
        ),
        (
            15,
            20,
            0.8,
            True,
            "Only 20 test samples, so this says little: logistic regression reaches 80.0%, the network 75.0% (95% "
            "interval 53.1% to 88.8%).",
        ),
        (20, 20, None, True, "100.0% on the test part (95% interval 83.9% to 100.0%, 20 test samples)."),
        (
            225,
            300,
            0.7,
            True,
            "75.0% on the test part (95% interval 69.8% to 79.6%, 300 test samples); logistic regression "
            "reaches 70.0%.",
        ),
        (
            225,
            300,
            0.76,
            True,
            "logistic regression does as well: it reaches 76.0%, the network 75.0% (95% interval 69.8% to 79.6%, 300 "
            "test samples).",
        ),
        (
            225,
            300,
            0.9,
            True,
            "Use logistic regression instead: it reaches 90.0%, the network 75.0% (95% interval 69.8% to 79.6%, 300 "
            "test samples).",
        ),
        (
            150,
            300,
            0.51,
            False,
            "Nothing here can be learnt that holds on new samples: 50.0% on the test part (95% interval 44.4% to "
            "55.6%, 300 test samples), and always giving the same answer reaches 50.0%.",
        ),
    ],
)
def test_of_classes(right: int, n: int, other: float | None, learnable: bool, headline: str) -> None:
    assert of_classes(right, n, other=other) == Verdict(headline=headline, learnable=learnable)


def test_of_numbers() -> None:
    assert of_numbers(0.6, (0.2, 0.8), 20, other=0.3).headline == (
        "Only 20 test samples, so this says little: the network reaches R² 0.600 (95% interval 0.200 to 0.800); "
        "linear regression reaches R² 0.300."
    )
    assert of_numbers(0.6, (0.5, 0.68), 300, other=0.3).headline == (
        "R² 0.600 on the test part (95% interval 0.500 to 0.680, 300 test samples); linear regression reaches R² 0.300."
    )


def test_one_number_has_no_r2() -> None:
    found = of_numbers(0.0, (math.nan, math.nan), 1, other=0.0)
    assert found.headline == "Only 1 test sample, so nothing can be said: R² needs samples that differ."
    assert not found.learnable


@pytest.mark.parametrize(("n", "said"), [(99, True), (100, False)])
def test_a_wide_interval_of_many_samples_is_not_blamed_on_their_number(n: int, said: bool) -> None:
    assert of_numbers(0.6, (0.1, 0.8), n, other=0.3).headline.startswith("Only") == said


@pytest.mark.parametrize(("width", "said"), [(0.29, False), (0.31, True)])
def test_how_wide_is_wide(width: float, said: bool) -> None:
    outcome = Outcome(metric="accuracy", value=0.5, interval=(0.5, 0.5 + width), n=20, loss=0.5)
    assert says_little(outcome) == said


def crossed(right: int, n: int) -> HeadGrid:
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    point = HeadPoint(
        lr=0.01, weight_decay=1.0, dropout=0.0, label_smoothing=0.0, loss=0.5, accuracy=right / n, folds=5
    )
    return HeadGrid(points=(point,), folds=5, repeats=3, samples=n, interval=(float(low), float(high)))


def test_a_cross_validation_speaks_where_the_test_part_is_too_small_to() -> None:
    outcome = Outcome(metric="accuracy", value=0.5, interval=(0.1, 0.9), n=2, loss=0.5)
    simple = (yardstick("best constant", 0.5),)
    found = verdict(outcome, simple, data("classification"), cross_validated=crossed(38, 40))
    assert found == Verdict(
        headline="Only 2 test samples, so this says little: the network reaches 50.0% (95% interval 10.0% to 90.0%); "
        "cross-validated on 40 samples it reaches 95.0% (83.5% to 98.6%).",
        learnable=True,
    )
    found = verdict(outcome, simple, data("classification"), cross_validated=crossed(21, 40))
    assert not found.learnable
    assert found.headline.endswith("it reaches 52.5% (37.5% to 67.1%); whether anything was learnt stays open.")
    enough = Outcome(metric="accuracy", value=0.5, interval=(0.47, 0.53), n=1000, loss=0.5)
    found = verdict(enough, simple, data("classification"), cross_validated=crossed(38, 40))
    assert not found.learnable
    assert "cross-validated" not in found.headline
