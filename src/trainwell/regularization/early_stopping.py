"""Early stopping: training ends when the validation metric has not improved for a while."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trainwell.core.errors import SettingError


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What has been seen so far: plain numbers, so that a training can be continued with it."""

    best: float | None = None
    best_index: int | None = None
    seen: int = 0
    waited: int = 0
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    r"""Stop after `patience` evaluations in a row without an improvement.

    .. math:: m > m_\text{best} + \delta \quad (\text{smaller is better: } m < m_\text{best} - \delta)

    delta is absolute, in the metric's units: a relative one, m > m_best (1 + t), takes a worse negative score for a
    better one. NaN and Inf are never an improvement. Small gains add up: they are measured from the last improvement.

    Args:
        larger_is_better: True for an accuracy, False for a loss.
        patience: evaluations to wait, >= 1.
        min_improvement: delta, >= 0.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> stopping = EarlyStopping(larger_is_better=True, patience=2)
        >>> stopping.watch([-3.0, -2.0, -2.1, -2.2]).stopped
        True

    Source: notes, Regularization (validation worse than training); Prechelt 1998.
    """

    larger_is_better: bool
    patience: int
    min_improvement: float = 0.0

    def __post_init__(self) -> None:
        faults = []
        if self.patience < 1:
            faults.append(f"`patience >= 1` must hold, but got {self.patience}. Give the evaluations to wait.")
        if not (math.isfinite(self.min_improvement) and self.min_improvement >= 0):
            faults.append(
                f"`min_improvement >= 0` must hold, but got {self.min_improvement}. Give it in the metric's "
                "units, 0 for any gain."
            )
        if faults:
            raise SettingError(" ".join(faults))

    def observe(self, before: Watched, metric: float) -> Watched:
        """What is known after one more evaluation.

        Args:
            before: what was known; `Watched()` at the start.
            metric: the validation metric.
        Returns:
            What is known now; `stopped` says whether to stop.
        """
        if self.improves(metric, before.best):
            return Watched(best=metric, best_index=before.seen, seen=before.seen + 1, waited=0, stopped=before.stopped)
        waited = before.waited + 1
        return Watched(
            best=before.best,
            best_index=before.best_index,
            seen=before.seen + 1,
            waited=waited,
            stopped=before.stopped or waited >= self.patience,
        )

    def improves(self, metric: float, best: float | None) -> bool:
        """Whether a metric is better than the best so far, by more than `min_improvement`."""
        if not math.isfinite(metric):
            return False
        if best is None:
            return True
        gain = metric - best if self.larger_is_better else best - metric
        return gain > self.min_improvement

    def watch(self, metrics: Iterable[float]) -> Watched:
        """What is known after several evaluations, up to the one that stops.

        Args:
            metrics: validation metrics in order.
        Returns:
            What is known; `seen` is how many were looked at.
        """
        known = Watched()
        for metric in metrics:
            known = self.observe(known, metric)
            if known.stopped:
                break
        return known
