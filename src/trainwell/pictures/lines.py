"""What every picture of curves needs: lines that survive NaN, Inf and ten thousand points."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from trainwell.core.records.curve import Curve
from trainwell.pictures.drawing import is_drawable, is_loggable

MOST_POINTS = 600
"""A picture is 440 points wide: beyond this, each bucket of a line keeps its lowest and its highest point."""


def points(curve: Curve, *, log_x: bool = False) -> tuple[list[float], list[float]]:
    """What of a curve can be drawn.

    Args:
        curve: may hold NaN and Inf.
        log_x: whether x stands on a logarithmic axis (then only x > 0 can).
    Returns:
        x and y of equal length, at most `MOST_POINTS`.
    """
    kept = [
        (x, y) for x, y in zip(curve.x, curve.y) if is_drawable(y) and (is_loggable(x) if log_x else is_drawable(x))
    ]
    thinned = _thin(kept)
    return [x for x, _ in thinned], [y for _, y in thinned]


def _thin(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(pairs) <= MOST_POINTS:
        return pairs
    size = math.ceil(2 * len(pairs) / MOST_POINTS)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(pairs), size):
        bucket = pairs[start : start + size]
        ends = {min(bucket, key=lambda pair: pair[1]), max(bucket, key=lambda pair: pair[1])}
        kept.extend(sorted(ends))
    return kept


def draw(panel: Axes, curve: Curve, *, log_x: bool = False, **style: Any) -> bool:
    """One curve as a line, or as a dot where it has one point; a cross where it ceased to be finite.

    Args:
        panel: to draw on.
        curve: may hold NaN and Inf.
        log_x: whether x stands on a logarithmic axis.
        style: matplotlib's.
    Returns:
        Whether there was anything to draw.
    """
    x, y = points(curve, log_x=log_x)
    if not x:
        return False
    single = {"marker": "o", "markersize": 4.0} if len(x) == 1 else {}
    panel.plot(x, y, **{**single, **style})
    if _ends_badly(curve):
        panel.plot(x[-1:], y[-1:], marker="x", markersize=8, markeredgewidth=2, color=style.get("color"), zorder=4)
    return True


def _ends_badly(curve: Curve) -> bool:
    return bool(curve.y) and not is_drawable(curve.y[-1])


def limits(values: Sequence[float], *, margin: float = 0.06) -> tuple[float, float]:
    """Ends of an axis on which all these values stand.

    Args:
        values: finite; may be empty.
        margin: share of the range that is left free on each side, >= 0.
    Returns:
        Low and high, low < high.
    Example:
        >>> limits([1.0, 3.0], margin=0.5)
        (0.0, 4.0)
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * margin or max(abs(high), 1e-12) * 0.5
    return low - room, high + room
