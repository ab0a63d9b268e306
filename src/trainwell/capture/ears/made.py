"""Which lines made the optimizer, and the weights of each layer as they were before the first step."""

import sys
import weakref
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene, Telling
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.networks import MadeSeen

MODULES = str(Path(nn.modules.__file__).parent)
"""Of torch: who draws from there draws a layer's own start."""
BETWEEN = ("trainwell.", "torch.nn.init", "torch.overrides")
"""Modules whose frames lie between who draws and who is told of it."""
DRAWING = tuple(name for name in dir(nn.init) if name.endswith("_") and not name.startswith("_"))
"""Functions of `nn.init` that write into a tensor."""


class Made(Ear):
    """Fills `made` and `optimizer_at`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.drawn: dict[int, tuple[weakref.ref[Tensor], Where, bool]] = {}
        self.optimizers: dict[int, tuple[weakref.ref[Optimizer], Where]] = {}
        self.layers: dict[str, tuple[Where, bool]] = {}
        self.optimizer_at = Where()
        self._known: set[int] = set()

    def tellings(self) -> Iterable[Telling]:
        for name in DRAWING:
            yield Telling(nn.init, name, before=self._drawn)
        yield Telling(Optimizer, "__init__", after=self._made)

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if self.scene.taken or id(module) in self._known:
            return
        self._known.add(id(module))
        name = self.scene.names.get(id(module))
        for each in module._parameters.values():
            held = self.drawn.get(id(each))
            # A bias is drawn last, and says less.
            if name is not None and held is not None and held[0]() is each and name not in self.layers:
                self.layers[name] = held[1:]

    def stepping(self, optimizer: Optimizer) -> None:
        held = self.optimizers.get(id(optimizer))
        if self.scene.taken == 0 and held is not None and held[0]() is optimizer:
            self.optimizer_at = held[1]

    def seen(self) -> dict[str, Any]:
        return {
            "made": tuple(
                MadeSeen(layer=name, where=where, by_torch=by_torch) for name, (where, by_torch) in self.layers.items()
            ),
            "optimizer_at": self.optimizer_at,
        }

    def _drawn(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        tensor = args[0] if args else options.get("tensor")
        where = user_line()
        if isinstance(tensor, Tensor) and where.line is not None:
            self.drawn[id(tensor)] = (weakref.ref(tensor), where, _is_by_torch())

    def _made(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        self.optimizers[id(args[0])] = (weakref.ref(args[0]), user_line())


def _is_by_torch() -> bool:
    """Whether a layer draws its own weights, as it is made."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(BETWEEN):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(MODULES)
