"""Training, validation and test part: drawn once, stratified, with what repeats on one side."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from trainwell.data.raw import UNDECIDED

SHARE = 0.15
MOST = 10_000
QUANTILES = 10


def part_size(samples: int, *, classes: int = 1) -> int:
    """Samples of the validation part, and of the test part, of so many in all.

    .. math:: \\min(0.15 n, \\max(15 \\sqrt n, 5 C), 10000)

    15 % up to 10,000 samples; from there on the share falls, since the error of an accuracy falls with the number of
    samples judged and not with their share.

    Args:
        samples: in all, >= 0.
        classes: of which each should have a few samples to be judged by, >= 1.
    Example:
        >>> part_size(1000), part_size(60_000), part_size(1_000_000)
        (150, 3674, 10000)
    """
    return min(int(SHARE * samples), max(int(15 * math.sqrt(samples)), 5 * classes), MOST)


def strata_of_quantities(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Quantile bins of targets, so that each part sees the whole range.

    Args:
        values: (samples, targets).
    Returns:
        A bin for each sample. Several targets are binned by the mean of their ranks.
    """
    samples = len(values)
    ranks = values.argsort(0, kind="stable").argsort(0, kind="stable").mean(1)
    bins = max(1, min(QUANTILES, samples // 10))
    order: NDArray[np.int64] = ranks.argsort(kind="stable").argsort(kind="stable") * bins // max(1, samples)
    return order


def _apportion(
    counts: NDArray[np.int64],
    total: int,
    *,
    fewest: int,
    at_most: NDArray[np.int64],
    order: NDArray[np.int64],
) -> NDArray[np.int64]:
    # Largest remainder, ties in a drawn order. Where the total allows, each stratum that can spare one gives one.
    exact = counts * (total / max(1, int(counts.sum())))
    got: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    spare = (counts >= fewest) & (at_most > 0)
    if int(spare.sum()) <= total:
        got[spare] = np.maximum(got[spare], 1)
    np.minimum(got, at_most, out=got)
    by_remainder = order[np.argsort(-(exact - got)[order], kind="stable")]
    for _ in range(2):
        for stratum in by_remainder:
            if got.sum() >= total:
                return got
            if got[stratum] < at_most[stratum]:
                got[stratum] += 1
    return got


def _index_type(count: int) -> np.dtype[np.signedinteger]:
    # Half the memory while 32 bits are enough.
    return np.dtype(np.int32 if count < 2**31 else np.int64)


def _first_places(numbers: NDArray[np.signedinteger], count: int) -> NDArray[np.signedinteger]:
    # Of the places written for one number the last one stays, which is the first from behind.
    made = np.full(count, -1, _index_type(len(numbers)))
    made[numbers[::-1]] = np.arange(len(numbers) - 1, -1, -1, dtype=made.dtype)
    return made


def _numbered(groups: NDArray[np.int64]) -> tuple[NDArray[np.signedinteger], NDArray[np.signedinteger]]:
    # Groups in the order of their first sample, and where that is.
    places = _first_places(groups, int(groups.max()) + 1)
    leads = np.zeros(len(groups), bool)
    leads[places[places >= 0]] = True
    number = np.cumsum(leads, dtype=places.dtype)
    number -= 1
    return number[places[groups]], np.flatnonzero(leads).astype(places.dtype)


def draw_parts(
    strata: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    given: NDArray[np.int8],
    classes: int = 1,
    generator: torch.Generator,
) -> NDArray[np.int8]:
    """A part for each sample.

    Args:
        strata: class or quantile of each sample, >= 0.
        groups: samples that repeat each other share a number, from 0 to at most the number of samples.
        given: index into PARTS, or UNDECIDED. Nothing is added to a validation or test part that is given; one that is
            not is drawn from the training part given, or from what is undecided.
        classes: how many there are (1 for regression).
        generator: draws the order.
    Returns:
        0 (train), 1 (validation) or 2 (test) for each sample. Every stratum with two groups or more keeps one in train.
    """
    made = given.copy()
    open_ = np.flatnonzero((given == UNDECIDED) | (given == 0))
    if not len(open_):
        return made
    made[open_] = 0
    wanted = part_size(len(open_), classes=classes)
    # The test part comes first: of a class with two samples, one is learnt from and one judged by.
    totals = {part: max(1, wanted) for part in (2, 1) if not (given == part).any()}
    order = open_[torch.randperm(len(open_), generator=generator).numpy()]
    del open_
    # Groups are numbered as they are drawn, and belong to the stratum of their first sample.
    group_of, first = _numbered(groups[order])
    sizes = np.zeros(len(first), group_of.dtype)
    np.add.at(sizes, group_of, 1)
    stratum_of = strata[order[first]]
    count = int(strata.max()) + 1
    samples = np.zeros(count, np.int64)
    np.add.at(samples, stratum_of, sizes)
    part_of = np.zeros(len(first), np.int8)
    # The first group of each stratum stays in train: a class that is never learnt cannot be judged.
    held = np.zeros(count, np.int64)
    free = np.ones(len(first), bool)
    heads = _first_places(stratum_of, count)
    free[heads[heads >= 0]] = False
    held[heads >= 0] = sizes[heads[heads >= 0]]
    room = samples - held
    draw = torch.randperm(count, generator=generator).numpy()
    for part, total in totals.items():
        quota = _apportion(samples, total, fewest=2 if part == 2 else 3, at_most=room, order=draw)
        left = quota.copy()
        for group in range(len(first)):
            if not left.any():
                break
            if free[group] and sizes[group] <= left[stratum_of[group]]:
                part_of[group], free[group] = part, False
                left[stratum_of[group]] -= sizes[group]
        room = room - (quota - left)
        if (part_of == part).any() or not free.any():
            continue
        # Every group is larger than its share: the smallest one must do.
        smallest = min(
            np.flatnonzero(free),
            key=lambda group: (sizes[group], -samples[stratum_of[group]], groups[order[first[group]]]),
        )
        part_of[smallest], free[smallest] = part, False
        room[stratum_of[smallest]] -= sizes[smallest]
    made[order] = part_of[group_of]
    return made
