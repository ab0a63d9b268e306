"""In a training of several processes: are their weights still the same?"""

import contextlib
import json
import math
from typing import Any

import torch
from torch import distributed
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.core.records.seen.updates import RanksSeen

EVERY = 100
"""Steps between two comparisons, after those in the beginning."""
EARLY = (1, 10, 30)


class Ranks(Ear):
    """Fills `ranks`. Sums are left in the store of the process group and read a comparison later: nobody waits."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.left: list[int] = []
        self.compared: list[RanksSeen] = []

    def stepped(self, optimizer: Optimizer) -> None:
        step = self.scene.taken
        if (step not in EARLY and step % EVERY != 1) or not _several():
            return
        store: Any = distributed.distributed_c10d._get_default_store()
        rank, world = distributed.get_rank(), distributed.get_world_size()
        if self.left:
            self._compare(store, self.left[-1], world)
        store.set(_key(step, rank), json.dumps(self._sums()))
        self.left.append(step)

    def seen(self) -> dict[str, Any]:
        return {"ranks": tuple(self.compared)}

    def leave(self) -> None:
        """The last one, where the others have come as far."""
        if self.left and _several() and (not self.compared or self.compared[-1].step < self.left[-1]):
            with contextlib.suppress(Exception):  # another rank may have ended, and its store with it
                store: Any = distributed.distributed_c10d._get_default_store()
                self._compare(store, self.left[-1], distributed.get_world_size())

    def _compare(self, store: Any, step: int, world: int) -> None:
        keys = [_key(step, rank) for rank in range(world)]
        if not store.check(keys):
            return
        sums = [json.loads(store.get(key)) for key in keys]
        if any(each is None for each in sums) or len({len(each) for each in sums}) > 1:
            return
        apart = [
            max(values) - min(values) if all(map(math.isfinite, values)) else 0.0 for values in zip(*sums, strict=True)
        ]
        sizes = [max(map(abs, values)) for values in zip(*sums, strict=True)]
        worst = max((gap / size for gap, size in zip(apart, sizes, strict=True) if size > 0), default=0.0)
        self.compared.append(RanksSeen(step=step, ranks=world, apart=worst))

    def _sums(self) -> list[float] | None:
        """Sum of squares of each parameter; None where each process holds another part of them."""
        found = []
        for parameter in self.scene.parameters():
            if type(parameter).__name__ == "DTensor" or hasattr(parameter, "_local_shard"):
                return None
            found.append(torch.linalg.vector_norm(parameter.detach().double()).item())
        return found


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _key(step: int, rank: int) -> str:
    return f"trainwell/{step}/{rank}"
