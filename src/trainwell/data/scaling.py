"""Values of any range as bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_bytes(array: NDArray[Any], *, low: float, high: float) -> NDArray[np.uint8]:
    """Values from `low` to `high` as 0 to 255, rounded; what lies outside is cut off.

    Args:
        array: numbers, finite.
        low: becomes 0.
        high: becomes 255.
    Example:
        >>> to_bytes(np.array([0.0, 0.5, 2.0]), low=0.0, high=1.0).tolist()
        [0, 128, 255]
    """
    if array.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return array
    scaled = (array.astype(np.float64) - low) * (255.0 / ((high - low) or 1.0))
    return np.floor(np.clip(scaled, 0.0, 255.0) + 0.5).astype(np.uint8)


def conventional_range(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """The conventional range around values from `low` to `high`, or just these.

    Whole numbers from 0 end at the smallest 2^k - 1 that holds all (10- and 12-bit cameras write 16-bit files); floats
    are in [0, 1], [-1, 1] or (beyond 128) [0, 255].

    Args:
        low: smallest value.
        high: largest value, >= low.
        whole: whether they are whole numbers.
    Example:
        >>> conventional_range(3.0, 900.0, whole=True), conventional_range(0.1, 0.9, whole=False)
        ((0.0, 1023.0), (0.0, 1.0))
    """
    if low >= 0 and whole:
        return 0.0, float((1 << max(1, int(high).bit_length())) - 1)
    if not whole:
        for bottom, top in ((0.0, 1.0), (-1.0, 1.0)):
            if bottom <= low and high <= top:
                return bottom, top
        if low >= 0 and 128 < high <= 255:
            return 0.0, 255.0
    return low, high


def value_range(array: NDArray[Any]) -> tuple[float, float]:
    """The values of an array of pictures that become 0 and 255.

    Args:
        array: numbers or booleans. uint8 keeps 0 to 255; NaN and Inf do not count.
    """
    if array.dtype == np.uint8:
        return 0.0, 255.0
    if array.dtype == np.bool_:
        return 0.0, 1.0
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return conventional_range(low, high, whole=array.dtype.kind in "iu")
