"""Backward passes that reach no weight of any optimizer's, and parameters by themselves that none has."""

import gc
import sys
from collections.abc import Iterable, Iterator
from types import FrameType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene, Telling
from trainwell.capture.losses import nodes_under
from trainwell.capture.source import is_own, user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import AimlessSeen, StraySeen

PASSES = 2
"""Of each line, whose weights are noted: further ones reach the same."""
NUMBERS = 64
"""Of each weight, at equal distances, that are kept."""


class Aims(Ear):
    """Fills `aimless` and `strays`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.passes: dict[Where, int] = {}
        self.reached: dict[Where, dict[int, _Weight]] = {}
        self.names: dict[int, str] = {}
        self.modules: set[int] = set()
        self.owned: set[int] = set()
        self.given: set[int] = set()

    def tellings(self) -> Iterable[Telling]:
        yield Telling(Optimizer, "add_param_group", after=self._given)

    def _given(self, args: tuple[Any, ...], _options: dict[str, Any], _found: Any) -> None:
        self.given.update(map(id, args[0].param_groups[-1]["params"]))

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        where = user_line()
        missing: dict[int, Tensor] = {}
        self.passes[where] = self.passes.get(where, 0) + 1
        if self.passes[where] > PASSES:
            return
        mine = self.reached.setdefault(where, {})
        for root in roots:
            for node in nodes_under(root.grad_fn) if root.grad_fn is not None else ():
                weight = getattr(node, "variable", None)
                if weight is not None and id(weight) not in mine:
                    mine[id(weight)] = _Weight(weight)
                    if isinstance(weight, nn.Parameter) and id(weight) not in self.owned:
                        missing[id(weight)] = weight
        if missing and self.passes[where] == 1:
            self.names.update(_named(missing, sys._getframe(1)))

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) == 1 and id(module) not in self.modules:
            self.modules.add(id(module))
            self.owned.update(map(id, module.parameters()))

    def seen(self) -> dict[str, Any]:
        given = self.given | {id(each) for each in self.scene.parameters()}
        if not self._suspects(given):
            return {}
        # One that was made before and takes its first step later has them too.
        given |= {id(each) for made in _optimizers() for group in made.param_groups for each in group["params"]}
        aimless, strays = [], []
        for where, mine in self._suspects(given).items():
            if not any(key in given for key in mine):
                # What is not a parameter may be an input that is looked for, as an attack does.
                if all(isinstance(each.weight, nn.Parameter) for each in mine.values()):
                    weights = sum(each.weight.numel() for each in mine.values())
                    aimless.append(
                        AimlessSeen(passes=self.passes[where], tensors=len(mine), weights=weights, where=where)
                    )
                continue
            strays += [
                StraySeen(name=self.names[key], weights=each.weight.numel(), passes=self.passes[where], where=where)
                for key, each in mine.items()
                if self._is_stray(key, given) and each.is_left()
            ]
        return {"aimless": tuple(aimless), "strays": tuple(strays)}

    def _suspects(self, given: set[int]) -> dict[Where, dict[int, "_Weight"]]:
        """Lines that reach nothing that is given, and does not move otherwise; and those that reach a stray."""
        return {
            where: mine
            for where, mine in self.reached.items()
            if mine
            and (
                any(self._is_stray(key, given) for key in mine)
                or not any(key in given or each.has_moved() for key, each in mine.items())
            )
        }

    def _is_stray(self, key: int, given: set[int]) -> bool:
        return key in self.names and key not in given and key not in self.owned


class _Weight:
    """A tensor that a gradient came to, and as little of it as tells whether it moves."""

    def __init__(self, weight: Tensor) -> None:
        self.weight, self._version, self._first = weight, weight._version, _few(weight)

    def has_moved(self) -> bool:
        """Since then: in place, or, past torch's count of that, as `weight.data` moves it."""
        return self.weight._version != self._version or not torch.equal(_few(self.weight), self._first)

    def is_left(self) -> bool:
        """Whether it has a gradient that nobody has cleared or used: who moves it by hand does both."""
        gradient = self.weight.grad
        return gradient is not None and not self.has_moved() and bool(gradient.detach().any())


def _optimizers() -> Iterator[Optimizer]:
    """All that live."""
    return (each for each in gc.get_objects() if issubclass(type(each), Optimizer))


def _named(weights: dict[int, Tensor], frame: FrameType | None) -> dict[int, str]:
    """The variables, or the attributes of such, that parameters are in the user's running functions."""
    found: dict[int, str] = {}
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            for name, value in (*frame.f_locals.items(), *frame.f_globals.items()):
                if id(value) in weights:
                    found.setdefault(id(value), name)
                elif not isinstance(value, nn.Module | ModuleType | type) and hasattr(value, "__dict__"):
                    for key, each in vars(value).items():
                        if id(each) in weights:
                            found.setdefault(id(each), f"{name}.{key}")
        frame = frame.f_back
    return found


def _few(weight: Tensor) -> Tensor:
    flat = weight.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // NUMBERS)].clone()
