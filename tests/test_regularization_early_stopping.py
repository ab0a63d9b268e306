"""Early stopping, with scores of either sign."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.errors import SettingError
from trainwell.regularization import EarlyStopping, Watched

METRICS = st.lists(st.floats(-100, 100), max_size=30)


def test_a_worse_negative_score_is_no_improvement() -> None:
    """The trap: best * (1 + 0.01) is below a negative best, so a slow fall would count as progress for ever."""
    falling = [-10.0 - 0.05 * step for step in range(20)]
    assert all(after > before * 1.01 for before, after in pairwise(falling)), "a relative test is fooled"
    seen = EarlyStopping(larger_is_better=True, patience=3, min_improvement=0.01).watch(falling)
    assert seen == Watched(best=-10.0, best_index=0, seen=4, waited=3, stopped=True)


def test_negative_losses_may_fall_below_zero() -> None:
    seen = EarlyStopping(larger_is_better=False, patience=2, min_improvement=0.5).watch(
        [1.0, -1.0, -1.4, -1.6, -1.7, -2.0]
    )
    assert seen == Watched(best=-1.6, best_index=3, seen=6, waited=2, stopped=True)


@settings(deadline=None, max_examples=200)
@given(metrics=METRICS, patience=st.integers(1, 5), larger=st.booleans(), offset=st.integers(-1000, 1000))
def test_offset_and_sign_change_nothing(metrics: list[float], patience: int, larger: bool, offset: int) -> None:
    """Whole numbers, so that adding the offset rounds nothing."""
    whole = [float(round(metric)) for metric in metrics]
    seen = EarlyStopping(larger_is_better=larger, patience=patience, min_improvement=1.0).watch(whole)
    moved = EarlyStopping(larger_is_better=larger, patience=patience, min_improvement=1.0).watch(
        [metric + offset for metric in whole]
    )
    turned = EarlyStopping(larger_is_better=not larger, patience=patience, min_improvement=1.0).watch(
        [-metric for metric in whole]
    )
    for other in (moved, turned):
        assert (other.best_index, other.seen, other.waited, other.stopped) == (
            seen.best_index,
            seen.seen,
            seen.waited,
            seen.stopped,
        )


@settings(deadline=None, max_examples=200)
@given(metrics=METRICS, patience=st.integers(1, 5))
def test_without_a_threshold_it_stops_patience_after_the_best(metrics: list[float], patience: int) -> None:
    seen = EarlyStopping(larger_is_better=True, patience=patience).watch(metrics)
    looked_at = metrics[: seen.seen]
    if not looked_at:
        assert seen == Watched()
        return
    assert seen.best == max(looked_at)
    assert seen.best_index == looked_at.index(max(looked_at))
    assert seen.waited == len(looked_at) - 1 - seen.best_index
    assert seen.stopped == (seen.waited >= patience)
    assert seen.stopped or seen.seen == len(metrics)


def test_small_gains_add_up() -> None:
    creeping = [0.04 * step for step in range(12)]
    seen = EarlyStopping(larger_is_better=True, patience=4, min_improvement=0.1).watch(creeping)
    assert not seen.stopped
    assert seen.best_index == 9


def test_what_is_not_finite_never_improves() -> None:
    stopping = EarlyStopping(larger_is_better=True, patience=2)
    nothing = stopping.watch([float("nan"), float("inf"), 1.0])
    assert nothing == Watched(best=None, best_index=None, seen=2, waited=2, stopped=True)
    once = stopping.watch([float("nan"), 1.0, float("nan"), 2.0])
    assert once == Watched(best=2.0, best_index=3, seen=4, waited=0, stopped=False)


def test_continuing_is_watching_in_one_go() -> None:
    stopping = EarlyStopping(larger_is_better=False, patience=3)
    metrics = [3.0, 2.0, 2.5, 2.4, 2.3, 2.2]
    known = stopping.watch(metrics[:3])
    for metric in metrics[3:5]:
        known = stopping.observe(known, metric)
    assert known == stopping.watch(metrics)
    better = stopping.observe(known, 1.0)
    assert better.stopped, "stopped once is stopped"
    assert stopping.observe(better, 1.5).stopped


def test_settings_are_checked_together() -> None:
    with pytest.raises(SettingError, match=r"`patience >= 1` must hold, but got 0.*`min_improvement >= 0`.*got -1.0"):
        EarlyStopping(larger_is_better=True, patience=0, min_improvement=-1.0)
