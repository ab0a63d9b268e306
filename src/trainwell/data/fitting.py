"""What an encoder learns, from the training part alone."""

import dataclasses
from collections.abc import Sequence

import polars as pl

from trainwell.core.errors import DataError
from trainwell.data import columns as cells
from trainwell.data.columns import CategoryColumn, Column, DateColumn
from trainwell.data.encoders import TableEncoder

MOST_CATEGORIES = 1000


def fit_table(frame: pl.DataFrame, kinds: Sequence[Column]) -> tuple[TableEncoder, dict[str, str]]:
    """Categories and parts of dates, learnt from the rows of the training part alone.

    Args:
        frame: the training part.
        kinds: what each column holds.
    Returns:
        The encoder, and for columns that do not vary in training, why they are left out.
    """
    fitted: list[Column] = []
    constant: dict[str, str] = {}
    for column in kinds:
        given = frame[column.name]
        made = _fitted(column, given)
        if made is None:
            constant[column.name] = "it is constant in the training part"
        else:
            fitted.append(made)
    if not fitted:
        raise DataError("A table needs a column to learn from, but all are empty, constant or identifiers.")
    return TableEncoder(columns=tuple(fitted)), constant


def _fitted(column: Column, given: pl.Series) -> Column | None:
    if isinstance(column, CategoryColumn):
        texts = cells.as_texts(given)
        counts = texts.drop_nulls().value_counts(name="samples")
        # A value seen once teaches nothing about itself, but teaches what an unknown one is like.
        often = counts.filter(pl.col("samples") > 1).sort("samples", column.name, descending=[True, False])
        values = often.to_series(0).head(MOST_CATEGORIES).sort().to_list()
        varies = len(values) > 1 or (len(values) == 1 and len(texts) > int(often["samples"][0]))
        return dataclasses.replace(column, values=tuple(values)) if varies else None
    if isinstance(column, DateColumn):
        dates = cells.as_dates(cells.without_words(given), format=column.format)
        parts = tuple(part for part in column.parts if cells.date_part(dates, part).drop_nulls().n_unique() > 1)
        return dataclasses.replace(column, parts=parts) if parts else None
    numbers = cells.as_numbers(cells.without_words(given), decimal=column.decimal)
    return column if numbers.n_unique() > 1 else None
