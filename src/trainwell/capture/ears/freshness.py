"""Which samples of each step were never trained on before: their loss is that of held-out data."""

import hashlib
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.stored import is_dense, octets

MOST_STEPS = 400
"""Steps whose samples are remembered."""


class Freshness(Ear):
    """Fills `samples` and `fresh`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.seen_before: set[bytes] = set()
        self.samples: list[int] = []
        self.fresh: list[int] = []
        self._now: list[bytes] = []

    def passed(self, call: Passed) -> None:
        if not call.outermost or not call.with_gradients or self.scene.taken >= MOST_STEPS:
            return
        given = next((each for each in call.inputs if isinstance(each, Tensor) and each.ndim > 1), None)
        if given is None:
            given = next((each for each in call.options.values() if isinstance(each, Tensor) and each.ndim > 1), None)
        if given is None or not is_dense(given) or torch._C._functorch.is_functorch_wrapped_tensor(given):
            return
        rows = octets(given).reshape(len(given), given.element_size() * given.shape[1:].numel())
        self._now += [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]

    def stepped(self, optimizer: Optimizer) -> None:
        if self.scene.taken > MOST_STEPS:
            return
        self.samples.append(len(self._now))
        self.fresh.append(sum(each not in self.seen_before for each in self._now))
        self.seen_before.update(self._now)
        self._now = []

    def seen(self) -> dict[str, Any]:
        return {"samples": tuple(self.samples), "fresh": tuple(self.fresh)}
