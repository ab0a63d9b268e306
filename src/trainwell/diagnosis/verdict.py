"""The run's headline: what was reached, and what beats it where something does."""

import math
from dataclasses import dataclass

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import Yardstick
from trainwell.core.records.outcome import Outcome


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
    where it lies above by more than half the interval's width, else as no worse.

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
    said = _said(outcome.value, data.task)
    span = f"95% interval {_said(low, data.task)} to {_said(high, data.task)}, {outcome.n:,} test samples"
    learnable = math.isfinite(low) and low > constant
    margin = (high - low) / 2 if math.isfinite(high - low) else math.inf
    beaten = best is not None and best.test is not None and best.test > max(outcome.value + margin, constant)
    if not learnable and not beaten:
        return Verdict(
            headline=(
                f"Nothing here can be learnt that holds on new samples: {said} on the test part ({span}), and always "
                f"giving the same answer reaches {_said(constant, data.task)}."
            ),
            learnable=False,
        )
    if best is not None and best.test is not None and best.test > outcome.value:
        reached = f"it reaches {_said(best.test, data.task)}, the network {said} ({span})"
        if beaten:
            return Verdict(headline=f"Use {best.name} instead: {reached}.", learnable=True)
        return Verdict(headline=f"{best.name} does as well: {reached}.", learnable=True)
    beside = f"; {best.name} reaches {_said(best.test or 0.0, data.task)}" if best is not None else ""
    return Verdict(headline=f"{said} on the test part ({span}){beside}.", learnable=True)


def _said(metric: float, task: str) -> str:
    return f"{100 * metric:.1f}%" if task == "classification" else f"R² {metric:.3f}"
