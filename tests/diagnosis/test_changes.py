"""A remedy's change, applied to a point."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization, Regularization, Schedule
from trainwell.diagnosis.changes import apply_change, paths

POINT = Hyperparameters(
    architecture=Architecture(name="mlp", width=64, depth=3),
    regularization=Regularization(weight_decay=0.1, dropout=0.3),
    optimization=Optimization(lr=0.01),
    schedule=Schedule(warmup_fraction=0.1, decay_fraction=0.5),
)


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ({"regularization.dropout": 0.2}, "regularization.dropout", 0.2),
        ({"regularization.dropout>": 0.2}, "regularization.dropout", 0.3),
        ({"regularization.dropout>": 0.4}, "regularization.dropout", 0.4),
        ({"regularization.dropout<": 0.2}, "regularization.dropout", 0.2),
        ({"optimization.lr*": 0.5}, "optimization.lr", 0.005),
        ({"architecture.width*": 2}, "architecture.width", 128),
        ({"architecture.depth*": 1.5}, "architecture.depth", 4),
        ({"architecture.depth*": 0.01}, "architecture.depth", 1),
        ({"augmentation.translate>": 2}, "augmentation.translate", 2),
        ({"augmentation.translate*": 2}, "augmentation.translate", 0),
        ({"activation": "gelu"}, "activation", "gelu"),
        ({"schedule.decay": "cosine"}, "schedule.decay", "cosine"),
    ],
)
def test_one_change(change: dict[str, float | str], path: str, value: float | str) -> None:
    after, steps = apply_change(change, POINT, total_steps=100)
    assert paths(after)[path] == value
    assert type(paths(after)[path]) is type(paths(POINT)[path])
    assert steps == 100
    rest = {key: kept for key, kept in paths(after).items() if key != path}
    assert rest == {key: kept for key, kept in paths(POINT).items() if key != path}


def test_length_is_a_path_too() -> None:
    assert apply_change({"total_steps*": 2.0}, POINT, total_steps=100) == (POINT, 200)
    assert apply_change({"total_steps<": 50}, POINT, total_steps=100) == (POINT, 50)
    assert apply_change({"total_steps*": 0.0}, POINT, total_steps=100) == (POINT, 1)


def test_tail_gives_way_to_the_warm_up() -> None:
    after, _ = apply_change({"schedule.decay_fraction>": 0.95}, POINT, total_steps=100)
    assert after.schedule.decay_fraction == pytest.approx(0.9)


def test_nothing_changes_by_nothing() -> None:
    assert apply_change({}, POINT, total_steps=7) == (POINT, 7)


def test_unknown_paths_are_refused_all_at_once() -> None:
    with pytest.raises(SettingError, match=r'got "optimization\.lrr"\. Did you mean "optimization\.lr"\?.*"depth"'):
        apply_change({"optimization.lrr": 1.0, "depth": 2}, POINT, total_steps=1)


def test_words_have_no_factor() -> None:
    with pytest.raises(SettingError, match=r"Only a number can be changed by \"\*\", but \"activation\" is 'relu'"):
        apply_change({"activation*": 2.0}, POINT, total_steps=1)


@settings(deadline=None, max_examples=60)
@given(
    path=st.sampled_from([path for path, value in paths(POINT).items() if isinstance(value, float)]),
    sign=st.sampled_from(["", "*", ">", "<"]),
    value=st.floats(min_value=0.0, max_value=1.0),
)
def test_raise_and_lower_are_idempotent_and_one_sided(path: str, sign: str, value: float) -> None:
    once, _ = apply_change({path + sign: value}, POINT, total_steps=10)
    before, after = paths(POINT)[path], paths(once)[path]
    assert isinstance(before, float)
    assert isinstance(after, float)
    if sign != "*":
        assert apply_change({path + sign: value}, once, total_steps=10)[0] == once
    if sign == "<":
        assert after <= before
    if sign == ">" and path != "schedule.decay_fraction":
        assert after == max(before, value)
    assert dataclasses.replace(once) == once
