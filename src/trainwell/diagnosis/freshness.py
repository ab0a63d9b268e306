"""How much of what a training is given it has been trained on before."""

import math

from trainwell.core.records.steps import Steps


def share_new(steps: Steps) -> float:
    """Share, in [0, 1], of the samples of the last third of the steps that were never trained on before.

    Args:
        steps: of a training.
    Returns:
        NaN where no samples were counted.
    Example:
        >>> share_new(Steps(taken=3, samples=(8, 8, 8), fresh=(8, 4, 2)))
        0.25
    """
    last = max(len(steps.samples) // 3, 1)
    given = sum(steps.samples[-last:])
    return sum(steps.fresh[-last:]) / given if given else math.nan
