"""What a training with one thing changed says of the same training without."""

import math
import statistics
from collections.abc import Sequence

STUCK = 0.05
"""Share of its first value that a loss has not come down by. Chosen, and yet to be measured on many healthy trainings;
one whose rate is still warming up is stuck too, and no lower rate betters it."""

GAIN = 0.2
"""Share of the lower of a loss's beginning and end by which another training must end lower still. Batches and weights
are the same, so chance is not the measure. Chosen, and yet to be measured on many healthy trainings."""

SHORTEST = 9
"""Steps: of fewer, the last third is a step or two, and says more of its batch than of the training."""


def end(values: Sequence[float]) -> float:
    """Median of the last third of a loss; infinite where a value of it is not finite.

    Args:
        values: the loss before each step, at least one.
    Example:
        >>> end([5.0, 4.0, 3.0, 2.0, 1.0, 3.0]), end([1.0, float("nan")])
        (2.0, inf)
    """
    last = values[-max(len(values) // 3, 1) :]
    return statistics.median(last) if all(map(math.isfinite, last)) else math.inf


def is_stuck(values: Sequence[float]) -> bool:
    """Whether a loss has not come down from its first value, or is lost.

    Args:
        values: the loss before each step.
    Example:
        >>> is_stuck([2.3] * 12), is_stuck([2.3 - 0.05 * step for step in range(12)])
        (True, False)
    """
    if len(values) < SHORTEST or not math.isfinite(values[0]):
        return False
    return end(values) > values[0] - STUCK * abs(values[0])


def helped(unchanged: Sequence[float], changed: Sequence[float], *, gain: float = GAIN) -> bool:
    """Whether the changed training ends clearly below both where the other ends and where it began.

    Args:
        unchanged: the loss before each step.
        changed: likewise, of as many.
        gain: by how much, as a share of the lower of the two.
    Example:
        >>> helped([2.3] * 12, [2.3 - 0.1 * step for step in range(12)])
        True
    """
    if min(len(unchanged), len(changed)) < SHORTEST or not math.isfinite(unchanged[0]):
        return False
    level = min(end(unchanged), unchanged[0])
    return end(changed) < level - gain * abs(level)
