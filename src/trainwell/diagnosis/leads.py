"""Is a lead larger than the noise, and which axis of a grid mattered?"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from trainwell.core.records.evidence import GridPoint

REAL = 2.0
"""A lead counts where it exceeds this many standard errors of a difference of two trainings."""


def values_noise(values: Sequence[float]) -> float:
    """Standard deviation of a value from seed to seed; NaN for fewer than two finite values.

    Example:
        >>> round(values_noise([0.1, 0.2]), 4)
        0.0707
    """
    finite = [value for value in values if math.isfinite(value)]
    return stdev(finite) if len(finite) >= 2 else math.nan


def sampling_noise(error: float, samples: int) -> float:
    r"""Standard error of a share of wrong answers, :math:`\sqrt{e (1 - e) / n}`, never below that of one wrong answer.

    Args:
        error: in [0, 1]; what lies outside is clipped.
        samples: n, >= 1.
    Example:
        >>> round(sampling_noise(0.5, 100), 3)
        0.05
    """
    share = min(max(error, 1.0 / samples), 1.0 - 1.0 / (samples + 1)) if samples > 0 else 0.5
    return math.sqrt(share * (1.0 - share) / max(samples, 1))


def lead_is_real(better: float, worse: float, *, noise: float, samples: int) -> bool:
    r"""Whether one training's error is below another's beyond the noise.

    .. math:: e_w - e_b > 2 \sqrt{2}\, \sigma

    where sigma is the spread from seed to seed where it was measured, and at least half the sampling noise of the
    validation part: both trainings are judged on the same samples, so that most of it cancels.

    Args:
        better: its error.
        worse: the other's.
        noise: standard deviation from seed to seed, or NaN.
        samples: of the validation part.
    """
    if not math.isfinite(worse):
        return math.isfinite(better)
    spread = max(noise if math.isfinite(noise) else 0.0, 0.5 * sampling_noise(worse, samples))
    return worse - better > REAL * math.sqrt(2.0) * spread


def importances(points: Sequence[GridPoint], axes: Sequence[str]) -> dict[str, float]:
    """Share of the value's variance that each axis explains alone: between its levels, over all.

    Args:
        points: of one grid; only those compared at the same number of steps count, the earliest such number.
        axes: dotted hyperparameters.
    Returns:
        Axis -> share in [0, 1]; empty where fewer than three points can be compared.
    """
    finite = [point for point in points if math.isfinite(point.value)]
    if len(finite) < 3:
        return {}
    mean = fmean(point.value for point in finite)
    total = sum((point.value - mean) ** 2 for point in finite)
    if total <= 0.0:
        return dict.fromkeys(axes, 0.0)
    shares = {}
    for axis in axes:
        levels: dict[float, list[float]] = {}
        for point in finite:
            if axis in point.coordinates:
                levels.setdefault(point.coordinates[axis], []).append(point.value)
        between = sum(len(values) * (fmean(values) - mean) ** 2 for values in levels.values())
        shares[axis] = between / total if len(levels) > 1 else 0.0
    # Axes that vary together explain the same variance twice.
    over = max(sum(shares.values()), 1.0)
    return {axis: share / over for axis, share in shares.items()}
