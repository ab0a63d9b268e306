"""Weights that a script takes from elsewhere before it trains them."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from trainwell.capture.ear import Ear, Scene, Telling
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.data import LoadedSeen


class Loading(Ear):
    """Fills `loaded`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.loaded: dict[int, int] = {}
        self.where = Where()
        self._other: list[str] = []

    def tellings(self) -> Iterable[Telling]:
        return (Telling(nn.Module, "load_state_dict", before=self._before, after=self._after),)

    def seen(self) -> dict[str, Any]:
        given = {id(each) for each in self.scene.parameters()}
        weights = sum(count for key, count in self.loaded.items() if key in given)
        return {"loaded": LoadedSeen(weights=weights, where=self.where) if weights else None}

    def _before(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Which weights will be others: a network's own first weights may be put back into it."""
        self._other = []
        state = args[1] if len(args) > 1 else options.get("state_dict", {})
        if self.scene.taken:
            return
        for name, weight in args[0].named_parameters():
            value = state.get(name)
            if not isinstance(value, Tensor) or is_lazy(weight) or value.shape != weight.shape:
                continue
            if not torch.equal(value.detach().to(weight), weight.detach()):
                self._other.append(name)

    def _after(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        weights = dict(args[0].named_parameters())
        for name in self._other:
            self.loaded[id(weights[name])] = weights[name].numel()
        if self._other and self.where.line is None:
            self.where = user_line()
