"""Does a column of the inputs hold the answer?"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data.dataloader import _BaseDataLoaderIter

from trainwell.capture.ear import Ear, Passed, Scene, Telling
from trainwell.capture.losses import compared_nodes, sides_of
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_dense
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.data import LeakSeen

SAMPLES = 256
"""That are looked at."""
FEWEST = 32
"""Of fewer, a column may be the answer by chance."""
MOST_FEATURES = 2000
ROUNDING = 1e-5
"""Of a standard deviation: what a column and a target that are scaled each in its own way differ by in float32."""


class Leaks(Ear):
    """Fills `leak`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.given: Tensor | None = None
        self.inputs: list[Tensor] = []
        self.targets: list[Tensor] = []
        self.fetched: list[Tensor] = []
        self.where = Where()
        self.samples = 0

    def tellings(self) -> Iterable[Telling]:
        return (Telling(_BaseDataLoaderIter, "__next__", after=self._fetched),)

    def _fetched(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        pair = isinstance(found, list | tuple) and len(found) == 2
        self.fetched = [found[1]] if pair and isinstance(found[1], Tensor) else []

    def passed(self, call: Passed) -> None:
        if not call.outermost or not call.with_gradients or self.samples >= SAMPLES:
            return
        if not any(True for _ in call.module.parameters()):
            # A loss is a module too.
            return
        given = next((each for each in call.inputs if isinstance(each, Tensor)), None)
        table = given is not None and given.is_floating_point() and given.ndim == 2 and is_dense(given)
        fits = table and given is not None and not given.requires_grad and 1 < given.shape[1] <= MOST_FEATURES
        self.given = given.detach() if fits and given is not None else None
        self.where = user_line() if self.given is not None else self.where

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        given, self.given = self.given, None
        if given is None or len(roots) != 1 or roots[0].grad_fn is None:
            return
        compared = [sides_of(node, function).targets for node, function in compared_nodes(roots[0].grad_fn)]
        for targets in (*compared, *self.fetched):
            if targets is None or targets.numel() != len(given) or not targets.ndim:
                continue
            self.inputs.append(given.double().cpu().clone())
            self.targets.append(targets.detach().double().cpu().flatten().clone())
            self.samples += len(given)
            return

    def seen(self) -> dict[str, Any]:
        if self.samples < FEWEST or len({each.shape[1] for each in self.inputs}) != 1:
            return {"leak": None}
        inputs, targets = torch.cat(self.inputs), torch.cat(self.targets)
        column = answering(inputs, targets)
        if column is None:
            return {"leak": None}
        return {
            "leak": LeakSeen(
                samples=len(inputs),
                features=inputs.shape[1],
                column=column,
                different=len(targets.unique()),
                where=self.where,
            )
        }


def answering(inputs: Tensor, targets: Tensor) -> int | None:
    """Number of a column that is the target, scaled and moved; None: there is none.

    Args:
        inputs: (samples, columns).
        targets: (samples,).
    Example:
        >>> answering(torch.tensor([[1.0, 5.0], [2.0, 7.0], [0.0, 9.0]]), torch.tensor([1.0, 2.0, 3.0]))
        1
    """
    if not inputs.isfinite().all() or not targets.isfinite().all() or len(targets.unique()) < 2:
        return None
    spread = inputs.std(dim=0, correction=0)
    columns = (inputs - inputs.mean(dim=0)) / torch.where(spread > 0, spread, torch.ones_like(spread))
    wanted = (targets - targets.mean()) / targets.std(correction=0)
    sign = torch.where((columns * wanted[:, None]).sum(dim=0) < 0, -1.0, 1.0)
    off = (columns * sign - wanted[:, None]).abs().amax(dim=0)
    best = int(off.argmin())
    return best if off[best] < ROUNDING else None
