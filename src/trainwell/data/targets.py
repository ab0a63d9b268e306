"""From a target column to class indices or raw numbers: which task it is, and whether it can be learnt at all."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.errors import TargetError
from trainwell.core.records.layout import Task
from trainwell.data.blocks import Blocks, ColumnBlocks, table_in_blocks
from trainwell.data.columns import DECIMALS, MISSING_LABEL_WORDS, Decimal, as_numbers, as_texts
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


def _numbers_of(column: ColumnBlocks) -> tuple[pl.Series, str | None]:
    """The cells as numbers, and the first that is a word."""
    if column.dtype != pl.String:
        return _collected(column, as_numbers), None
    point, comma = (_unparsed(column, decimal) for decimal in DECIMALS)
    decimal: Decimal = "," if comma < point else "."
    for block in column.blocks():
        texts = as_texts(block, missing=MISSING_LABEL_WORDS)
        numbers = as_numbers(texts, decimal=decimal)
        words = texts.filter(numbers.is_null() & texts.is_not_null() & ~as_texts(texts).str.contains(_INFINITE))
        if len(words):
            return numbers.clear(), str(words[0])
    return _collected(column, lambda block: _parsed(block, decimal)), None


def _parsed(block: pl.Series, decimal: Decimal) -> pl.Series:
    return as_numbers(as_texts(block, missing=MISSING_LABEL_WORDS), decimal=decimal)


def _unparsed(column: ColumnBlocks, decimal: Decimal) -> int:
    return column.total(lambda block: _parsed(block, decimal).null_count())


def _collected(column: ColumnBlocks, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    return pl.concat([change(block) for block in column.blocks()], rechunk=False)


def _are_classes(column: ColumnBlocks) -> bool:
    # A word among the numbers makes a column text, and text means classes.
    if not (column.dtype.is_numeric() or column.dtype == pl.String):
        return True
    numbers, word = _numbers_of(column)
    if word is not None:
        return True
    values = numbers.drop_nulls()
    whole = bool((values == values.round()).all())
    if not whole:
        return False
    distinct = values.n_unique()
    return distinct <= 2 or (distinct <= MOST_WHOLE_CLASSES and len(values) >= 3 * distinct)


def _order(names: list[str]) -> list[str]:
    # "10" comes after "9" where every name is a number.
    if all(re.fullmatch(r"[+-]?\d+(\.\d+)?", name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _classes(column: ColumnBlocks) -> Targets:
    missing = np.empty(column.rows, bool)
    found: set[str] = set()
    done = 0
    for block in column.blocks():
        texts = as_texts(block, missing=MISSING_LABEL_WORDS)
        missing[done : done + len(texts)] = texts.is_null().to_numpy()
        done += len(texts)
        found.update(texts.drop_nulls().unique())
    kept, warnings = _present(missing, column.name)
    names = _order(list(found))
    codes = np.empty(len(kept), np.int64)
    done = 0
    for block in column.blocks():
        texts = as_texts(block, missing=MISSING_LABEL_WORDS).drop_nulls()
        new = texts.replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
        codes[done : done + len(new)] = new
        done += len(new)
    check_counts(np.bincount(codes, minlength=len(names)), [shown(name) for name in names])
    return Targets(
        task="classification",
        values=codes,
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


def _quantities(table: Blocks) -> Targets:
    columns = []
    for column in map(table.column, table.columns):
        if not (column.dtype.is_numeric() or column.dtype == pl.String):
            raise TargetError(
                f'Several targets must be numbers, but "{column.name}" is {column.dtype}. '
                "Name one target, or numeric ones."
            )
        numbers, word = _numbers_of(column)
        if word is not None:
            raise TargetError(
                f'Several targets must be numbers, but "{column.name}" holds "{shown(word)}". '
                "Name one target, or numeric ones."
            )
        columns.append(numbers)
    missing = np.logical_or.reduce([column.is_null().to_numpy() for column in columns])
    header = ", ".join(table.columns)
    kept, warnings = _present(missing, header)
    values = np.column_stack([column.to_numpy() for column in columns])[kept].astype(np.float64)
    for i, name in enumerate(table.columns):
        if np.ptp(values[:, i]) == 0:
            raise TargetError(f'The target "{name}" must vary, but is {values[0, i]:g} in every row.')
    return Targets(task="regression", values=values, names=tuple(table.columns), kept=kept, warnings=warnings)


def encode_targets(frame: pl.DataFrame | Blocks, *, classes: bool | None) -> Targets:
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
    table = table_in_blocks(frame)
    rows = table.height
    if rows < FEWEST_SAMPLES:
        raise TargetError(
            f"Training needs at least {FEWEST_SAMPLES} samples, two to learn from, one to choose by and one to be "
            f"judged by, but there {'is' if rows == 1 else 'are'} {rows}. Add samples."
        )
    for column in map(table.column, table.columns):
        if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
            raise TargetError(
                f'A target must be numbers or class names, but "{column.name}" is {column.dtype}. Name another target.'
            )
    if table.width > 1:
        return _quantities(table)
    column = table.column(table.columns[0])
    return _classes(column) if (classes or (classes is None and _are_classes(column))) else _quantities(table)
