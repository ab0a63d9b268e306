"""The run's headline: what was reached, and what beats it where something does."""

import math
from dataclasses import dataclass

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import Yardstick
from trainwell.core.records.outcome import Outcome
from trainwell.diagnosis.wording import counted

WIDE = 0.3
"""Width of a 95% interval from which on the test part says little: 15 points either way do not tell a network that
errs on three samples in ten from one that errs half as often."""
FEW = 100
"""Test samples below which a wide interval is their fault: with so many, Wilson's is never wider than 0.2, and R²'s is
wide only where a few extreme samples decide it."""


@dataclass(frozen=True)
class Verdict:
    """What is said first.

    Attributes:
        headline: one sentence.
        learnable: whether the network holds on data it was not trained on.
    """

    headline: str
    learnable: bool


def verdict(outcome: Outcome, yardsticks: tuple[Yardstick, ...], data: DataRecord) -> Verdict:
    """What a run comes to.

    The data counts as learnt where the lower end of the test metric's interval lies above the best constant's test
    metric. Where a yardstick's test metric is higher, that is said first: as better
    where it lies above by more than half the interval's width, else as no worse. Before all of this it is said where
    the test part is too small to say much.

    Args:
        outcome: of the network.
        yardsticks: the simple models; the first is the best constant.
        data: as read.
    """
    constant = yardsticks[0].test if yardsticks and yardsticks[0].test is not None else 0.0
    best = max(
        (each for each in yardsticks[1:] if each.test is not None), key=lambda each: each.test or 0.0, default=None
    )
    low, high = outcome.interval
    learnable = math.isfinite(low) and low > constant
    margin = (high - low) / 2 if math.isfinite(high - low) else math.inf
    ahead = best is not None and best.test is not None and best.test > outcome.value
    beaten = best is not None and best.test is not None and best.test > max(outcome.value + margin, constant)
    said = _said(outcome.value, data.task)
    span = "95% interval " + " to ".join(_said(end, data.task).removeprefix("R² ") for end in (low, high))
    samples = counted(outcome.n, "test sample")
    reaches = f"{best.name} reaches {_said(best.test or 0.0, data.task)}" if best is not None else ""
    beside = f"; {reaches}" if best is not None else ""
    few = f"Only {samples}, so this says little:"
    if says_little(outcome):
        if not math.isfinite(margin):
            headline = f"Only {samples}, so nothing can be said: R² needs samples that differ."
        elif best is not None and beaten:
            headline = f"{few} {reaches}, the network {said} ({span}); use {best.name} until there are more."
        elif not learnable:
            headline = (
                f"{few} the network reaches {said} ({span}), always giving the same answer "
                f"{_said(constant, data.task)}; whether anything was learnt stays open."
            )
        elif ahead:
            headline = f"{few} {reaches}, the network {said} ({span})."
        else:
            headline = f"{few} the network reaches {said} ({span}){beside}."
    elif best is not None and ahead and (learnable or beaten):
        start = f"Use {best.name} instead" if beaten else f"{best.name} does as well"
        reached = f"it reaches {_said(best.test or 0.0, data.task)}, the network {said} ({span}, {samples})"
        headline = f"{start}: {reached}."
    elif not learnable:
        headline = (
            f"Nothing here can be learnt that holds on new samples: {said} on the test part ({span}, {samples}), and "
            f"always giving the same answer reaches {_said(constant, data.task)}."
        )
    else:
        headline = f"{said} on the test part ({span}, {samples}){beside}."
    return Verdict(headline=headline, learnable=learnable or beaten)


def says_little(outcome: Outcome) -> bool:
    """Whether the test part is too small for its figure to mean much.

    Args:
        outcome: of the network.
    Example:
        >>> says_little(Outcome(metric="accuracy", value=1.0, interval=(0.51, 1.0), n=4, loss=0.1))
        True
    """
    low, high = outcome.interval
    # Without an interval nothing is known of the figure.
    return outcome.n < FEW and not high - low <= WIDE


def _said(metric: float, task: str) -> str:
    return f"{100 * metric:.1f}%" if task == "classification" else f"R² {metric:.3f}"
