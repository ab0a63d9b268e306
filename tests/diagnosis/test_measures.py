"""Numbers read off curves: closed forms, simulation, and what must not matter."""

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.records.curve import Curve
from trainwell.diagnosis.measures import (
    Trace,
    blows_up,
    constant_rate,
    drop,
    fall,
    fall_error,
    lowest,
    noise,
    trace,
)
from trainwell.diagnosis.wording import counted, number, percent, points


def curve(y: list[float], *, first: float = 1.0) -> Curve:
    return Curve(name="loss", x=tuple(first + i for i in range(len(y))), y=tuple(y))


def test_noise_is_the_jitter_and_not_the_course() -> None:
    draw = torch.Generator().manual_seed(0)
    found = []
    for _ in range(40):
        jitter = torch.randn(60, generator=draw, dtype=torch.float64) * 0.1
        course = 3 * torch.exp(-torch.arange(60, dtype=torch.float64) / 15)
        found.append(noise((course + jitter).tolist()))
    assert statistics.mean(found) == pytest.approx(0.1, rel=0.15)


def test_noise_of_a_straight_line_and_of_three_points_is_zero() -> None:
    assert noise([4.0, 3.0, 2.0, 1.0]) == 0.0
    assert noise([4.0, 0.0, 9.0]) == 0.0


def test_fall_of_a_line_is_its_height_and_an_outlier_does_not_matter() -> None:
    assert fall(trace(curve([5.0, 4.0, 3.0, 2.0, 1.0]))) == pytest.approx(4.0)
    assert fall(trace(curve([5.0, 4.0, 90.0, 2.0, 1.0]))) == pytest.approx(4.0)
    assert fall(trace(curve([1.0, 2.0]))) == pytest.approx(-1.0)
    assert fall(trace(curve([1.0]))) == 0.0


def test_fall_error_is_the_spread_of_least_squares() -> None:
    draw = torch.Generator().manual_seed(1)
    n = 12
    seen = []
    for _ in range(400):
        y = torch.randn(n, generator=draw, dtype=torch.float64)
        seen.append(fall(Trace(tuple(map(float, range(n))), tuple(y.tolist()), 0, 1.0)))
    expected = fall_error(Trace(tuple(map(float, range(n))), (0.0,) * n, 0, 1.0))
    # Theil-Sen's slope spreads a few percent more than least squares'.
    assert statistics.stdev(seen) == pytest.approx(expected, rel=0.15)


def test_lost_points_are_counted_and_left_out() -> None:
    seen = trace(curve([2.0, math.nan, 1.0, math.inf]))
    assert (seen.x, seen.y, seen.lost) == ((1.0, 3.0), (2.0, 1.0), 2)
    assert trace(curve([math.nan])).y == ()
    assert math.isnan(trace(curve([])).level)


def test_drop_starts_at_the_untouched_network() -> None:
    seen = trace(curve([2.0, 1.0, 1.5]))
    assert drop(seen) == 1.0
    assert drop(seen, start=3.0) == 2.0
    assert drop(seen, start=0.5) == 0.0
    assert drop(trace(curve([]))) == 0.0


def test_lowest_is_not_one_lucky_point() -> None:
    assert lowest(trace(curve([5.0, 4.0, 0.1, 4.2, 2.0, 1.9, 2.1, 3.0]))) == (4, 2.0)
    assert lowest(trace(curve([2.0, 1.0]))) == (1, 1.0)
    assert lowest(trace(curve([])))[0] == 0


def test_end_is_a_third_and_at_least_three() -> None:
    assert len(trace(curve([1.0] * 30)).end) == 10
    assert len(trace(curve([1.0] * 4)).end) == 3
    assert len(trace(curve([1.0] * 2)).end) == 2


def test_constant_rate() -> None:
    lr = curve([0.1, 1.0, 1.0, 0.95, 0.5, 0.1])
    assert constant_rate(lr, 2.0, 4.0)
    assert not constant_rate(lr, 1.0, 3.0)
    assert not constant_rate(lr, 4.0, 6.0)
    assert constant_rate(lr, 4.0, 5.0, tolerance=0.5)
    assert constant_rate(curve([]), 1.0, 2.0)


def test_blows_up() -> None:
    assert blows_up(curve([2.0, 1.0, math.nan]))
    assert blows_up(curve([2.0, 1.0, 3.5]))
    assert not blows_up(curve([2.0, 9.0, 2.5]))
    assert not blows_up(curve([]))


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.floats(min_value=0.01, max_value=1e3), min_size=1, max_size=25),
    st.sampled_from([0.25, 0.5, 2.0, 8.0]),
)
def test_measures_scale_with_the_unit(y: list[float], factor: float) -> None:
    one, other = trace(curve(y)), trace(curve([factor * value for value in y], first=50.0))
    assert other.noise == pytest.approx(factor * one.noise)
    assert fall(other.end) == pytest.approx(factor * fall(one.end))
    assert drop(other) == pytest.approx(factor * drop(one))
    assert lowest(other)[0] == lowest(one)[0]


def test_wording() -> None:
    assert [number(value) for value in (0.0, 0.03125, 99.95, 1e6, 2.5e7, -0.5, math.inf)] == [
        "0",
        "0.0312",
        "100",
        "1,000,000",
        "2.5e+07",
        "-0.5",
        "infinite",
    ]
    assert [percent(value) for value in (0.0, 0.00001, 0.005, 0.994, 0.99999, 1.0)] == [
        "0%",
        "0.1%",
        "0.5%",
        "99.4%",
        "99.9%",
        "100%",
    ]
    assert points(-0.031) == "-3.1 points"
    assert counted(1200, "sample") == "1,200 samples"
