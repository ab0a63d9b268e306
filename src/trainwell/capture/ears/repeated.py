"""The same batch at each step, though there are others."""

import contextlib
import linecache
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from trainwell.capture.ear import Ear, Passed, Scene, Telling
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_same
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.data import RepeatedSeen

LOOKED_AT = 30
"""Steps: who sees one batch in all of these sees no other later."""
TIMES = 10
"""Times as large as the part is what it is taken from: the training part of all data is more than a tenth of it."""
SLACK = 2
"""Batches more or fewer than steps: one is asked for ahead, or at the end of the data."""


class Repeated(Ear):
    """Fills `repeated`."""

    functions = frozenset({"__getitem__", "index_select"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.module: nn.Module | None = None
        self.given: tuple[Tensor, ...] | None = None
        self.taken: dict[Where, _Taken] = {}
        self.steps: set[int] = set()
        self.others = False
        self.where = Where()
        self.loaders: dict[int, _Loader] = {}

    def tellings(self) -> Iterable[Telling]:
        return (
            Telling(DataLoader, "__iter__", after=self._begun),
            Telling(_BaseDataLoaderIter, "__next__", after=self._fetched),
        )

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        """A part of a tensor is taken, outside of networks."""
        if self.others or self.scene.taken >= LOOKED_AT or self.scene.inside or not isinstance(found, Tensor):
            return
        if not args or not isinstance(args[0], Tensor) or found.ndim < 2 or args[0].numel() < TIMES * found.numel():
            return
        where = user_line()
        mine = self.taken.setdefault(where, _Taken(args[0].numel(), found.numel(), where))
        mine.steps.add(self.scene.taken)

    def passed(self, call: Passed) -> None:
        if self.others or not call.outermost or not call.with_gradients or self.scene.taken >= LOOKED_AT:
            return
        if next(call.module.parameters(), None) is None or self.module not in (None, call.module):
            return
        # What is nested is state that a recurrent network hands on.
        now = tuple(each for each in (*call.inputs, *call.options.values()) if isinstance(each, Tensor))
        if self.given is None:
            self.module = call.module
            self.given, self.where = tuple(each.detach().clone() for each in now), user_line()
        if not now or not _alike(now, self.given):
            self.others, self.given = True, ()
        self.steps.add(self.scene.taken)

    def seen(self) -> dict[str, Any]:
        taken = min(self.scene.taken, LOOKED_AT)
        found = [self._goes_on(each, taken) or self._begins_anew(each, taken) for each in self.loaders.values()]
        found += [self._takes(each, taken) for each in self.taken.values()]
        return {"repeated": next((each for each in found if each is not None), None)}

    def _takes(self, mine: "_Taken", taken: int) -> RepeatedSeen | None:
        """A line takes the same small part of a larger tensor at each step, and the network is given that."""
        if self.others or not self.given or len(self.steps) < taken or len(mine.steps) < taken:
            return None
        first = self.given[0]
        if mine.part != first.numel() or mine.whole < TIMES * mine.part or first.ndim < 2:
            return None
        return RepeatedSeen(steps=taken, batches=0, length=mine.whole // mine.part, anew=False, where=mine.where)

    def _goes_on(self, loader: "_Loader", taken: int) -> RepeatedSeen | None:
        """The loader hands out one batch after the other, a step each, and the network is given one of them alone."""
        once = sum(count == 1 for count in loader.fetched.values())
        total = sum(loader.fetched.values())
        if self.others or not self.given or len(self.steps) < taken or not loader.differ:
            return None
        if all(bool((each == each[:1]).all()) for each in self.given if each.ndim):
            return None  # what is the same in every sample is the same in every batch
        if min(once, taken) < taken - SLACK or abs(total - taken) > SLACK or len(self.given[0]) not in loader.sizes:
            return None
        return RepeatedSeen(steps=taken, batches=total, length=loader.length, anew=False, where=self.where)

    def _begins_anew(self, loader: "_Loader", taken: int) -> RepeatedSeen | None:
        """The loader is begun at each step, and asked for its first batch alone."""
        total = sum(loader.fetched.values())
        if loader.differ or loader.length < 2 or total != loader.begun or len(loader.fetched) < taken:
            return None
        return RepeatedSeen(steps=taken, batches=total, length=loader.length, anew=True, where=loader.where)

    def _begun(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if self.scene.taken >= LOOKED_AT:
            return
        loader = self._loader(args[0].dataset)
        with contextlib.suppress(Exception):  # a length of the user's own may raise anything
            loader.length = len(args[0])
        where = user_line()
        # Who writes `for` and leaves the loop after a batch means that batch.
        if where.file is not None and where.line is not None and "next(" in linecache.getline(where.file, where.line):
            loader.begun += 1
            loader.where = where

    def _fetched(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if self.scene.taken < LOOKED_AT:
            self._loader(args[0]._dataset).take(found, self.scene.taken)

    def _loader(self, dataset: Any) -> "_Loader":
        return self.loaders.setdefault(id(dataset), _Loader(dataset))


@dataclass
class _Taken:
    """A line that takes a part of a tensor."""

    whole: int
    part: int
    where: Where
    steps: set[int] = field(default_factory=set)


class _Loader:
    """What was handed out of a set of data."""

    def __init__(self, dataset: Any) -> None:
        # Kept, so that no other takes its number.
        self.dataset = dataset
        self.length, self.begun = 0, 0
        self.differ = False
        self.first: tuple[Tensor, ...] | None = None
        self.sizes: set[int] = set()
        self.fetched: Counter[int] = Counter()
        self.where = Where()

    def take(self, batch: Any, step: int) -> None:
        """A batch was handed out after so many steps."""
        self.fetched[step] += 1
        if self.differ:
            return
        now = tuple(_tensors(batch))
        if self.first is None:
            self.first = tuple(each.detach().clone() for each in now)
            self.sizes = {len(each) for each in now if each.ndim}
        elif not now or not _alike(now, self.first):
            self.differ, self.first = True, ()


def _alike(now: tuple[Tensor, ...], then: tuple[Tensor, ...]) -> bool:
    return len(now) == len(then) and all(is_same(one, other) for one, other in zip(now, then, strict=True))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _tensors(each)
