"""From a target column to class indices or raw numbers: which task it is, and whether it can be learnt at all."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.errors import TargetError
from trainwell.core.records.layout import Task
from trainwell.data.columns import DECIMALS, MISSING_LABEL_WORDS, as_numbers, as_texts
from trainwell.data.raw import shown

# Whole numbers with at most this many different values are classes; with more they are quantities.
MOST_WHOLE_CLASSES = 20
# A larger share of samples without a target, or of pictures that cannot be read, is an error.
LEFT_OUT_LIMIT = 0.10
FEWEST_SAMPLES = 4
_INFINITE = "(?i)^[+-]?inf(inity)?$"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Targets:
    """Encoded targets.

    Attributes:
        task: classification or regression.
        values: int64 (kept,) class indices, or float64 (kept, targets).
        names: class names in the order of their index, or target columns.
        kept: indices of the samples that have a target.
        warnings: sentences for the report.
    """

    task: Task
    values: NDArray[Any]
    names: tuple[str, ...]
    kept: NDArray[np.int64]
    warnings: tuple[str, ...] = ()


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _listed(names: list[str], most: int = 5) -> str:
    head = ", ".join(f'"{name}"' for name in names[:most])
    return head if len(names) <= most else f"{head} and {len(names) - most:,} more"


def _present(missing: NDArray[np.bool_], header: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    count, rows = int(missing.sum()), len(missing)
    if count == rows:
        raise TargetError(f'The target "{header}" must have values, but all {_plural(rows, "row")} lack one.')
    if count > LEFT_OUT_LIMIT * rows:
        raise TargetError(
            f"At most {LEFT_OUT_LIMIT:.0%} of rows may lack their target, but {count:,} of {rows:,} lack "
            f'"{header}". Fill the gaps, or remove these rows if they are to be left out.'
        )
    kept = np.flatnonzero(~missing)
    if not count:
        return kept, ()
    return kept, (f'{_plural(count, "sample")} without a value of "{header}" left out.',)


def _numbers(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The cells as numbers, and those that are words."""
    if column.dtype != pl.String:
        return as_numbers(column), column.clear()
    texts = as_texts(column, missing=MISSING_LABEL_WORDS)
    point, comma = (as_numbers(texts, decimal=decimal) for decimal in DECIMALS)
    numbers = comma if comma.null_count() < point.null_count() else point
    return numbers, texts.filter(numbers.is_null() & texts.is_not_null() & ~as_texts(texts).str.contains(_INFINITE))


def _are_classes(column: pl.Series) -> bool:
    # A word among the numbers makes a column text, and text means classes.
    if not (column.dtype.is_numeric() or column.dtype == pl.String):
        return True
    numbers, words = _numbers(column)
    if len(words):
        return True
    values = numbers.drop_nulls()
    whole = bool((values == values.round()).all())
    distinct = values.n_unique()
    return whole and (distinct <= 2 or (distinct <= MOST_WHOLE_CLASSES and len(values) >= 3 * distinct))


def _order(names: list[str]) -> list[str]:
    # "10" comes after "9" where every name is a number.
    if all(re.fullmatch(r"[+-]?\d+(\.\d+)?", name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _classes(column: pl.Series) -> Targets:
    texts = as_texts(column, missing=MISSING_LABEL_WORDS)
    kept, warnings = _present(texts.is_null().to_numpy(), column.name)
    texts = texts.drop_nulls()
    names = _order(texts.unique().to_list())
    codes = texts.replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
    check_counts(np.bincount(codes, minlength=len(names)), [shown(name) for name in names])
    return Targets(
        task="classification",
        values=codes.astype(np.int64),
        names=tuple(shown(name) for name in names),
        kept=kept,
        warnings=warnings,
    )


def check_counts(counts: NDArray[np.int64], names: Sequence[str]) -> None:
    """Whether classes can be told apart and judged.

    Args:
        counts: samples of each class.
        names: of the classes.
    Raises:
        TargetError: one class, or a class with a single sample or none.
    Example:
        >>> check_counts(np.array([2, 5]), ["cat", "dog"])
    """
    total = int(counts.sum())
    if len(counts) < 2:
        raise TargetError(
            f'Classification needs at least two classes, but every sample is of class "{names[0]}". '
            "Add samples of another class."
        )
    few = [name for name, count in zip(names, counts, strict=True) if count < 2]
    if len(few) > 10 and 2 * len(few) > total:
        raise TargetError(
            f"Classes must repeat, but {len(few):,} of {len(counts):,} stand in one of {total:,} samples only: the "
            "target looks like an identifier or a text. Name another target."
        )
    if few:
        have = "has" if len(few) == 1 else "have"
        number = "one" if int(counts.min()) == 1 else "none" if int(counts[counts < 2].max()) == 0 else "one or none"
        raise TargetError(
            f"Each class needs at least two samples, one to learn from and one to be judged by, but {_listed(few)} "
            f"{have} {number}. Add samples or leave the class out."
        )


def _quantities(frame: pl.DataFrame) -> Targets:
    columns = []
    for column in frame.iter_columns():
        if not (column.dtype.is_numeric() or column.dtype == pl.String):
            raise TargetError(
                f'Several targets must be numbers, but "{column.name}" is {column.dtype}. '
                "Name one target, or numeric ones."
            )
        numbers, words = _numbers(column)
        if len(words):
            raise TargetError(
                f'Several targets must be numbers, but "{column.name}" holds "{shown(words[0])}". '
                "Name one target, or numeric ones."
            )
        columns.append(numbers)
    missing = np.logical_or.reduce([column.is_null().to_numpy() for column in columns])
    header = ", ".join(frame.columns)
    kept, warnings = _present(missing, header)
    values = np.column_stack([column.to_numpy() for column in columns])[kept].astype(np.float64)
    for i, column in enumerate(columns):
        if np.ptp(values[:, i]) == 0:
            raise TargetError(f'The target "{column.name}" must vary, but is {values[0, i]:g} in every row.')
    return Targets(task="regression", values=values, names=tuple(frame.columns), kept=kept, warnings=warnings)


def encode_targets(frame: pl.DataFrame, *, classes: bool | None) -> Targets:
    """Targets as a network's loss takes them.

    Args:
        frame: one column a target.
        classes: True where they are known to be class labels; None to infer: text, booleans and whole numbers with at
            most MOST_WHOLE_CLASSES values are classes, other numbers quantities, and so are several targets.
    Raises:
        TargetError: one class, a class with one sample, too many gaps, or words among several targets.
    Example:
        >>> encode_targets(pl.DataFrame({"y": ["b", "a", "a", "b"]}), classes=None).values.tolist()
        [1, 0, 0, 1]
    """
    rows = frame.height
    if rows < FEWEST_SAMPLES:
        raise TargetError(
            f"Training needs at least {FEWEST_SAMPLES} samples, two to learn from, one to choose by and one to be "
            f"judged by, but there {'is' if rows == 1 else 'are'} {rows}. Add samples."
        )
    for column in frame.iter_columns():
        if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
            raise TargetError(
                f'A target must be numbers or class names, but "{column.name}" is {column.dtype}. Name another target.'
            )
    if frame.width > 1:
        return _quantities(frame)
    column = frame.to_series(0)
    return _classes(column) if (classes or (classes is None and _are_classes(column))) else _quantities(frame)
