"""The networks of the first step: what they were given, and what their outputs were compared with."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data.dataloader import _BaseDataLoaderIter

from trainwell.capture.dependence import Call, first_shape, kept
from trainwell.capture.ear import Ear, Passed, Scene, Telling
from trainwell.capture.exchange import is_alike
from trainwell.capture.interventions import by_feature
from trainwell.capture.losses import targets_of
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_dense, is_same, stored
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.data import InputSeen

MOST_CALLS = 4
"""Calls of networks in the first step that are kept: of a GAN there are three."""


FEW = 0.1
"""Share of the features that may vary less than the smallest that is told: pixels of a corner hardly vary at all."""
BY_SAMPLE = (nn.GRU, nn.LSTM, nn.RNN, nn.MultiheadAttention)
"""Layers that are told on which axis samples stand."""
MOST_GATHERED = 8
"""Batches that are kept until a network is given one of them."""
FEWEST_GATHERED = 4
"""Samples of a batch: what is made of fewer rows may be made of anything."""


class Networks(Ear):
    """Fills `networks`, `input`, `input_not_finite`, `input_step` and `input_at`; keeps the calls themselves."""

    functions = frozenset({"__getitem__", "index_select", "stack"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.calls: list[Call] = []
        self.input: InputSeen | None = None
        self.not_finite, self.not_finite_step, self.not_finite_at = 0.0, 0, Where()
        self._called: set[tuple[int, bool]] = set()
        self._gathered: set[int] = set()
        self._first: list[Tensor] = []
        self._rows: set[int] = set()

    def tellings(self) -> Iterable[Telling]:
        return (Telling(_BaseDataLoaderIter, "__next__", after=self._fetched),)

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        """Samples are gathered into a batch before the first step."""
        if self.scene.taken or self.scene.inside:
            return
        if name == "stack":
            self._gathered.add(len(args[0] if args else options["tensors"]))
            return
        index = args[-1] if name == "__getitem__" else options.get("index", args[-1])
        self._gathered |= _picked(index)
        if name == "__getitem__" and isinstance(index, Tensor | np.ndarray | list):
            # Kept, so that no other tensor takes their place.
            self._first = [*self._first[1 - MOST_GATHERED :], found]

    def _fetched(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if not self.scene.taken:
            parts = (
                found.values() if isinstance(found, dict) else found if isinstance(found, list | tuple) else (found,)
            )
            sizes = {len(each) for each in parts if isinstance(each, Tensor) and each.ndim}
            # Of what it has just made its batch, no other number counts.
            self._gathered = sizes
            self._first = [each for each in parts if isinstance(each, Tensor) and each.ndim]

    def stepped(self, optimizer: Optimizer) -> None:
        # The script's tensors are not to live longer for it.
        self._first, self._gathered = [], set()

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) == 1:
            self._rows = set()
        elif not self.scene.taken and isinstance(module, BY_SAMPLE) and module.batch_first and inputs:
            self._rows.add(len(inputs[0]) if isinstance(inputs[0], Tensor) and inputs[0].ndim == 3 else 0)
        if len(self.scene.inside) > 1 or self.not_finite or not isinstance(inputs, tuple) or not _learns(module):
            return
        given = [stored(each.detach())[-1] for each in inputs if isinstance(each, Tensor)]
        numbers = [each for each in given if each.is_floating_point() and each.numel()]
        shares = [(~each.isfinite()).double().mean().item() for each in numbers]
        if any(shares):
            self.not_finite, self.not_finite_step, self.not_finite_at = max(shares), self.scene.taken, user_line()

    def passed(self, call: Passed) -> None:
        if not call.outermost or not _learns(call.module) or len(self.calls) > MOST_CALLS:
            return
        new = all(each.module is not call.module for each in self.calls)
        if self.scene.taken > 1 and not (new and call.with_gradients):
            return
        wanted = call.with_gradients and any(each.requires_grad for each in call.module.parameters())
        if not call.module.training and not wanted:
            return
        if self.scene.taken == 0:
            self._called.add((id(call.module), call.with_gradients))
        if not call.with_gradients:
            return
        # Of a GAN, one network learns first.
        if (self.scene.taken == 0 or new) and len(self.calls) < MOST_CALLS:
            self.input = self.input or _input_seen(call.inputs)
            self.calls.append(
                Call(
                    module=call.module,
                    args=kept(tuple(call.inputs)),
                    options=kept(dict(call.options)),
                    output=first_shape(call.outputs),
                    where=user_line(),
                    varied=any(each.ndim and is_dense(each) and not is_alike(each) for each in self._first),
                    samples=self._samples() or self._by_rows(call),
                    first=self._are_gathered(call) or (not self._samples() and self._by_rows(call) > 0),
                )
            )
        elif self.scene.taken == 1:
            for each in self.calls:
                then, now = each.tensors(), [value for value in call.inputs if isinstance(value, Tensor)]
                each.repeated |= each.module is call.module and bool(now) and bool(then) and is_same(now[0], then[0])

    def _samples(self) -> int:
        """Of the batch, where all that was gathered for it has as many; 0: not known."""
        found = {each for each in self._gathered if each >= FEWEST_GATHERED}
        return next(iter(found)) if len(found) == 1 else 0

    def _are_gathered(self, call: Passed) -> bool:
        """Whether a network is given the very tensors that were gathered along their first axis."""
        given = [each for each in (*call.inputs, *call.options.values()) if isinstance(each, Tensor) and each.ndim]
        places = {(each.data_ptr(), tuple(each.shape)) for each in self._first if is_dense(each)}
        return bool(given) and all(is_dense(each) and (each.data_ptr(), tuple(each.shape)) in places for each in given)

    def _by_rows(self, call: Passed) -> int:
        """Samples, where layers in the network take the first axis of all that it was given for theirs."""
        given = [each for each in (*call.inputs, *call.options.values()) if isinstance(each, Tensor) and each.ndim]
        sizes = {len(each) for each in given}
        return next(iter(sizes)) if len(sizes) == 1 and sizes == self._rows and max(sizes) >= FEWEST_GATHERED else 0

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        if self.scene.taken:
            return
        for root in roots:
            for call in self.calls:
                call.targets.extend(kept(targets) for targets in targets_of(root.grad_fn))

    def seen(self) -> dict[str, Any]:
        return {
            "networks": len(self._called),
            "quiet_networks": sum(not with_gradients for _, with_gradients in self._called),
            "input": self.input,
            "input_not_finite": self.not_finite,
            "input_step": self.not_finite_step,
            "input_at": self.not_finite_at,
        }


def _picked(index: Any) -> set[int]:
    """How many rows an index picks one by one, by number; none: it is no such index."""
    parts = index if isinstance(index, tuple) else (index,)
    lists = [each for each in parts if isinstance(each, list | np.ndarray | Tensor)]
    if len(lists) != 1:
        return set()
    rows = np.asarray(lists[0].detach().cpu() if isinstance(lists[0], Tensor) else lists[0])
    return {len(rows)} if rows.ndim == 1 and rows.dtype.kind == "i" else set()


def _learns(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _input_seen(inputs: Any) -> InputSeen | None:
    given = [each for each in inputs if isinstance(each, Tensor) and each.is_floating_point()]
    columns = [each for each in given if each.ndim == 2 and is_dense(each) and len(each) == len(given[0])]
    # Columns that come one by one are those of one table.
    numbers = torch.cat(columns, dim=1) if len(columns) == len(given) > 1 else next(iter(given), None)
    if numbers is None or not is_dense(numbers) or numbers.ndim < 2 or len(numbers) < 2:
        return None
    rows = by_feature(numbers.detach().double())
    deviations = rows.std(dim=1, correction=0)
    if not rows.isfinite().all() or not (deviations > 0).any():
        return None
    return InputSeen(
        features=len(rows),
        smallest=deviations[deviations > 0].quantile(FEW).item(),
        largest=rows.square().mean(dim=1).sqrt().max().item(),
        widest=deviations.max().item(),
        where=user_line(),
    )
