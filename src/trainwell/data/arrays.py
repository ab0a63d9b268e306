"""What Python users hold, as NumPy arrays and polars tables."""

from collections.abc import Sequence
from typing import Any, TypeVar

import narwhals as nw
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from trainwell.core.errors import DataError, TargetError, suggestion
from trainwell.data.blocks import Blocks
from trainwell.data.raw import shown

Table = TypeVar("Table", pl.DataFrame, Blocks)


def as_array(values: Any) -> NDArray[Any]:
    """Whatever holds numbers, as a NumPy array.

    Raises:
        DataError: it holds something else, or rows of unlike length.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return np.asarray(values.float().numpy() if values.dtype == torch.bfloat16 else values.numpy())
    try:
        made = np.asarray(values)
    except ValueError as error:
        raise DataError("Samples must all have one shape, but their shapes differ. Bring them to one shape.") from error
    return made


def channels_last(array: NDArray[Any], *, first: bool) -> NDArray[Any]:
    """A batch of pictures as (samples, height, width, channels).

    Args:
        array: (samples, height, width), or with a channel axis of 1 or 3 before or after height and width.
        first: which of the two it is where both are possible.
    Raises:
        DataError: there is no axis of 1 or 3 channels.
    """
    if array.ndim == 3:
        return array[..., None]
    leads, trails = array.shape[1] in (1, 3), array.shape[3] in (1, 3)
    if not (leads or trails):
        raise DataError(
            f"Pictures must be (samples, height, width), or have an axis of 1 or 3 channels, but are {array.shape}."
        )
    return np.moveaxis(array, 1, 3) if leads and (first or not trails) else array


def is_frame(value: Any) -> bool:
    """Whether a value is an eager DataFrame of a library that narwhals knows."""
    return isinstance(nw.from_native(value, pass_through=True, eager_only=True), nw.DataFrame)


def as_frame(value: Any) -> pl.DataFrame:
    """Any eager DataFrame as polars', without a detour over pyarrow.

    Raises:
        DataError: two columns have one name.
    """
    if isinstance(value, pl.DataFrame):
        frame = value
    else:
        try:
            given = nw.from_native(value, eager_only=True)
            frame = pl.DataFrame([_column(given.get_column(name)).alias(str(name)) for name in given.columns])
        except (nw.exceptions.DuplicateError, pl.exceptions.DuplicateError) as error:
            raise DataError("Columns must have names that differ, but two of the table are the same.") from error
    return frame.rename({name: shown(name) for name in frame.columns if shown(name) != name})


def _column(series: Any) -> pl.Series:
    kind = series.dtype
    missing = series.is_null().to_list()
    if (kind.is_numeric() and not kind.is_decimal() and not any(missing)) or (kind == nw.Boolean and not any(missing)):
        return pl.Series(series.to_numpy())
    items = [None if gap else item for item, gap in zip(series.to_list(), missing, strict=True)]
    try:
        return pl.Series(items)
    except (TypeError, pl.exceptions.PolarsError):
        # A column of mixed Python objects: their text is what can be compared.
        return pl.Series([None if item is None else str(item) for item in items], dtype=pl.String)


def frame_of_targets(values: Any, *, headers: Sequence[str] = ()) -> pl.DataFrame:
    """Targets as a table: one column for (samples,) or (samples, 1), else one a target."""
    if is_frame(values):
        return as_frame(values)
    named = nw.from_native(values, pass_through=True, allow_series=True, eager_only=True)
    if isinstance(named, nw.Series):
        return pl.DataFrame([_column(named).alias(shown(str(named.name or "target")))])
    array = as_array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return pl.DataFrame([_series(array).alias(headers[0] if headers else "target")])
    if array.ndim != 2:
        raise TargetError(f"Targets must be (samples,) or (samples, targets), but got the shape {array.shape}.")
    names = headers or [f"target {i + 1}" for i in range(array.shape[1])]
    return pl.DataFrame({name: _series(array[:, i]) for i, name in enumerate(names)})


def _series(array: NDArray[Any]) -> pl.Series:
    if array.dtype.kind == "f":
        return pl.Series(array.astype(np.float64), nan_to_null=True)
    if array.dtype.kind in "iub":
        return pl.Series(np.ascontiguousarray(array))
    if array.dtype.kind == "M":
        return pl.Series(array.astype("datetime64[us]"))
    if array.dtype.kind == "c":
        raise DataError("Values must be real numbers, but they are complex. Give real and imaginary part of their own.")
    return pl.Series(
        [None if item is None or item != item else shown(_text(item)) for item in array.tolist()], dtype=pl.String
    )


def _text(item: Any) -> str:
    return item.decode("utf-8", "backslashreplace") if isinstance(item, bytes) else str(item)


def frame_of_rows(array: NDArray[Any]) -> pl.DataFrame:
    """A matrix as a table with the headers "column 1", "column 2" and so on."""
    if array.ndim == 1:
        array = array[:, None]
    return pl.DataFrame({f"column {i + 1}": _series(array[:, i]) for i in range(array.shape[1])})


def split_off_targets(frame: Table, target: tuple[str, ...]) -> tuple[Table, Table]:
    """A table's inputs and its targets.

    Raises:
        TargetError: no target is named, or one that the table lacks, or one twice, or nothing else is left.
    """
    if not target:
        raise TargetError(f"A table needs a target, but none is named. Its columns: {_some(frame.columns)}.")
    unknown = [name for name in target if name not in frame.columns]
    if unknown:
        near = suggestion(unknown[0], frame.columns)
        hint = near if near.startswith("Did") else f"Columns: {_some(frame.columns)}."
        raise TargetError(f'The target must be a column, but there is no "{shown(unknown[0])}". {hint}')
    if len(set(target)) < len(target):
        raise TargetError(f"Each target must be named once, but got {', '.join(target)}.")
    others = [name for name in frame.columns if name not in target]
    if not others:
        raise DataError("A table needs columns besides its targets, but it has none.")
    return frame.select(others), frame.select(list(target))


def _some(names: Sequence[str], most: int = 12) -> str:
    head = ", ".join(names[:most])
    return head if len(names) <= most else f"{head} and {len(names) - most:,} more"
