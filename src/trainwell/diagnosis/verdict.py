"""The run's headline: what was reached, and what beats it where something does."""

import math
from dataclasses import dataclass

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import HeadGrid, Yardstick
from trainwell.core.records.outcome import Outcome
from trainwell.diagnosis.wording import counted

WIDE = 0.3
"""Width of a 95% interval from which on the test part says little: 15 points either way do not tell a network that
errs on three samples in ten from one that errs half as often."""
FEW = 100
"""Test samples below which a wide interval is their fault: with so many, Wilson's is never wider than 0.2, and R²'s is
wide only where a few extreme samples decide it."""
FEWEST_AHEAD = 6
"""Samples that another model must have right where the network is wrong: five of five are tossed one time in sixteen,
six of six one time in thirty-two (the exact sign test at 5%)."""


@dataclass(frozen=True)
class Verdict:
    """What is said first.

    Attributes:
        headline: one sentence.
        learnable: whether the network holds on data it was not trained on.
    """

    headline: str
    learnable: bool


def verdict(
    outcome: Outcome, yardsticks: tuple[Yardstick, ...], data: DataRecord, *, cross_validated: HeadGrid | None = None
) -> Verdict:
    """What a run comes to.

    The data counts as learnt where the lower end of the test metric's interval lies above the best constant's test
    metric. Where a yardstick's test metric is higher, that is said first: as better where it is `clearly_ahead`, else
    as no worse. Before all of this it is said where the test part is too small to say much; what a cross-validation
    says counts then too.

    Args:
        outcome: of the network.
        yardsticks: the simple models; the first is the best constant.
        data: as read.
        cross_validated: where the network is an output layer that was, what it reached.
    """
    constant = yardsticks[0].test if yardsticks and yardsticks[0].test is not None else 0.0
    best = max(
        (each for each in yardsticks[1:] if each.test is not None), key=lambda each: each.test or 0.0, default=None
    )
    low, high = outcome.interval
    learnable = math.isfinite(low) and low > constant
    crossed = ""
    if cross_validated is not None and says_little(outcome):
        ends = " to ".join(_said(end, data.task) for end in cross_validated.interval)
        reached = _said(cross_validated.points[0].accuracy, data.task)
        crossed = f"; cross-validated on {counted(cross_validated.samples, 'sample')} it reaches {reached} ({ends})"
        learnable = learnable or cross_validated.interval[0] > constant
    margin = (high - low) / 2 if math.isfinite(high - low) else math.inf
    ahead = best is not None and best.test is not None and best.test > outcome.value
    beaten = best is not None and best.test is not None and best.test > constant and clearly_ahead(best.test, outcome)
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
            headline = f"{few} {reaches}, the network {said} ({span}){crossed}; use {best.name} until there are more."
        elif not learnable:
            headline = (
                f"{few} the network reaches {said} ({span}), always giving the same answer "
                f"{_said(constant, data.task)}{crossed}; whether anything was learnt stays open."
            )
        elif ahead:
            headline = f"{few} {reaches}, the network {said} ({span}){crossed}."
        elif crossed:
            headline = f"{few} the network reaches {said} ({span}){crossed}."
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


def clearly_ahead(test: float, outcome: Outcome) -> bool:
    """Whether another model's test metric is above the network's beyond chance.

    It is where it lies above by more than half the interval's width, and a share of right answers by at least six
    samples too.

    Args:
        test: the other model's, on the same test part.
        outcome: of the network.
    Example:
        >>> network = Outcome(metric="accuracy", value=0.0, interval=(0.0, 0.66), n=2, loss=1.0)
        >>> clearly_ahead(1.0, network)
        False
    """
    low, high = outcome.interval
    if not test > outcome.value + (high - low) / 2:
        return False
    return outcome.metric != "accuracy" or round((test - outcome.value) * outcome.n) >= FEWEST_AHEAD


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
