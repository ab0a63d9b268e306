"""Weight decay: which weights an optimizer makes smaller at each step, and by how much."""

from typing import Any

from torch import Tensor
from torch.optim import Adadelta, Adagrad, Adam, Adamax, NAdam, Optimizer, RAdam, RMSprop

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import DecaySeen

ADAPTIVE = (Adadelta, Adagrad, Adam, Adamax, NAdam, RAdam, RMSprop)
"""Optimizers that divide by the size of a gradient which has the decay in it, unless they are told otherwise."""


class Decay(Ear):
    """Fills `decay`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.decayed: dict[int, _Decayed] = {}

    def stepping(self, optimizer: Optimizer) -> None:
        decays = [_number(group.get("weight_decay", 0.0)) for group in optimizer.param_groups]
        if not any(decays):
            return
        mine = self.decayed.get(id(optimizer))
        if mine is None:
            mine = self.decayed[id(optimizer)] = _Decayed(optimizer, where=user_line())
        mine.decay = max(mine.decay, *decays)
        shares = [
            decay * _number(group.get("lr", 0.0)) for decay, group in zip(decays, optimizer.param_groups, strict=True)
        ]
        mine.share = max(mine.share, *shares)

    def seen(self) -> dict[str, Any]:
        return {"decay": tuple(each.seen() for each in self.decayed.values())}


class _Decayed:
    """What an optimizer decays."""

    def __init__(self, optimizer: Optimizer, *, where: Where) -> None:
        self.optimizer, self.where = optimizer, where
        self.decay, self.share = 0.0, 0.0

    def seen(self) -> DecaySeen:
        """How many, and how much."""
        groups = [group for group in self.optimizer.param_groups if _number(group.get("weight_decay", 0.0)) > 0]
        given = [each for group in groups for each in group["params"] if each.requires_grad]
        return DecaySeen(
            parameters=len(given),
            vectors=sum(each.ndim <= 1 for each in given),
            decay=self.decay,
            share=self.share,
            adaptive=isinstance(self.optimizer, ADAPTIVE)
            and not any(group.get("decoupled_weight_decay") for group in groups),
            where=self.where,
        )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float | Tensor) else 0.0
