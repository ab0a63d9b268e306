"""Sigmoids and tangents in the first step, wherever they are called: how many of their outputs are saturated."""

from typing import Any

from torch import Tensor

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.networks import SquashSeen
from trainwell.training.observe import saturated_share

NAMES = ("tanh", "sigmoid")
"""Functions and methods, none that writes into what it is given: a fork may not change those."""


class Squashes(Ear):
    """Fills `squashes`."""

    functions = frozenset(NAMES)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.lines: dict[tuple[str, Where], list[float]] = {}

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if self.scene.taken or not self.scene.inside or not isinstance(found, Tensor) or not found.requires_grad:
            return
        counts = self.lines.setdefault((name, user_line()), [0, 0.0])
        counts[0] += found.numel()
        counts[1] += found.numel() * saturated_share(found.detach().float(), name)

    def seen(self) -> dict[str, Any]:
        return {
            "squashes": tuple(
                SquashSeen(activation=kind, numbers=int(numbers), saturated=beyond / numbers, where=where)
                for (kind, where), (numbers, beyond) in self.lines.items()
                if numbers
            )
        }
