"""Samples that repeat each other: they must not stand on both sides of a split."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.data import columns as cells
from trainwell.data.blocks import Blocks, table_in_blocks
from trainwell.data.columns import Column, DateColumn, NumberColumn

SIGNIFICANT_DIGITS = 6
# With fewer different samples than this, repeats are what the data is like, and no copies.
FEWEST_DISTINCT = 50


def groups_of_rows(
    table: pl.DataFrame | Blocks, kinds: tuple[Column, ...], *, rows: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """A number for each row; rows that are alike share it.

    Args:
        table: all rows.
        kinds: the columns that count; identifiers are not among them.
        rows: those to look at, ascending; None for all.
    Returns:
        Groups: numbers are compared to SIGNIFICANT_DIGITS digits.
    """
    table = table_in_blocks(table)
    keys = np.empty(table.height if rows is None else len(rows), np.uint64)
    done = 0
    for frame in table.frames([column.name for column in kinds], rows=rows):
        keys[done : done + frame.height] = _keys_of_rows(frame, kinds)
        done += frame.height
    return same(keys)


def _keys_of_rows(frame: pl.DataFrame, kinds: tuple[Column, ...]) -> NDArray[np.uint64]:
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
    return pl.DataFrame(keys).hash_rows(seed=0).to_numpy()


def same(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Equal keys as equal numbers from 0, in the order of their first occurrence.

    Example:
        >>> same(np.array([7, 3, 7], np.uint64)).tolist()
        [0, 1, 0]
    """
    # Leaner than np.unique, which holds seven arrays of this length.
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.ones(len(keys), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    del ordered
    leads = np.zeros(len(keys), bool)
    leads[order[begins]] = True
    made = np.cumsum(leads)
    del leads
    made -= 1
    again = np.flatnonzero(~begins)
    if len(again):
        # The key before it that is the first of its kind.
        leader = np.flatnonzero(begins)[np.cumsum(begins)[again] - 1]
        made[order[again]] = made[order[leader]]
    return made


def are_copies(groups: NDArray[np.int64]) -> bool:
    """Whether repeats are copies to be kept together, rather than what the data is like (few different samples)."""
    distinct = int(groups.max()) + 1
    return not (distinct < FEWEST_DISTINCT and len(groups) >= 2 * distinct)
