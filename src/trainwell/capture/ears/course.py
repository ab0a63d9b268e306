"""How far each step moves each layer, and along which gradient."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.core.records.seen.networks import LayerCourse

MOST_STEPS = 200
"""That are kept of each layer: a picture has room for no more."""


TOGETHER = 4_000_000
"""Numbers that are copied at once, at least: 16 MB."""


class Course(Ear):
    """Fills `course`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.weights: dict[int, tuple[str, int, Tensor]] = {}
        self.before: dict[int, Tensor] = {}
        self.gradients: dict[int, list[float]] = {}
        self.updates: dict[int, list[float]] = {}

    def entered(self, module: nn.Module, inputs: Any) -> None:
        own = [each for each in module._parameters.values() if each is not None and each.requires_grad]
        name = self.scene.names.get(id(module))
        if own and name is not None and self.scene.wants_gradients:
            largest = max(own, key=Tensor.numel)
            self.weights.setdefault(id(largest), (name, self.scene.network, largest))

    def stepping(self, optimizer: Optimizer) -> None:
        if self.scene.taken >= MOST_STEPS:
            return
        mine = self._of(optimizer)
        self.before.update((key, weight.detach().clone()) for key, weight in mine)
        dense = [(key, weight.grad) for key, weight in mine if weight.grad is not None and not weight.grad.is_sparse]
        lengths = dict(zip((key for key, _ in dense), _lengths([gradient for _, gradient in dense]), strict=True))
        for key, _ in mine:
            self._put(self.gradients, key, lengths.get(key, math.nan))

    def stepped(self, optimizer: Optimizer) -> None:
        mine = [(key, weight.detach()) for key, weight in self._of(optimizer) if key in self.before]
        before = [self.before.pop(key) for key, _ in mine]
        moved = _lengths([weight for _, weight in mine], before)
        for (key, _), move, size in zip(mine, moved, _lengths(before), strict=True):
            self._put(self.updates, key, move / size if size > 0 else math.nan)

    def seen(self) -> dict[str, Any]:
        steps = min(self.scene.taken, MOST_STEPS)
        nothing = (math.nan,) * steps
        return {
            "course": tuple(
                LayerCourse(
                    name=name,
                    update=(*self.updates.get(key, ()), *nothing)[:steps],
                    gradient=(*self.gradients.get(key, ()), *nothing)[:steps],
                    network=network,
                )
                for key, (name, network, _) in self.weights.items()
            )
        }

    def _of(self, optimizer: Optimizer) -> list[tuple[int, Tensor]]:
        given = {id(each) for group in optimizer.param_groups for each in group["params"]}
        return [(key, weight) for key, (_, _, weight) in self.weights.items() if key in given]

    def _put(self, lists: dict[int, list[float]], key: int, value: float) -> None:
        """At the step that is being taken: steps of other optimizers leave holes."""
        mine = lists.setdefault(key, [])
        step = self.scene.taken - (lists is self.updates)
        mine.extend([math.nan] * (step - len(mine)))
        mine.append(value)


def _lengths(values: Sequence[Tensor], before: Sequence[Tensor] | None = None) -> list[float]:
    """Of each, or of what it differs by, some in one call: of hundreds of layers, the calls cost more than the sums."""
    found: list[float] = []
    some: list[Tensor] = []
    for place, value in enumerate(values):
        some.append((value if before is None else value - before[place]).detach().float())
        if place + 1 == len(values) or sum(each.numel() for each in some) > TOGETHER:
            found += [float(each) for each in torch._foreach_norm(some)]
            some = []
    return found
