"""What optimizers are given: is the gradient of the step before still in it?"""

import functools
import statistics
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import GradientsSeen

FOLLOWED = 4
"""Parameters of an optimizer whose gradients are followed: its smallest, since all are treated alike."""
ALIKE = 1e-3
"""Two gradients are the same where what one leaves of the other is less than this share of it: float32's rounding over
thousands of sums, and bfloat16's of one."""
APART = 0.05
"""Two gradients differ where what one leaves of the other is more than this share of it."""


class Gradients(Ear):
    """Fills `gradients`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.followed: dict[int, _Followed] = {}

    def stepping(self, optimizer: Optimizer) -> None:
        if id(optimizer) not in self.followed:
            self.followed[id(optimizer)] = _Followed(optimizer, where=user_line())
        self.followed[id(optimizer)].follow()

    def stepped(self, optimizer: Optimizer) -> None:
        self.followed[id(optimizer)].compare()

    def seen(self) -> dict[str, Any]:
        return {"gradients": tuple(each.seen() for each in self.followed.values())}

    def leave(self) -> None:
        for followed in self.followed.values():
            followed.leave()


class _Followed:
    """Some parameters of an optimizer."""

    def __init__(self, optimizer: Optimizer, *, where: Where) -> None:
        given = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.parameters = sorted((each for each in given if each.requires_grad), key=Tensor.numel)[:FOLLOWED]
        self.where = where
        self.before: list[Tensor | None] = []
        self.incoming: list[Tensor | None] = []
        self.shares: list[float] = []
        self.told = 0
        self.handles: list[Any] = []

    def follow(self) -> None:
        """From now on, if not yet: of what came before nothing is known."""
        if self.handles:
            return
        self.before, self.incoming = [None] * len(self.parameters), [None] * len(self.parameters)
        self.handles = [
            each.register_hook(functools.partial(self._incoming, place)) for place, each in enumerate(self.parameters)
        ]

    def _incoming(self, place: int, gradient: Tensor) -> None:
        if gradient.is_sparse:
            return
        before = self.incoming[place]
        self.incoming[place] = gradient.detach().clone() if before is None else before + gradient.detach()

    def compare(self) -> None:
        """After a step: what it was given, beside what came in since the step before."""
        found = [
            _left_over(parameter.grad, old=old, new=new)
            for parameter, old, new in zip(self.parameters, self.before, self.incoming, strict=True)
        ]
        told = [share for share in found if share is not None]
        if told:
            self.told += 1
            if all(told):
                self.shares.append(statistics.median(told))
        for place, parameter in enumerate(self.parameters):
            grad = parameter.grad
            self.before[place] = None if grad is None or grad.is_sparse else grad.detach().clone()
            self.incoming[place] = None

    def seen(self) -> GradientsSeen:
        """How often it was."""
        share = statistics.median(self.shares) if self.shares else 0.0
        return GradientsSeen(steps=self.told, kept=len(self.shares), share=share, where=self.where)

    def leave(self) -> None:
        """Take the hooks off the parameters."""
        for handle in self.handles:
            handle.remove()
        self.handles = []


def _left_over(given: Tensor | None, *, old: Tensor | None, new: Tensor | None) -> float | None:
    """Share of a gradient that the step before left in it; 0 where it was cleared, None where it cannot be told.

    Up to a factor, since clipping and unscaling have changed its length.
    """
    if given is None or old is None or new is None or given.is_sparse or old.norm() == 0 or new.norm() == 0:
        return None
    from_new, from_both = _rest(given, new), _rest(given, old + new)
    if from_both < ALIKE and from_new > APART:
        return float(old.norm() / (old + new).norm().clamp(min=1e-30))
    return 0.0 if from_new < ALIKE and from_both > APART else None


def _rest(given: Tensor, other: Tensor) -> float:
    """What is left of a gradient beside the nearest multiple of another, as a share of it."""
    flat, along = given.detach().double().flatten(), other.double().flatten()
    along = along / along.norm().clamp(min=1e-300)
    return float((flat - (flat @ along) * along).norm() / flat.norm().clamp(min=1e-300))
