"""The number that each backward pass begins at, and the loss functions under it."""

import math
from itertools import islice
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trainwell.capture.bounds import is_error
from trainwell.capture.ear import Ear, Scene
from trainwell.capture.losses import UNSIGNED, activated_twice, losses_of, nodes_under, operation
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.losses import LossSeen, TwiceSeen

NEAR = 200
"""Nodes under a loss among which its own operations are."""


class Values(Ear):
    """Fills `values`, `losses`, `is_error` and `not_finite_at`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.values: list[float] = []
        self.losses: dict[tuple[object, ...], LossSeen] = {}
        self.twice: tuple[TwiceSeen, ...] = ()
        self.not_finite_at = Where()
        self.likelihood, self.likelihood_at = 0, Where()
        self.is_error = False
        self._value = math.nan

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        for root in roots:
            if root.grad_fn is None:
                continue
            if root.numel() == 1:
                self._value = root.detach().float().item()
                if not self.scene.taken and not self.values and self._value < 0:
                    self.likelihood, self.likelihood_at = _classes_of(root.grad_fn), user_line()
                if not math.isfinite(self._value) and self.not_finite_at.line is None:
                    self.not_finite_at = user_line()
            if not self.values and not self.scene.taken:
                self.is_error = is_error(root.grad_fn)
                self.twice = self.twice or tuple(activated_twice(islice(nodes_under(root.grad_fn), NEAR)))
            for loss in losses_of(root.grad_fn, step=self.scene.taken):
                key = (loss.where, loss.function, loss.activation, loss.compared == loss.outputs)
                self.losses.setdefault(key, loss)

    def stepped(self, optimizer: Optimizer) -> None:
        self.values.append(self._value)

    def seen(self) -> dict[str, Any]:
        return {
            "values": tuple(self.values),
            "likelihood": self.likelihood,
            "likelihood_at": self.likelihood_at,
            "twice": self.twice,
            "losses": tuple(self.losses.values()),
            "is_error": self.is_error,
            "not_finite_at": self.not_finite_at,
        }


def _classes_of(root: Any) -> int:
    """Classes of the first logarithm of a softmax under a node; 0: there is none near."""
    for node in islice(nodes_under(root), NEAR):
        if operation(node).startswith("LogSoftmaxBackward"):
            return int(node._saved_result.shape[-1 if node._saved_dim >= UNSIGNED // 2 else node._saved_dim])
    return 0
