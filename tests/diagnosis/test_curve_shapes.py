"""The reading of curves: made shapes with noise, and what must not change it."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import LearningCurves
from trainwell.diagnosis.curve_shapes import SHAPES, read_curves


def curves(
    train: list[float],
    validation: list[float],
    *,
    start: float = math.nan,
    lr: list[float] | None = None,
    first: float = 1.0,
    scale: float = 1.0,
) -> LearningCurves:
    def curve(y: list[float], factor: float = 1.0) -> Curve:
        return Curve(name="", x=tuple(first + i for i in range(len(y))), y=tuple(factor * value for value in y))

    accuracy = [0.5] * len(train)
    return LearningCurves(
        trial=0,
        shape="",
        train_loss=curve(train, scale),
        validation_loss=curve(validation, scale),
        train_metric=curve(accuracy),
        validation_metric=curve(accuracy),
        lr=curve([0.1] * len(train) if lr is None else lr),
        start=scale * start,
        samples=200,
    )


def decay(n: int, *, begin: float, floor: float, epochs: float) -> torch.Tensor:
    return floor + (begin - floor) * torch.exp(-torch.arange(n, dtype=torch.float64) / epochs)


def jitter(y: torch.Tensor, std: float, seed: int) -> list[float]:
    draw = torch.Generator().manual_seed(seed)
    return [float(v) for v in y + std * torch.randn(len(y), generator=draw, dtype=torch.float64)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("std", [0.0, 0.01, 0.02])
def test_made_shapes_through_noise(seed: int, std: float) -> None:
    n = 40
    good = decay(n, begin=2.3, floor=0.1, epochs=4)
    rise = good + 0.3 + torch.clamp(torch.arange(n, dtype=torch.float64) - 12, min=0) * 0.02
    long_way = decay(n, begin=2.3, floor=0.1, epochs=30)
    flat = torch.cat([torch.full((8,), 2.3, dtype=torch.float64), good[: n - 8]])
    high = decay(n, begin=2.3, floor=1.5, epochs=4)

    def reading(train: torch.Tensor, validation: torch.Tensor) -> str:
        return read_curves(curves(jitter(train, std / 4, seed), jitter(validation, std, seed + 100), start=2.3)).shape

    assert reading(good, good + 0.1) == "healthy"
    assert reading(good, rise) == "overfitting"
    assert reading(long_way, long_way + 0.05) == "stopped too early"
    assert reading(flat, flat + 0.1) == "flat start"
    assert reading(high, high + 0.05) == "underfitting"


def test_sentences_name_the_number() -> None:
    good = decay(30, begin=2.3, floor=0.1, epochs=4)
    rise = good + 0.3 + torch.clamp(torch.arange(30, dtype=torch.float64) - 9, min=0) * 0.05
    reading = read_curves(curves(good.tolist(), rise.tolist(), start=2.3))
    assert reading.sentence == (
        "Validation loss rises from epoch 10 (0.632 to 1.35) while training loss falls: overfitting."
    )
    lost = read_curves(curves([1.0, math.nan], [1.0, math.nan]))
    assert (lost.shape, lost.sentence) == (
        "lost",
        "The training loss is NaN from epoch 2 on at learning rate 0.1 (it was 1 before).",
    )


def test_warm_up_is_no_flat_start() -> None:
    good = decay(20, begin=2.3, floor=0.1, epochs=2).tolist()
    warm = [2.3] * 5 + good
    rates = [0.001] * 5 + [0.1] * 20
    assert read_curves(curves(warm, [y + 0.1 for y in warm], start=2.3)).shape == "flat start"
    assert read_curves(curves(warm, [y + 0.1 for y in warm], start=2.3, lr=rates)).shape == "healthy"


def test_decayed_end_that_falls_is_not_stopped_too_early() -> None:
    way = decay(20, begin=2.3, floor=0.1, epochs=20).tolist()
    tail = [0.1] * 10 + [0.01 * (10 - i) for i in range(10)]
    assert read_curves(curves(way, way, start=2.3)).shape == "stopped too early"
    assert read_curves(curves(way, way, start=2.3, lr=tail)).shape != "stopped too early"


def test_little_progress_without_a_reason_is_unclear() -> None:
    reading = read_curves(curves([2.0, 1.9, 1.85, 1.8, 1.75], [2.6, 2.5, 2.5, 2.5, 2.5], start=2.3))
    assert reading.shape == "unclear"
    assert reading.sentence == ("Training loss has come down only from 2.3 to 1.75, and the curves do not say why.")


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_short_curves_have_no_shape(n: int) -> None:
    reading = read_curves(curves([1.0] * n, [1.0] * n))
    assert reading.shape == "too short"
    assert reading.sentence == f"The curves have {n} point{'' if n == 1 else 's'} each: too few for a shape."


LOSSES = st.lists(st.floats(min_value=0.001, max_value=100.0), min_size=1, max_size=24)
ANY = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=12)


@settings(deadline=None, max_examples=150)
@given(train=LOSSES, validation=LOSSES, start=st.floats(min_value=0.01, max_value=100.0), data=st.data())
def test_unit_of_the_loss_and_first_epoch_do_not_matter(
    train: list[float], validation: list[float], start: float, data: st.DataObject
) -> None:
    n = min(len(train), len(validation))
    # Powers of two: scaling by them is exact, so that no comparison falls the other way by rounding.
    factor = 2.0 ** data.draw(st.integers(min_value=-6, max_value=6))
    shift = float(data.draw(st.integers(min_value=0, max_value=10_000)))
    one = read_curves(curves(train[:n], validation[:n], start=start))
    other = read_curves(curves(train[:n], validation[:n], start=start, scale=factor, first=1.0 + shift))
    assert other.shape == one.shape
    assert [finding.code for finding in other.findings] == [finding.code for finding in one.findings]


@settings(deadline=None, max_examples=150)
@given(train=ANY, validation=ANY, lr=ANY, start=st.floats(allow_nan=True, allow_infinity=True))
def test_nothing_crashes(train: list[float], validation: list[float], lr: list[float], start: float) -> None:
    reading = read_curves(curves(train, validation, lr=lr, start=start))
    assert reading.sentence.endswith(".")
    assert reading.shape in {*SHAPES.values(), "healthy", "unclear", "too short"}


def test_metrics_that_are_lost_do_not_matter() -> None:
    good = decay(20, begin=2.3, floor=0.1, epochs=2).tolist()
    seen = curves(good, good, start=2.3)
    lost = replace(seen, validation_metric=replace(seen.validation_metric, y=(math.nan,) * 20))
    assert read_curves(lost).shape == "healthy"
