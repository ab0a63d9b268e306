"""What the network's probabilities are worth."""

import math

from trainwell.core.records.outcome import CalibrationBin, Outcome
from trainwell.pictures.reliability import reliability
from trainwell.pictures.text import number, percent
from trainwell.report.markup import Markup
from trainwell.report.parts import Numbering, picture

FEW = 10
"""Of fewer samples no share is told: its interval would hold nearly anything."""


def diagram(outcome: Outcome, numbering: Numbering) -> Markup | None:
    """Confidence against the share that is right.

    Args:
        outcome: of the test part.
        numbering: of the page.
    Returns:
        A figure; None where no probability was measured.
    """
    if not outcome.calibration:
        return None
    return picture(reliability(outcome.calibration), _said_and_right(outcome.calibration), numbering)


def calibration(outcome: Outcome) -> str:
    """What to trust in the probabilities.

    Args:
        outcome: of the test part.
    Returns:
        A few sentences; empty where no probability was measured.
    """
    if not math.isfinite(outcome.calibration_error):
        return ""
    off = (
        f"On average they are off by {number(100 * outcome.calibration_error)} percentage points (expected calibration "
        "error, 15 bins)"
    )
    divided = f", after logits were divided by {number(outcome.temperature)}" if outcome.temperature != 1 else ""
    said = f" {_said_and_right(outcome.calibration)}" if outcome.calibration else ""
    return f"Its probabilities.{said} {off}{divided}."


def halves(
    bins: tuple[CalibrationBin, ...],
) -> tuple[tuple[CalibrationBin, ...], tuple[CalibrationBin, ...]]:
    """The surest bins that together hold half of the samples, and the others.

    Args:
        bins: the least sure first.
    Returns:
        Those, and the others, which may be none.
    Example:
        >>> low, high = (CalibrationBin(confidence=c, right=c, count=5, interval=(0.0, 1.0)) for c in (0.6, 0.9))
        >>> [[one.confidence for one in half] for half in halves((low, high))]
        [[0.9], [0.6]]
    """
    held = 0
    for place in range(len(bins) - 1, -1, -1):
        held += bins[place].count
        if 2 * held >= sum(one.count for one in bins):
            return bins[place:], bins[:place]
    return bins, ()


def _said_and_right(bins: tuple[CalibrationBin, ...]) -> str:
    surest, others = halves(bins)
    said, right, count = _together(surest)
    if not others:
        return f"It says {percent(said)} on average and is right {percent(right)} of the time, {count:,} test samples."
    less, hits, rest = _together(others)
    if rest < FEW:
        return (
            f"When it says {percent(said)} (on average of the {count:,} test samples it is surest of), it is right "
            f"{percent(right)} of the time; too few are left to say what it is worth when it is less sure."
        )
    return (
        f"When it says {percent(said)} (on average of the {count:,} test samples it is surest of), it is right "
        f"{percent(right)} of the time; when it says {percent(less)} (of the other {rest:,}), {percent(hits)}."
    )


def _together(bins: tuple[CalibrationBin, ...]) -> tuple[float, float, int]:
    """Mean confidence, share right and samples of some bins."""
    count = sum(one.count for one in bins)
    weight = max(count, 1)
    return sum(b.count * b.confidence for b in bins) / weight, sum(b.count * b.right for b in bins) / weight, count
