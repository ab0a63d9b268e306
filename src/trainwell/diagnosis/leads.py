"""Is a lead larger than the noise, and which axis of a grid mattered?"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from trainwell.core.records.evidence import GridPoint

REAL = 2.0
"""A lead counts where it exceeds this many standard errors of a difference of two trainings."""

KIND = 4.0
"""Another kind of network takes the place of the first where its held-out loss is lower by more than this many standard
errors, sample by sample: two for chance, two for what a training of a fraction of the length misjudges.

Measured on development splits 104 to 106 of three tables, 120 to 240 steps of 1,040: 6.0 to 7.7 where the other kind is
better in the end (storms), at most 3.9 after 120 steps and 2.5 after 180 where it is worse (loans), below 0.4 where
they are alike (churn).
"""


def paired_lead(losses: Sequence[float], others: Sequence[float]) -> float:
    r"""By how many standard errors the losses of the others are lower, sample by sample.

    .. math:: z = \frac{\bar d}{s_d / \sqrt{n}}, \quad d_i = \text{losses}_i - \text{others}_i

    Args:
        losses: of each sample, finite.
        others: of the same samples, finite.
    Returns:
        z; 0 for fewer than two samples or equal losses, infinite where all differ by the same.
    Example:
        >>> round(paired_lead([1.0, 2.0, 4.0], [1.0, 1.0, 2.0]), 3)
        1.732
    """
    if len(losses) < 2:
        return 0.0
    gaps = [loss - other for loss, other in zip(losses, others, strict=True)]
    mean, error = fmean(gaps), stdev(gaps) / math.sqrt(len(gaps))
    if error == 0.0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / error


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
