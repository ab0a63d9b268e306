"""What an encoder learns, from the training part alone."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.errors import DataError
from trainwell.data import columns as cells
from trainwell.data.blocks import Blocks, ColumnBlocks
from trainwell.data.columns import CategoryColumn, Column, DateColumn, DatePart
from trainwell.data.encoders import TableEncoder

MOST_CATEGORIES = 1000


def fit_table(
    table: Blocks, kinds: Sequence[Column], *, rows: NDArray[np.int64]
) -> tuple[TableEncoder, dict[str, str]]:
    """Categories and parts of dates, learnt from the rows of the training part alone.

    Args:
        table: all rows.
        kinds: what each column holds.
        rows: the training part, ascending.
    Returns:
        The encoder, and for columns that do not vary in training, why they are left out.
    """
    fitted: list[Column] = []
    constant: dict[str, str] = {}
    for column in kinds:
        made = _fitted(column, table.column(column.name, rows=rows))
        if made is None:
            constant[column.name] = "it is constant in the training part"
        else:
            fitted.append(made)
    if not fitted:
        raise DataError("A table needs a column to learn from, but all are empty, constant or identifiers.")
    return TableEncoder(columns=tuple(fitted)), constant


def _fitted(column: Column, given: ColumnBlocks) -> Column | None:
    if isinstance(column, CategoryColumn):
        counts = _counts(given)
        # A value seen once teaches nothing about itself, but teaches what an unknown one is like.
        often = counts.filter(pl.col("samples") > 1).sort("samples", "value", descending=[True, False])
        values = often["value"].head(MOST_CATEGORIES).sort().to_list()
        varies = len(values) > 1 or (len(values) == 1 and given.rows > int(often["samples"][0]))
        return dataclasses.replace(column, values=tuple(values)) if varies else None
    if isinstance(column, DateColumn):
        parts = _varying_parts(column, given)
        return dataclasses.replace(column, parts=parts) if parts else None
    change = functools.partial(cells.as_numbers, decimal=column.decimal)
    return column if _vary((change(cells.without_words(block)) for block in given.blocks()), gaps=True) else None


def _counts(given: ColumnBlocks) -> pl.DataFrame:
    made = pl.DataFrame(schema={"value": pl.String, "samples": pl.Int64})
    for block in given.blocks():
        texts = cells.as_texts(block).drop_nulls().alias("value")
        counts = texts.value_counts(name="samples").cast({"samples": pl.Int64})
        made = pl.concat([made, counts]).group_by("value").agg(pl.col("samples").sum())
    return made


def _varying_parts(column: DateColumn, given: ColumnBlocks) -> tuple[DatePart, ...]:
    varying: tuple[DatePart, ...] = ()
    for part in column.parts:
        numbers = (
            cells.date_part(cells.as_dates(cells.without_words(block), format=column.format), part)
            for block in given.blocks()
        )
        varying += (part,) if _vary(numbers, gaps=False) else ()
    return varying


def _vary(blocks: Iterable[pl.Series], *, gaps: bool) -> bool:
    # Stops as soon as two values differ; a gap counts as a value where it is to be told apart.
    seen: float | None = None
    gap = False
    for block in blocks:
        values = block.drop_nulls()
        gap = gap or (gaps and len(values) < len(block))
        if not len(values):
            continue
        seen = float(values[0]) if seen is None else seen
        if gap or bool((values != seen).any()):
            return True
    return gap and seen is not None
