"""Graphs of autograd that outlive their step: a loss that is summed or stored as a tensor keeps all that made it."""

import gc
import weakref
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.losses import operation
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import GraphsSeen

MARK = "trainwell mark"
"""Key under which a backward pass leaves its mark in the nodes that it begins at."""
DEPTH, MOST_MARKED = 4, 16
"""Operations below a backward's number that are marked too: what is stored is often the loss before it was scaled."""
RECENT = 2
"""Steps whose graphs may well live: a variable of the loop holds the last one, and what was computed with it."""
SUSPECT = 8
"""Graphs that live at once before a reference cycle is ruled out, by collecting garbage."""
SUMMED = 3
"""Likewise, where a line was seen that sums losses after their backward pass: a sum has no cycles."""
FREED = "backward through the graph a second time"
"""What torch says of a pass into a graph whose numbers it has let go."""
MOST_COUNTED = 10_000
"""Nodes of a graph that are counted."""


class Graphs(Ear):
    """Fills `graphs`."""

    functions = frozenset({"add", "add_"})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.places: dict[Where, _Place] = {}

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        for root in roots:
            if root.grad_fn is not None:
                where = user_line()
                place = self.places.setdefault(where, _Place(where))
                place.begin(root, step=self.scene.taken)

    def backward_refused(self, error: RuntimeError) -> None:
        place = self.places.get(user_line())
        if place is not None and FREED in str(error):
            place.freed = True

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if not isinstance(found, Tensor) or found.ndim or found.grad_fn is None:
            return
        for node in _below(found.grad_fn):
            mark = next((each.metadata[MARK] for each in (node, *_below(node)) if MARK in each.metadata), None)
            if mark is not None and self.places[mark.where].summed_at.line is None:
                self.places[mark.where].summed_at = user_line()

    def stepped(self, optimizer: Optimizer) -> None:
        for place in self.places.values():
            place.look(self.scene.taken)

    def seen(self) -> dict[str, Any]:
        return {"graphs": tuple(each.seen() for each in self.places.values())}


class _Mark:
    """Lives as long as a node that holds it."""

    def __init__(self, where: Where) -> None:
        self.where = where


class _Begun:
    """A backward pass that has begun."""

    def __init__(self, root: Tensor, mark: _Mark, *, number: int, step: int) -> None:
        self.mark, self.root = weakref.ref(mark), weakref.ref(root)
        self.number, self.step = number, step


class _Place:
    """A line that calls backward."""

    def __init__(self, where: Where) -> None:
        self.where, self.summed_at = where, Where()
        self.made, self.nodes = 0, 0
        self.freed = False
        self.alive: list[_Begun] = []
        self.retained, self.stored, self.steady = 0, False, 0
        # Where garbage was among them, what lives is known only right after it was collected.
        self._collect_at, self._trusted = SUSPECT, False
        self._before = (0, 0)

    def begin(self, root: Tensor, *, step: int) -> None:
        """At a backward pass."""
        mark = _Mark(self.where)
        level: list[Any] = [root.grad_fn]
        marked = 0
        for _ in range(DEPTH):
            further: list[Any] = []
            for node in level:
                # A node that steps share would keep the mark of the first; those of the weights live as long as they.
                leaf = operation(node).endswith("AccumulateGrad")
                if marked < MOST_MARKED and not leaf and MARK not in node.metadata:
                    node.metadata[MARK] = mark
                    marked += 1
                    further.extend(_below(node))
            level = further
        self.alive.append(_Begun(root, mark, number=self.made, step=step))
        self.made += 1
        self.nodes = self.nodes or _size(root)

    def look(self, taken: int) -> None:
        """After a step: how many graphs of earlier steps live, without a gap up to the last."""
        count = self._older(taken)
        suspect = SUSPECT if self.summed_at.line is None else SUMMED
        if count < suspect:
            self._before, self.steady = (0, self.made), 0
            return
        if count >= self._collect_at:
            before = count
            gc.collect()
            self._collect_at = 2 * before
            count = self._older(taken)
            self._trusted = count == before
        self._trusted = self._trusted or suspect == SUMMED
        if count >= suspect and self._trusted:
            self.steady = self.steady + 1 if count == self._before[0] and self.made > self._before[1] else 0
            self._before = (count, self.made)
            if count >= self.retained:
                self.retained = count
                self.stored = sum(each.root() is not None for each in self.alive) > count // 2

    def seen(self) -> GraphsSeen:
        """What became of them."""
        return GraphsSeen(
            backwards=self.made,
            retained=self.retained,
            nodes=self.nodes,
            stored=self.stored,
            steady=self.steady,
            where=self.where,
            summed_at=self.summed_at,
            freed=self.freed,
        )

    def _older(self, taken: int) -> int:
        """Graphs that live, without a gap, up to the last that is not recent."""
        self.alive = [each for each in self.alive if each.mark() is not None]
        numbers = {each.number for each in self.alive}
        older = [each.number for each in self.alive if each.step < taken - RECENT]
        if not older or any(number not in numbers for number in range(older[-1], self.made)):
            return 0
        last = older[-1]
        return next((last - number for number in range(last, -1, -1) if number not in numbers), last + 1)


def _below(node: Any) -> list[Any]:
    return [below for below, _ in node.next_functions if below is not None]


def _size(root: Tensor) -> int:
    seen, left = {root.grad_fn}, [root.grad_fn]
    while left and len(seen) < MOST_COUNTED:
        for below in _below(left.pop()):
            if below not in seen:
                seen.add(below)
                left.append(below)
    return len(seen)
