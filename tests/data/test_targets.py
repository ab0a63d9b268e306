"""Which task a target is, and what cannot be learnt."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from trainwell.core.errors import TargetError
from trainwell.data.targets import MOST_WHOLE_CLASSES, check_counts, encode_targets

RNG = np.random.default_rng(0)


def encoded(cells: Any, *, classes: bool | None = None) -> Any:
    return encode_targets(pl.DataFrame({"y": cells}), classes=classes)


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["b", "a"] * 5, ("a", "b")),
        ([True, False] * 5, ("false", "true")),
        ([0, 1] * 5, ("0", "1")),
        ([1.0, 2.0] * 5, ("1", "2")),
        ([0.0, 1.0, float("nan")] + [0.0, 1.0] * 20, ("0", "1")),
        (["1", "2", "10"] * 5, ("1", "2", "10")),
        (["1", "2", "x"] * 5, ("1", "2", "x")),
        (list(range(MOST_WHOLE_CLASSES)) * 3, tuple(map(str, range(MOST_WHOLE_CLASSES)))),
        (["None", "some"] * 5, ("None", "some")),
    ],
)
def test_classes(cells: Any, names: tuple[str, ...]) -> None:
    targets = encoded(cells)
    assert targets.task == "classification"
    assert targets.names == names
    assert targets.values.dtype == np.int64


@pytest.mark.parametrize(
    "cells",
    [
        RNG.normal(size=30),
        [f"{value:.2f}" for value in RNG.normal(size=30)],
        [f"{value:.2f}".replace(".", ",") for value in RNG.normal(size=30)],
        list(range(MOST_WHOLE_CLASSES + 1)) * 3,
        [1, 2, 3, 4, 5, 6, 7],
        [0.5, 1.5] * 9,
    ],
)
def test_quantities(cells: Any) -> None:
    targets = encoded(cells)
    assert targets.task == "regression"
    assert targets.values.shape == (len(cells), 1)
    assert targets.names == ("y",)


def test_indices_follow_names() -> None:
    targets = encoded(["10", "9", "10", "9", "9"])
    assert [targets.names[i] for i in targets.values] == ["10", "9", "10", "9", "9"]


def test_known_classes_are_not_inferred() -> None:
    assert encoded(list(range(50)) * 2, classes=True).task == "classification"


def test_gaps_are_left_out() -> None:
    targets = encoded(["a", "b"] * 10 + [None])
    assert targets.kept.tolist() == list(range(20))
    assert targets.warnings == ('1 sample without a value of "y" left out.',)
    several = encode_targets(pl.DataFrame({"a": [1.5, None] + [2.0, 3.0] * 10, "b": range(22)}), classes=None)
    assert several.kept.tolist() == [0, *range(2, 22)]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a"] * 9, r'at least two classes, but every sample is of class "a"'),
        (["a"] * 9 + ["b"], r'by, but "b" has one\. Add samples or leave the class out'),
        (["a"] * 9 + ["b", "c"], r'by, but "b", "c" have one\.'),
        ([f"n{i}" for i in range(30)], r"30 of 30 stand in one of 30 samples only: .* looks like an identifier"),
        ([None] * 9, r"must have values, but all 9 rows lack one"),
        (["a", "b"] * 3 + [None] * 3, r'At most 10% of rows may lack their target, but 3 of 9 lack "y"'),
        ([1.5] * 9, r'The target "y" must vary, but is 1\.5 in every row'),
        (["a", "b", "a"], r"Training needs at least 4 samples, .* but there are 3"),
        (["a"], r"but there is 1\."),
        ([[1], [2]] * 4, r'must be numbers or class names, but "y" is List'),
    ],
)
def test_refused(cells: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        encoded(cells)


def test_counts_after_losses() -> None:
    with pytest.raises(TargetError, match='"a" has none'):
        check_counts(np.array([0, 5]), ["a", "b"])
    with pytest.raises(TargetError, match='"a", "b" have one or none'):
        check_counts(np.array([0, 1, 5]), ["a", "b", "c"])


@pytest.mark.parametrize("cells", [["p", "q"] * 5, [True, False] * 5])
def test_several_must_be_numbers(cells: Any) -> None:
    with pytest.raises(TargetError, match='Several targets must be numbers, but "z"'):
        encode_targets(pl.DataFrame({"y": range(10), "z": cells}), classes=None)
