"""How sure a score is, and what chance would score."""

import math

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import LearningCurves, Look, Yardstick

SURE = 1.96
"""Standard errors either side of a 95% interval."""

CONSTANT = "best constant"
"""Name of the yardstick that knows nothing of the input."""


def is_regression(curves: LearningCurves, data: DataRecord | None) -> bool:
    """Whether the metric is R²: the data says it, else the metric's axis name."""
    if data is not None:
        return data.task == "regression"
    return curves.validation_metric.y_label.casefold() in ("r2", "r²")


def samples_measured(curves: LearningCurves, data: DataRecord | None) -> int:
    """Samples that each point of the curves was measured on; 0 where it is not known."""
    return curves.samples or (0 if data is None else data.sizes.get("validation", 0))


def score_error(value: float, n: int, *, regression: bool) -> float:
    r"""Standard error of an accuracy or of R² on n samples.

    .. math:: \sqrt{\tilde p (1 - \tilde p) / n},\ \tilde p = (n p + 2) / (n + 4);\quad 2 \sqrt{R^2} (1 - R^2) / \sqrt n

    Args:
        value: accuracy in [0, 1], or R², at most 1.
        n: samples, >= 1; below that nothing is known.
        regression: whether it is R².
    Returns:
        In the score's unit; infinite where n < 1.
    Example:
        >>> round(score_error(0.9, 100, regression=False), 4)
        0.0319

    Source: Agresti and Coull 1998 (an accuracy of 1 is not certain); Olkin and Finn 1995 (R², large n). Near R² = 0
    that error vanishes though R² still varies by about 2/n at least: the larger of the two.
    """
    if n < 1:
        return math.inf
    if regression:
        clipped = min(1.0, max(0.0, value))
        return max(2 * math.sqrt(clipped) * (1 - clipped) / math.sqrt(n), 2.0 / n)
    shrunk = (n * value + 2) / (n + 4)
    return math.sqrt(max(0.0, shrunk * (1 - shrunk)) / n)


def chance(look: Look | None, data: DataRecord | None) -> float:
    """What the best constant answer scores on validation: measured, else the largest class's share, else 0."""
    constant = next((y for y in look.yardsticks if y.name == CONSTANT), None) if look else None
    if constant is not None:
        return constant.metric
    counts = data.class_counts.get("train", ()) if data else ()
    return max(counts) / sum(counts) if sum(counts) else 0.0


def best_yardstick(look: Look | None) -> Yardstick | None:
    """The strongest simple model that looks at the input; None where none was measured."""
    models = [y for y in look.yardsticks if y.name != CONSTANT and math.isfinite(y.metric)] if look else []
    return max(models, key=lambda y: y.metric, default=None)
