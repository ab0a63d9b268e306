"""Numbers read off a curve, robust to noise and to points that are not finite.

Everything is relative to the curve's own noise or to the way it came, so that neither the loss's unit nor the
position of the first epoch matters.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from trainwell.core.records.curve import Curve

WINDOW_SHARE = 1 / 3
"""A curve's end is its last third: the notes' learning curves are judged by eye on about as much."""

WINDOW_LEAST = 3
"""Points: fewer have no trend."""

SECOND_DIFFERENCE = 0.6745 * math.sqrt(6.0)
"""Median of |y[i-1] - 2 y[i] + y[i+1]| of white noise with standard deviation 1."""


@dataclass(frozen=True)
class Trace:
    """The finite points of a curve.

    Attributes:
        x: positions.
        y: values, all finite.
        lost: points that were NaN or infinite.
        noise: standard deviation from point to point, around the smooth course; 0 below 4 points.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    lost: int
    noise: float

    def __len__(self) -> int:
        return len(self.y)

    def since(self, first: int) -> "Trace":
        """The points from index `first` on, with the noise of the whole."""
        return Trace(self.x[first:], self.y[first:], self.lost, self.noise)

    def until(self, stop: int) -> "Trace":
        """The points before index `stop`, with the noise of the whole."""
        return Trace(self.x[:stop], self.y[:stop], self.lost, self.noise)

    @property
    def window(self) -> int:
        """Points of its end."""
        return min(len(self), max(WINDOW_LEAST, round(len(self) * WINDOW_SHARE)))

    @property
    def end(self) -> "Trace":
        """Its last third."""
        return self.since(len(self) - self.window)

    @property
    def level(self) -> float:
        """Median of its last points, as many as a tenth of it and at most 5; NaN without points."""
        return statistics.median(self.y[-min(5, max(1, len(self) // 10)) :]) if self.y else math.nan


def trace(curve: Curve) -> Trace:
    """A curve's finite points and its noise.

    Args:
        curve: any; NaN and Inf may occur.
    Returns:
        Its Trace, possibly without points.
    """
    kept = [(x, y) for x, y in zip(curve.x, curve.y) if math.isfinite(y) and math.isfinite(x)]
    y = tuple(value for _, value in kept)
    return Trace(tuple(position for position, _ in kept), y, len(curve.y) - len(kept), noise(y))


def noise(y: Sequence[float]) -> float:
    r"""Standard deviation of the jitter around a smooth course.

    .. math:: \sigma = \operatorname{median} |y_{i-1} - 2 y_i + y_{i+1}| / (0.6745 \sqrt 6)

    Args:
        y: finite values, at equal distances.
    Returns:
        Sigma in the unit of y; 0 below 4 values.
    Example:
        >>> noise([5.0, 4.0, 3.0, 2.0, 1.0])
        0.0

    Source: Rice 1984 (difference-based estimation of variance); the median in place of the mean for outliers.
    """
    if len(y) < 4:
        return 0.0
    return statistics.median(abs(a - 2 * b + c) for a, b, c in zip(y, y[1:], y[2:])) / SECOND_DIFFERENCE


def fall(part: Trace) -> float:
    """By how much a trace falls from first to last point, by the median slope (Theil-Sen); below 0 where it rises.

    Args:
        part: usually a trace's end.
    Returns:
        In the unit of y; 0 below two points.
    """
    n = len(part)
    if n < 2:
        return 0.0
    slopes = [(part.y[j] - part.y[i]) / (j - i) for i in range(n) for j in range(i + 1, n)]
    return -statistics.median(slopes) * (n - 1)


def fall_error(part: Trace) -> float:
    """Standard error of `fall` under the trace's noise: sigma * sqrt(12 (n - 1) / (n (n + 1))).

    Args:
        part: the same.
    Returns:
        In the unit of y; 0 below two points or without noise.
    """
    n = len(part)
    return part.noise * math.sqrt(12 * (n - 1) / (n * (n + 1))) if n > 1 else 0.0


def drop(part: Trace, *, start: float = math.nan) -> float:
    """How far a loss has come down: from its start (or first point) to its lowest point; 0 where it never fell.

    Args:
        part: of a loss.
        start: the untouched network's, where it was measured.
    Returns:
        In the unit of y, >= 0.
    """
    if not part.y:
        return 0.0
    first = start if math.isfinite(start) else part.y[0]
    return max(0.0, first - min(part.y))


def lowest(part: Trace) -> tuple[int, float]:
    """Where a trace, smoothed by a median of three, is lowest, and how low: one lucky point is not where a curve turns.

    Args:
        part: any.
    Returns:
        Index of the point that stands for the lowest smoothed value, and that value; (0, NaN) without points.
    """
    if not part.y:
        return 0, math.nan
    ends = (part.y[0], *part.y, part.y[-1])
    smooth = [statistics.median(ends[i : i + 3]) for i in range(len(part))]
    at = min(range(len(smooth)), key=lambda i: (smooth[i], abs(part.y[i] - smooth[i])))
    return at, smooth[at]


def constant_rate(lr: Curve, first: float, last: float, *, tolerance: float = 0.1) -> bool:
    """Whether the learning rate stays within `tolerance` of its peak between two positions.

    Args:
        lr: learning rate by position.
        first: position.
        last: position, >= first.
        tolerance: dimensionless, in [0, 1).
    Returns:
        Whether it does; True where no rate was recorded in between (nothing says that it changed).
    """
    rates = [y for y in lr.y if math.isfinite(y)]
    between = [y for x, y in zip(lr.x, lr.y) if first <= x <= last and math.isfinite(y)]
    return all(rate >= (1 - tolerance) * max(rates) for rate in between)


BLOWN_UP = 0.5
"""Share of its start by which a loss must end higher to have blown up: far beyond a batch's noise, long before NaN."""


def blows_up(curve: Curve) -> bool:
    """Whether a loss ends well above its start, or is lost on the way.

    Args:
        curve: of a loss; against steps or against learning rates.
    Returns:
        Whether it does; False without points.
    """
    if any(not math.isfinite(y) for y in curve.y):
        return True
    return bool(curve.y) and curve.y[-1] > curve.y[0] + BLOWN_UP * abs(curve.y[0])
