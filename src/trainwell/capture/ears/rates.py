"""The learning rate of each step."""

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.core.records.seen.updates import RatesSeen


class Rates(Ear):
    """Fills `rates`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.rates: dict[int, tuple[str, list[tuple[float, ...]]]] = {}

    def stepping(self, optimizer: Optimizer) -> None:
        _, mine = self.rates.setdefault(id(optimizer), (type(optimizer).__name__, []))
        mine.append(tuple(rate_of(group) for group in optimizer.param_groups))

    def seen(self) -> dict[str, Any]:
        return {"rates": tuple(_seen(kind, steps) for kind, steps in self.rates.values())}


def rate_of(group: dict[str, Any]) -> float:
    """The rate of a group of an optimizer; NaN where it has none.

    Example:
        >>> rate_of({"lr": 0.1})
        0.1
    """
    rate = group.get("lr")
    return float(rate) if isinstance(rate, int | float | Tensor) else math.nan


def _seen(kind: str, steps: list[tuple[float, ...]]) -> RatesSeen:
    # Groups that are added in mid-course were not there before.
    groups = [
        tuple(each[place] if place < len(each) else math.nan for each in steps) for place in range(len(steps[-1]))
    ]
    return RatesSeen(kind=kind, groups=tuple(dict.fromkeys(groups)))
