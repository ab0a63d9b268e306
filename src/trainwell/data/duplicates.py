"""Samples that repeat each other: they must not stand on both sides of a split."""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.data import columns as cells
from trainwell.data.columns import Column, DateColumn, NumberColumn

SIGNIFICANT_DIGITS = 6
# With fewer different samples than this, repeats are what the data is like, and no copies.
FEWEST_DISTINCT = 50
# Two pictures are nearly identical if they differ by at most this share of the standard deviation of their pixels
# (saving as JPEG of quality 75 costs 0.02 to 0.08), or by one level of 255.
NEAR = 0.1
# Beyond this many pictures only identical ones are looked for.
MOST_COMPARED = 200_000
_THUMBNAIL = 8
_COMPONENTS = 10
_ROWS = 1024
_COLUMNS = 4096
_CANDIDATES = 1 << 16
_MOST_PAIRS = 2_000_000


def groups_of_rows(frame: pl.DataFrame, kinds: tuple[Column, ...]) -> NDArray[np.int64]:
    """A number for each row; rows that are alike share it.

    Args:
        frame: the table.
        kinds: the columns that count; identifiers are not among them.
    Returns:
        Groups: numbers are compared to SIGNIFICANT_DIGITS digits.
    """
    keys = []
    for i, column in enumerate(kinds):
        given = frame[column.name]
        words = cells.without_words(given)
        if isinstance(column, NumberColumn):
            # 0.0 is added so that -0.0 is 0.0.
            key = cells.as_numbers(words, decimal=column.decimal).round_sig_figs(SIGNIFICANT_DIGITS) + 0.0
        elif isinstance(column, DateColumn):
            key = cells.as_dates(words, format=column.format)
        else:
            key = cells.as_texts(given)
        keys.append(key.alias(str(i)))
    return same(pl.DataFrame(keys).hash_rows(seed=0).to_numpy())


def groups_of_pictures(stored: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A number for each picture; identical and nearly identical ones share it.

    Candidates are pictures whose thumbnails (8 x 8, gray, centred, in units of contrast) lie close; a pair counts only
    if its pixels do, so that small glyphs, whose thumbnails are all alike, are not taken for copies. Groups have a
    first picture that all others are near to: they do not grow along chains.

    Args:
        stored: (samples, height, width, channels); may be a memory map.
    """
    keys = np.array(
        [int.from_bytes(hashlib.blake2b(picture.tobytes(), digest_size=8).digest(), "big") for picture in stored],
        dtype=np.uint64,
    )
    groups = same(keys)
    first = np.unique(groups, return_index=True)[1]
    if len(first) < 2 or len(first) > MOST_COMPARED:
        return groups
    leader = np.arange(len(first))
    for left, right in _near_pairs(stored, first):
        if leader[left] == left and leader[right] == right:
            leader[right] = left
    return same(leader[groups].astype(np.uint64))


def _area(size: int, cells_: int) -> NDArray[np.float32]:
    # Row i holds the share of each pixel in cell i.
    edges = np.linspace(0, size, cells_ + 1)
    pixels = np.arange(size)
    shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    made: NDArray[np.float32] = (np.clip(shares, 0, None) * cells_ / size).astype(np.float32)
    return made


def _thumbnails(stored: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    down, across = _area(stored.shape[1], _THUMBNAIL), _area(stored.shape[2], _THUMBNAIL).T
    made = np.empty((len(rows), _THUMBNAIL * _THUMBNAIL), np.float32)
    for start in range(0, len(rows), _ROWS):
        block = stored[rows[start : start + _ROWS]].astype(np.float32)
        small = (down @ block.mean(3) @ across).reshape(len(block), -1)
        # In units of the picture's own contrast, but never finer than what one level of 255 may change.
        contrast = np.maximum(block.std((1, 2, 3)), 1.0 / NEAR)
        small -= small.mean(1, keepdims=True)
        made[start : start + _ROWS] = small / (contrast[:, None] * _THUMBNAIL)
    return made


def _near_pairs(stored: NDArray[np.uint8], rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    small = _thumbnails(stored, rows)
    axes = np.linalg.eigh(np.cov(small, rowvar=False))[1][:, ::-1][:, :_COMPONENTS].astype(np.float32)
    order = np.argsort(small @ axes[:, 0], kind="stable")
    small = small[order]
    points = small @ axes
    # One product gives |a|^2 + |b|^2 - 2ab.
    squares, ones = (points**2).sum(1, keepdims=True), np.ones((len(points), 1), np.float32)
    before, behind = np.hstack([points, squares, ones]), np.hstack([-2 * points, ones, squares]).T
    pairs: list[tuple[int, int]] = []
    compared = 0
    # Averaging brings pictures nearer, never further apart, and so does a projection: no near pair is missed.
    for start in range(0, len(points), _ROWS):
        block = slice(start, min(start + _ROWS, len(points)))
        reach = int(np.searchsorted(points[:, 0], points[block, 0].max() + NEAR, side="right"))
        for ahead in range(start, reach, _COLUMNS):
            distance = before[block] @ behind[:, ahead : min(ahead + _COLUMNS, reach)]
            left, right = np.divmod(np.flatnonzero(distance <= NEAR**2), distance.shape[1])
            left, right = left + start, right + ahead
            left, right = left[left < right], right[left < right]
            close = _close(small, left, right)
            left, right = order[left[close]], order[right[close]]
            # Pictures that all have one thumbnail would be compared each with each.
            compared += len(left)
            if compared > _MOST_PAIRS:
                return sorted(pairs)
            fits = _differ_little(stored, rows[left], rows[right])
            pairs += zip(np.minimum(left, right)[fits].tolist(), np.maximum(left, right)[fits].tolist(), strict=True)
    return sorted(pairs)


def _close(small: NDArray[np.float32], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
    # In pieces: where all thumbnails are much alike, every pair of a block is a candidate.
    made = np.zeros(len(left), bool)
    for start in range(0, len(left), _CANDIDATES):
        piece = slice(start, start + _CANDIDATES)
        made[piece] = np.linalg.norm(small[left[piece]] - small[right[piece]], axis=1) <= NEAR
    return made


def _differ_little(stored: NDArray[np.uint8], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
    made = np.zeros(len(left), bool)
    for start in range(0, len(left), _ROWS):
        a = stored[left[start : start + _ROWS]].astype(np.float32)
        b = stored[right[start : start + _ROWS]].astype(np.float32)
        rms = np.sqrt(((a - b) ** 2).mean((1, 2, 3)))
        contrast = np.minimum(a.std((1, 2, 3)), b.std((1, 2, 3)))
        made[start : start + _ROWS] = rms <= np.maximum(NEAR * contrast, 1.0)
    return made


def same(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Equal keys as equal numbers from 0, in the order of their first occurrence.

    Example:
        >>> same(np.array([7, 3, 7], np.uint64)).tolist()
        [0, 1, 0]
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]


def are_copies(groups: NDArray[np.int64]) -> bool:
    """Whether repeats are copies to be kept together, rather than what the data is like (few different samples)."""
    distinct = int(groups.max()) + 1
    return not (distinct < FEWEST_DISTINCT and len(groups) >= 2 * distinct)
