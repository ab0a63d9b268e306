"""Backward passes that reach no weight of any optimizer's, and parameters by themselves that none has."""

import sys
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.losses import nodes_under
from trainwell.capture.source import is_own, user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import AimlessSeen, StraySeen

PASSES = 2
"""Of each line, whose weights are noted: further ones reach the same."""


NUMBERS = 64
"""Of each weight, that are kept."""


class Aims(Ear):
    """Fills `aimless` and `strays`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.passes: dict[Where, int] = {}
        self.reached: dict[Where, dict[int, _Weight]] = {}
        self.names: dict[int, str] = {}
        self.modules: set[int] = set()
        self.owned: set[int] = set()

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        where = user_line()
        self.passes[where] = self.passes.get(where, 0) + 1
        if self.passes[where] > PASSES:
            return
        mine = self.reached.setdefault(where, {})
        for root in roots:
            for node in nodes_under(root.grad_fn) if root.grad_fn is not None else ():
                weight = getattr(node, "variable", None)
                if weight is not None and id(weight) not in mine:
                    mine[id(weight)] = _Weight(weight)
                    if isinstance(weight, nn.Parameter) and self.passes[where] == 1:
                        self.names.setdefault(id(weight), _named(weight, sys._getframe(1)))

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) == 1 and id(module) not in self.modules:
            self.modules.add(id(module))
            self.owned.update(map(id, module.parameters()))

    def seen(self) -> dict[str, Any]:
        given = {id(each) for each in self.scene.parameters()}
        return {
            "strays": tuple(
                StraySeen(name=self.names[key], weights=each.weight.numel(), passes=self.passes[where], where=where)
                for where, mine in self.reached.items()
                if any(key in given for key in mine)
                for key, each in mine.items()
                if self.names.get(key) and key not in given and key not in self.owned and not each.has_moved()
            ),
            "aimless": tuple(
                AimlessSeen(
                    passes=self.passes[where],
                    tensors=len(mine),
                    weights=sum(each.weight.numel() for each in mine.values()),
                    where=where,
                )
                for where, mine in self.reached.items()
                # What a script moves by hand, or fills from elsewhere, has its use.
                if mine and not any(key in given or each.has_moved() for key, each in mine.items())
            ),
        }


class _Weight:
    """A tensor that a gradient came to, and as little of it as tells whether it moves."""

    def __init__(self, weight: Tensor) -> None:
        self.weight, self._version, self._first = weight, weight._version, _few(weight)

    def has_moved(self) -> bool:
        """Since then: in place, or, past torch's count of that, as `weight.data` moves it."""
        return self.weight._version != self._version or not torch.equal(_few(self.weight), self._first)


def _named(weight: Tensor, frame: FrameType | None) -> str:
    """The variable, or the attribute of one, that a parameter is in the user's running functions; empty: none."""
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            for name, value in (*frame.f_locals.items(), *frame.f_globals.items()):
                if value is weight:
                    return name
                if not isinstance(value, nn.Module) and hasattr(value, "__dict__"):
                    found = next((key for key, each in vars(value).items() if each is weight), None)
                    if found is not None:
                        return f"{name}.{found}"
        frame = frame.f_back
    return ""


def _few(weight: Tensor) -> Tensor:
    return weight.detach().reshape(-1)[:NUMBERS].clone()
