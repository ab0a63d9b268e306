"""The number that each backward pass begins at, and the loss functions under it."""

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.losses import losses_of
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.steps import LossSeen


class Values(Ear):
    """Fills `values`, `losses` and `not_finite_at`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.values: list[float] = []
        self.losses: dict[tuple[object, ...], LossSeen] = {}
        self.not_finite_at = Where()
        self._value = math.nan

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        for root in roots:
            if root.grad_fn is None:
                continue
            if root.numel() == 1:
                self._value = root.detach().float().item()
                if not math.isfinite(self._value) and self.not_finite_at.line is None:
                    self.not_finite_at = user_line()
            for loss in losses_of(root.grad_fn, step=self.scene.taken):
                key = (loss.where, loss.function, loss.activation, loss.compared == loss.outputs)
                self.losses.setdefault(key, loss)

    def stepped(self, optimizer: Optimizer) -> None:
        self.values.append(self._value)

    def seen(self) -> dict[str, Any]:
        return {
            "values": tuple(self.values),
            "losses": tuple(self.losses.values()),
            "not_finite_at": self.not_finite_at,
        }
