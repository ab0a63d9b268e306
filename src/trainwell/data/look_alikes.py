"""Pictures that repeat each other, identically or nearly: found in time and memory proportional to their number.

1. Identical pictures are found by hash, always all of them.
2. Of those that differ, near pairs are found among pictures whose sketches lie close (`sketches.py`): sorted along one
   axis, each is compared with those within reach. Only a pair whose pixels differ little counts, so that small glyphs
   and blank pages, whose sketches are much alike, are not taken for copies. Groups have a first picture that all others
   are near to: they do not grow along chains.
3. Where pictures look alike beyond measure, the work has bounds, and reaching one is said in a warning:
   - a crowd (more than CROWD others within the radius) is first relieved of what is near to one picture of it; of what
     is left, each picture's MOST_ALIKE likeliest partners are compared, of those next to it along the axis;
   - where more than REACH others stand within reach on average, as with noise, each is compared with its WINDOW next
     neighbours along each of AXES axes.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainwell.data.duplicates import same
from trainwell.data.sketches import Sketches, differ_little, rows_of_a_block, sketches_of

CROWD = 128
MOST_ALIKE = 32
REACH = 50_000
WINDOW = 16_384
AXES = 3
_ROWS = 256
_COLUMNS = 4_096
_SAMPLE = 256
_ROUNDS = 8

Indices = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Repeats:
    """Which pictures repeat each other.

    Attributes:
        groups: a number for each picture; identical and nearly identical ones share it.
        warnings: what was not looked at, in sentences for the report.
    """

    groups: Indices
    warnings: tuple[str, ...] = ()


def repeats_of_pictures(stored: NDArray[np.uint8], *, scratch: Path) -> Repeats:
    """Identical and nearly identical pictures.

    Args:
        stored: (samples, height, width, channels); may be a memory map.
        scratch: a file for what need not stay in memory; it is made and removed.
    """
    groups = same(_hashes(stored))
    rows = _firsts(groups)
    if len(rows) < 2:
        return Repeats(groups=groups)
    try:
        search = _Search(stored=stored, rows=rows, sketches=sketches_of(stored, rows, scratch=scratch))
        leaders, warnings = search.leaders()
        del search
    finally:
        scratch.unlink(missing_ok=True)
    if (leaders == np.arange(len(rows))).all():
        return Repeats(groups=groups, warnings=warnings)
    return Repeats(groups=same(leaders[groups].astype(np.uint64)), warnings=warnings)


def _hashes(stored: NDArray[np.uint8]) -> NDArray[np.uint64]:
    made = np.empty(len(stored), np.uint64)
    step = rows_of_a_block(stored)
    for start in range(0, len(stored), step):
        digests = b"".join(
            hashlib.blake2b(picture, digest_size=8).digest()
            for picture in np.ascontiguousarray(stored[start : start + step])
        )
        made[start : start + step] = np.frombuffer(digests, ">u8")
    return made


def _firsts(groups: Indices) -> Indices:
    # Groups are numbered in the order of their first sample.
    return np.flatnonzero(np.diff(np.maximum.accumulate(groups), prepend=-1) > 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Search:
    """Near pairs among pictures that differ: `rows` says which of the stored ones; all else counts within those."""

    stored: NDArray[np.uint8]
    rows: Indices
    sketches: Sketches

    def leaders(self) -> tuple[Indices, tuple[str, ...]]:
        """For each picture the first one of its group, and what was left undone."""
        leader = np.arange(len(self.rows))
        alive = self._relieved(leader)
        heads = np.zeros(len(leader), bool)
        heads[leader[leader != np.arange(len(leader))]] = True
        left, right, warnings = self._pairs(alive)
        # Who leads a crowd joins nobody.
        turned = heads[right] & ~heads[left]
        left, right = np.where(turned, right, left), np.where(turned, left, right)
        open_ = ~heads[right]
        left, right = left[open_], right[open_]
        # In the order of the pictures, crowds first: each joins the first leader that it is near to.
        for i in np.lexsort((right, left, ~heads[left])):
            if leader[left[i]] == left[i] and leader[right[i]] == right[i]:
                leader[right[i]] = left[i]
        return leader, warnings

    def _near(self, left: Indices, right: Indices) -> NDArray[np.bool_]:
        least = np.minimum(self.sketches.contrasts[left], self.sketches.contrasts[right])
        return differ_little(self.stored, least, self.rows[left], self.rows[right])

    def _distances(self, left: Indices, right: Indices) -> NDArray[np.float32]:
        # Squared; one product gives |a|^2 + |b|^2 - 2ab.
        a, b = self.sketches.values[left], self.sketches.values[right]
        ones = np.ones((len(a), 1), np.float32), np.ones((len(b), 1), np.float32)
        before = np.hstack([a, (a * a).sum(1, keepdims=True), ones[0]])
        behind = np.hstack([-2 * b, ones[1], (b * b).sum(1, keepdims=True)])
        made: NDArray[np.float32] = before @ behind.T
        return made

    def _relieved(self, leader: Indices) -> Indices:
        """Pictures that are left when those near to one picture of a crowd have joined it."""
        alive = np.arange(len(leader))
        for _ in range(_ROUNDS):
            sample = alive[np.unique(np.linspace(0, len(alive) - 1, _SAMPLE).astype(np.int64))]
            counts = np.zeros(len(sample), np.int64)
            for start in range(0, len(alive), _COLUMNS):
                others = alive[start : start + _COLUMNS]
                left, right = np.nonzero(self._distances(sample, others) <= self.sketches.radius**2)
                may = self.sketches.may_be_near(sample[left], others[right])
                counts += np.bincount(left[may], minlength=len(sample))
            left_before = len(alive)
            for head in sample[counts > CROWD]:
                if leader[head] == head:
                    leader[self._joining(int(head), alive)] = head
                    alive = alive[(leader[alive] == alive)]
            if len(alive) > 0.99 * left_before:
                break
        return alive

    def _joining(self, head: int, alive: Indices) -> Indices:
        distance = np.concatenate(
            [
                self._distances(np.array([head]), alive[start : start + _COLUMNS])[0]
                for start in range(0, len(alive), _COLUMNS)
            ]
        )
        others = alive[np.argsort(distance, kind="stable")[: int((distance <= self.sketches.radius**2).sum())]]
        others = others[(others != head) & self.sketches.may_be_near(np.full(len(others), head), others)]
        joining = [np.zeros(0, np.int64)]
        start, size = 0, MOST_ALIKE
        # The likeliest first, more at a time, for as long as any is near: what is compared in vain is bounded.
        while start < len(others):
            some = others[start : start + size]
            near = self._near(np.full(len(some), head), some)
            joining.append(some[near])
            if not near.any():
                break
            start, size = start + size, min(2 * size, _COLUMNS)
        return np.concatenate(joining)

    def _pairs(self, alive: Indices) -> tuple[Indices, Indices, tuple[str, ...]]:
        """Near pairs, the earlier picture first, and what was left undone."""
        pairs = [np.zeros((2, 0), np.int32)]
        crowded = np.zeros(len(self.rows), bool)
        ranks: list[NDArray[np.int32]] = []
        narrow = False
        for axis in self._axes(alive):
            order, reach = self._sorted(alive, axis)
            narrow = narrow or int((reach - np.arange(len(order))).sum()) > REACH * len(order)
            if narrow:
                reach = np.minimum(reach, np.arange(len(order)) + WINDOW)
            for left, right in self._candidates(order, reach, crowded):
                new = np.ones(len(left), bool)
                for rank in ranks:
                    new &= np.abs(rank[left] - rank[right]) >= WINDOW
                left, right = left[new], right[new]
                near = self._near(left, right)
                left, right = left[near], right[near]
                pairs.append(np.stack([np.minimum(left, right), np.maximum(left, right)]).astype(np.int32))
            if not narrow:
                break
            ranks.append(np.zeros(len(self.rows), np.int32))
            ranks[-1][order] = np.arange(len(order))
        left, right = np.concatenate(pairs, 1).astype(np.int64)
        return left, right, _warnings(len(alive) if narrow else 0, int(crowded.sum()))

    def _axes(self, alive: Indices) -> NDArray[np.float32]:
        # Those along which the pictures vary most; any would do, but these part them best.
        sample = self.sketches.values[alive[np.unique(np.linspace(0, len(alive) - 1, _COLUMNS).astype(np.int64))]]
        axes: NDArray[np.float32] = np.linalg.eigh(np.atleast_2d(np.cov(sample, rowvar=False)))[1].T.astype(np.float32)
        return axes[::-1][:AXES]

    def _sorted(self, alive: Indices, axis: NDArray[np.float32]) -> tuple[Indices, Indices]:
        """Pictures in their order along an axis, and for each where those within its reach end."""
        along = np.concatenate(
            [self.sketches.values[alive[start : start + _COLUMNS]] @ axis for start in range(0, len(alive), _COLUMNS)]
        )
        order = np.argsort(along, kind="stable")
        along = along[order]
        reach: Indices = np.searchsorted(along, along + np.float32(self.sketches.radius), side="right")
        return alive[order], reach

    def _candidates(
        self, order: Indices, reach: Indices, crowded: NDArray[np.bool_]
    ) -> Iterator[tuple[Indices, Indices]]:
        """Pairs that may be near, of each picture and those after it within reach; crowds are marked."""
        most = self.sketches.radius**2
        for start in range(0, len(order), _ROWS):
            left = order[start : start + _ROWS]
            counts = np.zeros(len(left), np.int64)
            found = []
            for ahead in range(start, int(reach[start + len(left) - 1]), _COLUMNS):
                right = order[ahead : min(ahead + _COLUMNS, int(reach[start + len(left) - 1]))]
                distance = self._distances(left, right)
                if ahead < start + len(left):
                    before = np.arange(len(right)) <= np.arange(len(left))[:, None] + (start - ahead)
                    distance[before] = np.inf
                at = np.flatnonzero(distance <= most)
                if len(at) > CROWD * len(left):
                    distance[~self.sketches.may_be_near(left[:, None], right)] = np.inf
                    here = (distance <= most).sum(1)
                    counts += here
                    at = _smallest(distance, MOST_ALIKE if (here > CROWD).all() else CROWD)
                    at = at[distance.ravel()[at] <= most]
                    i, j = np.divmod(at, len(right))
                else:
                    i, j = np.divmod(at, len(right))
                    may = self.sketches.may_be_near(left[i], right[j])
                    i, j = i[may], j[may]
                    counts += np.bincount(i, minlength=len(left))
                found.append((i, right[j], distance[i, j]))
                if ahead - start >= _COLUMNS and (counts > CROWD).all():
                    break
            i, partner, distances = (np.concatenate(each) for each in zip(*found, strict=True))
            crowds = counts > CROWD
            crowded[left[crowds]] = True
            if crowds.any():
                by_row = np.lexsort((partner, distances, i))
                i, partner = i[by_row], partner[by_row]
                place = np.arange(len(i)) - np.searchsorted(i, i)
                kept = ~crowds[i] | (place < MOST_ALIKE)
                i, partner = i[kept], partner[kept]
            if len(i):
                yield left[i], partner


def _smallest(distance: NDArray[np.float32], most: int) -> Indices:
    """Flat indices of the smallest of each row."""
    width = distance.shape[1]
    if width <= most:
        return np.arange(distance.size)
    columns = np.argpartition(distance, most, axis=1)[:, :most]
    return np.sort((columns + width * np.arange(len(distance))[:, None]).ravel())


def _warnings(narrow: int, crowded: int) -> tuple[str, ...]:
    made = []
    if narrow:
        made.append(
            f"{narrow:,} different pictures look so much alike that each was compared with the {AXES * WINDOW:,} "
            "likeliest others only: a near-copy may stand on both sides of the split. Identical ones do not."
        )
    if crowded:
        made.append(
            f"{crowded:,} pictures look like more than {CROWD} others each, as nearly blank ones do, and were compared "
            f"with the {MOST_ALIKE} likeliest only: a near-copy may stand on both sides of the split. Identical ones "
            "do not."
        )
    return tuple(made)
