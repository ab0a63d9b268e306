"""Which samples were trained on before: those of a step are held out till then, those of an evaluation always."""

import hashlib
import itertools
import sys
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data.dataloader import _BaseDataLoaderIter

from trainwell.capture.ear import Ear, Passed, Scene, Telling
from trainwell.capture.losses import nodes_under, operation
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_dense, octets
from trainwell.capture.syntax import Places, is_said_held_out, own_frames, places_of
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.data import HeldOutSeen

MOST_STEPS = 400
"""Steps whose samples are remembered."""
MOST_SAMPLES = 20_000
"""Of one evaluation, that are remembered."""
MOST_NODES = 50
"""Of autograd's graph, among which a loss picks rows."""
TOKENS = 8
"""Whole numbers of a sample; fewer are no text: about a user's number and a film's, one may ask again."""


class Freshness(Ear):
    """Fills `samples`, `fresh` and `held_out`."""

    functions = frozenset({"__getitem__", "index_select"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.seen_before: set[bytes] = set()
        self.samples: list[int] = []
        self.fresh: list[int] = []
        self.loaded_before: set[bytes] = set()
        self._now: list[bytes] = []
        self._calls: list[tuple[weakref.ref[_Token], list[bytes]]] = []
        self._loaded: list[bytes] = []
        self._largest = 0
        self._networks: set[int] = set()
        self._others: set[Places] = set()
        self._held_out: dict[Places, _HeldOut] = {}
        self._nodes = 0
        self._picked: set[int] = set()
        self._asked: dict[Places, tuple[Where, set[int]]] = {}

    def passed(self, call: Passed) -> None:
        if not call.outermost or self.scene.taken >= MOST_STEPS:
            return
        if not call.with_gradients and id(call.module) not in self._networks:
            return
        if next(call.module.parameters(), None) is None:
            return
        given = next((each for each in call.inputs if isinstance(each, Tensor) and each.ndim > 1), None)
        if given is None:
            given = next((each for each in call.options.values() if isinstance(each, Tensor) and each.ndim > 1), None)
        if given is None or not is_dense(given) or torch._C._functorch.is_functorch_wrapped_tensor(given):
            return
        given = _with_further(given, call)
        if not call.with_gradients:
            self._loaded = []
            if given.is_floating_point() or given[:1].numel() >= TOKENS:
                self._evaluated(given)
        elif not given.requires_grad:
            self._nodes = len(given)
            token = _Token()
            self._calls.append((weakref.ref(token), _digests(given)))
            for each in _nodes((call.outputs,)):
                each.metadata.setdefault(self, []).append(token)
            self._networks.add(id(call.module))

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        if self._nodes and self.scene.taken < MOST_STEPS:
            for root in roots:
                self._picked |= _rows_picked(root.grad_fn, self._nodes)
        # What was computed and let go, such as for a shape to be printed, is not trained on.
        trained = [rows for token, rows in self._calls if token() is not None]
        self._now += [each for rows in trained for each in rows]
        self._largest = max([self._largest, *map(len, trained)])
        self.loaded_before.update(self._loaded)
        self._calls, self._loaded = [], []

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        """Rows are picked: of a graph that is given whole, those that are evaluated."""
        index = args[-1] if len(args) > 1 else None
        if not self._nodes or self.scene.inside or not isinstance(index, Tensor) or found.requires_grad:
            return
        if not isinstance(args[0], Tensor) or not args[0].ndim or len(args[0]) != self._nodes:
            return
        rows = _rows(index, self._nodes)
        if not rows or not self.scene.taken:
            return
        frames = own_frames(sys._getframe(1))
        key = places_of(frames)
        if key not in self._asked and is_said_held_out(frames):
            self._asked[key] = (user_line(), set())
        if key in self._asked:
            self._asked[key][1].update(rows)

    def stepped(self, optimizer: Optimizer) -> None:
        if self.scene.taken > MOST_STEPS:
            return
        self.samples.append(len(self._now))
        self.fresh.append(sum(each not in self.seen_before for each in self._now))
        self.seen_before.update(self._now)
        self._now = []

    def tellings(self) -> Iterable[Telling]:
        return (Telling(_BaseDataLoaderIter, "__next__", after=self._fetched),)

    def seen(self) -> dict[str, Any]:
        # A graph is given whole, to be trained on some of its nodes and judged by others.
        whole = len(self.seen_before) <= self._largest
        return {
            "samples": tuple(self.samples),
            "fresh": tuple(self.fresh),
            "held_out": tuple(_of_nodes(where, rows, self._picked) for where, rows in self._asked.values())
            if whole
            else tuple(each.seen(self.seen_before | self.loaded_before) for each in self._held_out.values()),
        }

    def _fetched(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        """A loader has handed out a batch: what is trained on may be made of it."""
        first = found[0] if isinstance(found, list | tuple) and found else found
        if self.scene.taken < MOST_STEPS and isinstance(first, Tensor) and first.ndim > 1 and is_dense(first):
            self._loaded = _digests(first)

    def _evaluated(self, given: Tensor) -> None:
        """A batch without gradients, on a line that says what it is."""
        frames = own_frames(sys._getframe(1))
        key = places_of(frames)
        mine = self._held_out.get(key)
        if mine is None:
            if key in self._others or not is_said_held_out(frames):
                self._others.add(key)
                return
            mine = self._held_out[key] = _HeldOut(where=user_line())
        if len(mine.rows) < MOST_SAMPLES:
            mine.add(_digests(given), self.scene.taken)


class _Token:
    """Lives as long as the graph of a call does."""


def _nodes(value: Any) -> Iterator[Any]:
    """Of autograd's graph, at which the tensors end that are in here."""
    if isinstance(value, Tensor) and value.requires_grad and value.grad_fn is not None:
        yield value.grad_fn
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _nodes(each)
    elif isinstance(value, dict):
        yield from _nodes(tuple(value.values()))


@dataclass
class _HeldOut:
    """What is evaluated on one line, as called from others."""

    where: Where
    rows: set[bytes] = field(default_factory=set)
    repeated: int = 0
    now: set[bytes] = field(default_factory=set)
    step: int = -1

    def add(self, rows: list[bytes], step: int) -> None:
        """Another batch; the same step: of the same evaluation."""
        if step != self.step:
            self.rows |= self.now
            self.now, self.step = set(), step
        before = len(self.now)
        self.now.update(rows)
        self.repeated += len(rows) - (len(self.now) - before)

    def seen(self, trained: set[bytes]) -> HeldOutSeen:
        """Beside what was trained on."""
        rows = self.rows | self.now
        return HeldOutSeen(
            samples=len(rows),
            repeated=self.repeated,
            trained=len(rows & trained),
            known=len(trained),
            where=self.where,
        )


def _with_further(given: Tensor, call: Passed) -> Tensor:
    """Samples of a few whole numbers with the numbers that are given beside them, as octets; others as they are."""
    if given.is_floating_point() or given[:1].numel() >= TOKENS:
        return given
    others = [
        each
        for each in (*call.inputs, *call.options.values())
        if isinstance(each, Tensor) and each.ndim > 1 and len(each) == len(given) and is_dense(each)
    ]
    if not any(each.is_floating_point() for each in others):
        return given
    rows = [octets(each).reshape(len(each), -1) for each in others]
    return torch.from_numpy(np.concatenate(rows, axis=1))


def _of_nodes(where: Where, rows: set[int], trained: set[int]) -> HeldOutSeen:
    return HeldOutSeen(
        samples=len(rows), repeated=0, trained=len(rows & trained), known=len(trained), nodes=True, where=where
    )


def _rows(index: Tensor, nodes: int) -> set[int]:
    """Numbers of the rows that an index picks; none: it is no index of rows."""
    if index.ndim != 1 or not index.numel():
        return set()
    if index.dtype == torch.bool:
        return set(index.nonzero().flatten().tolist()) if len(index) == nodes else set()
    return set(index.tolist()) if not index.is_floating_point() and int(index.max()) < nodes else set()


def _rows_picked(node: Any, nodes: int) -> set[int]:
    """Rows of a network's outputs that a loss was computed from; none: of all, or it cannot be told."""
    for each in itertools.islice(nodes_under(node), MOST_NODES) if node is not None else ():
        name = operation(each)
        if name not in ("IndexBackward", "IndexSelectBackward"):
            continue
        saved = each._saved_indices if name == "IndexBackward" else (each._saved_index,)
        given = each.next_functions[0][0]
        if given is not None and len(saved) == 1 and isinstance(saved[0], Tensor) and _length(given) == nodes:
            return _rows(saved[0], nodes)
    return set()


def _length(node: Any) -> int:
    """Of the first axis of what a node made."""
    shape = node._input_metadata[0].shape
    return int(shape[0]) if len(shape) else 0


def _digests(given: Tensor) -> list[bytes]:
    rows = octets(given).reshape(len(given), given.element_size() * given.shape[1:].numel())
    return [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
