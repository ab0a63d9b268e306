"""Arrays, tensors, DataFrames and torch Datasets that are in memory."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainwell.core.errors import DataError, TargetError
from trainwell.data.arrays import (
    as_array,
    as_frame,
    channels_last,
    frame_of_rows,
    frame_of_targets,
    is_frame,
    split_off_targets,
)
from trainwell.data.blocks import RowNames
from trainwell.data.fingerprint import digest_of_array, digest_of_frame, digest_of_text
from trainwell.data.raw import UNDECIDED, Located, Pixels, Raw
from trainwell.data.scaling import value_range


def locate(source: Any, *, target: tuple[str, ...] = ()) -> Located:
    """Data in memory.

    Args:
        source: a pair (inputs, targets), a DataFrame or a torch Dataset of such pairs.
        target: columns of a DataFrame.
    Raises:
        DataError: it is something else, or inputs and targets differ in length.
    """
    if target and not is_frame(source):
        raise TargetError("A pair or a dataset has its targets, but a target column is named as well. Leave it out.")
    inputs, targets = _pair(source, target)
    check_lengths(inputs, targets)

    def digest() -> str:
        both = (
            digest_of_frame(as_frame(v)) if is_frame(v) else digest_of_array(as_array(v)) for v in (inputs, targets)
        )
        return digest_of_text("memory", *both)

    return Located(name="data in memory", digest=digest, read=lambda: read(inputs, targets))


def _pair(source: Any, target: tuple[str, ...]) -> tuple[Any, Any]:
    if isinstance(source, torch.utils.data.Dataset):
        return _from_dataset(source)
    if isinstance(source, tuple | list) and len(source) == 2:
        return source[0], source[1]
    if is_frame(source):
        return split_off_targets(as_frame(source), target)
    raise DataError(
        "Data must be a path, a built-in name, a pair (inputs, targets), a DataFrame or a torch Dataset, but got "
        f"{type(source).__name__}."
    )


def _from_dataset(dataset: Any) -> tuple[Any, Any]:
    # A map-style dataset says its length; merely iterating it would run past the end of many.
    mapped = hasattr(type(dataset), "__len__") and hasattr(type(dataset), "__getitem__")
    items: Iterable[Any] = (dataset[i] for i in range(len(dataset))) if mapped else dataset
    inputs, targets, tensors = [], [], False
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            size = f" of {len(item)}" if isinstance(item, tuple | list) else ""
            raise DataError(
                f"A dataset must give pairs (input, target), but gave {type(item).__name__}{size}. Wrap it."
            )
        tensors = isinstance(item[0], torch.Tensor)
        inputs.append(as_array(item[0]))
        targets.append(as_array(item[1]))
    if not inputs:
        raise DataError("A dataset must hold samples, but it is empty.")
    for arrays in (inputs, targets):
        shapes = sorted({array.shape for array in arrays})
        if len(shapes) > 1:
            raise DataError(
                f"Samples must all have one shape, but there are {shapes[0]} and {shapes[1]}. Bring them to one shape."
            )
    stacked = np.stack(inputs)
    return (torch.from_numpy(stacked) if tensors else stacked), np.stack(targets)


def check_lengths(inputs: Any, targets: Any) -> None:
    """Whether there is a target for each input, and any.

    Raises:
        DataError: there is not.
    """
    try:
        rows, labels = len(inputs), len(targets)
    except TypeError as error:
        raise DataError("Inputs and targets must be arrays, tensors, lists or tables with a row a sample.") from error
    if rows != labels:
        raise DataError(
            f"Inputs and targets must be of one length, but there are {rows:,} inputs and {labels:,} targets."
        )
    if not rows:
        raise DataError("Data must hold samples, but it is empty.")


def _are_labels(array: NDArray[Any], *, pictures: bool) -> bool | None:
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] > 1):
        return None
    if array.dtype.kind in "SUb":
        return True
    if array.dtype.kind not in "iu" or not array.size:
        return None
    low, high = int(array.min()), int(array.max())
    # Whole numbers from 0 or 1 without a gap are how class indices are written.
    gapless = low in (0, 1) and len(np.unique(array)) == high - low + 1 and high - low + 1 <= len(array) / 2
    return True if pictures or gapless else None


def read(inputs: Any, targets: Any) -> Raw:
    """Inputs and targets as found.

    Args:
        inputs: a DataFrame, rows (samples, columns), or pictures (samples, height, width), channels before or after.
        targets: labels or numbers, (samples,) or (samples, targets).
    Raises:
        DataError: the shapes are others, or not numbers where they must be.
    """
    check_lengths(inputs, targets)
    target = frame_of_targets(targets)
    rows = len(targets)
    names = RowNames(rows)
    parts = np.full(rows, UNDECIDED, np.int8)
    if is_frame(inputs):
        return Raw(inputs=as_frame(inputs), target=target, names=names, parts=parts)
    array = as_array(inputs)
    labels = np.zeros((0, 2)) if is_frame(targets) else as_array(targets)
    if array.ndim not in (3, 4):
        if array.ndim > 2:
            raise DataError(
                f"Inputs must be rows (2 axes) or pictures (3 or 4 axes), but have the shape {array.shape}."
            )
        classes = _are_labels(labels, pictures=False)
        return Raw(inputs=frame_of_rows(array), target=target, names=names, parts=parts, classes=classes)
    if array.dtype.kind not in "iufb":
        raise DataError(f"Pictures must be numbers, but they are {array.dtype}.")
    block = channels_last(array, first=isinstance(inputs, torch.Tensor))
    height, width, channels = block.shape[1:]
    if not height * width:
        raise DataError(f"Pictures must have pixels, but have the shape {array.shape}.")
    low, high = value_range(block)
    pixels = Pixels(blocks=lambda: [block], height=height, width=width, channels=channels, low=low, high=high)
    return Raw(inputs=pixels, target=target, names=names, parts=parts, classes=_are_labels(labels, pictures=True))
