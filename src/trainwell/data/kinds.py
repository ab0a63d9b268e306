"""What a column of a table holds: numbers, categories, dates, or nothing to learn from."""

import re

import polars as pl

from trainwell.data.columns import (
    DATE_PARTS,
    DECIMALS,
    CategoryColumn,
    Column,
    DateColumn,
    NumberColumn,
    as_dates,
    as_numbers,
    as_texts,
    infinite,
)

# A column is what at least this share of its cells is; the others count as missing.
MOSTLY = 0.95
# Below so many rows, values that all differ prove nothing.
FEWEST_ROWS_OF_IDENTIFIER = 20
DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
)
_IDENTIFIER = re.compile(
    r"(^|[\W_])(id|ids|uuid|guid|index|idx|key|rownum|row|nr|no|number)$|^unnamed|[a-z]I[dD]$|^$", re.IGNORECASE
)
_TIME = re.compile(r"(^|[\W_])(year|month|week|day|date|time|hour|minute|second|age|jahr)s?($|[\W_])", re.IGNORECASE)


def _date_format(texts: pl.Series) -> str | None:
    present = texts.drop_nulls()
    if not len(present) or not bool(present.head(20).str.contains(r"\d").all()):
        return None
    for form in DATE_FORMATS:
        # A look at the first few spares most columns two dozen passes.
        if as_dates(present.head(20), format=form).null_count() > 1:
            continue
        if len(as_dates(present, format=form).drop_nulls()) >= MOSTLY * len(present):
            return form
    return None


def _row_number(name: str, column: pl.Series, *, distinct: int) -> str | None:
    rows = len(column)
    if distinct < rows or rows < FEWEST_ROWS_OF_IDENTIFIER:
        return None
    whole = as_numbers(column)
    if whole.null_count() or bool((whole != whole.round()).any()):
        return None
    if _IDENTIFIER.search(name):
        return "every row has its own number, and the name is an identifier's"
    ordered = whole.sort()
    first, last = float(ordered[0]), float(ordered[-1])
    consecutive = last - first == rows - 1
    if consecutive and (first in (0.0, 1.0) or (bool((whole == ordered).all()) and not _TIME.search(name))):
        return "it counts the rows"
    return None


def kind_of(column: pl.Series) -> tuple[Column | None, str]:
    """What a column holds: a column to encode with nothing fitted yet, or None, and why.

    Args:
        column: as read.
    Returns:
        The column and a sentence, empty where nothing is to be said.
    """
    name, rows = column.name, len(column)
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary):
        return None, f"its cells are {column.dtype}, neither numbers, categories nor dates"
    if column.dtype.is_temporal() and column.dtype not in (pl.Duration, pl.Time):
        dates = as_dates(column, format="")
        if dates.n_unique() <= 1:
            return None, "it is empty" if dates.null_count() == rows else "it is constant"
        return DateColumn(name=name, format="", parts=DATE_PARTS), ""
    numeric = column.dtype.is_numeric() or column.dtype in (pl.Duration, pl.Time)
    texts = column if numeric else as_texts(column)
    values = as_numbers(column) if numeric else texts
    missing, distinct = values.null_count(), values.drop_nulls().n_unique()
    if missing == rows:
        return None, "it is empty"
    if distinct == 1 and not missing:
        return None, "it is constant"
    if numeric:
        why = _row_number(name, column, distinct=distinct)
        return (None, why) if why else (NumberColumn(name=name), "")
    if distinct == 1 or column.dtype == pl.Boolean:
        return CategoryColumn(name=name, values=()), ""
    return _kind_of_texts(name, texts, present=rows - missing, distinct=distinct)


def _kind_of_texts(name: str, texts: pl.Series, *, present: int, distinct: int) -> tuple[Column | None, str]:
    coded = bool(texts.str.contains(r"^0\d").any())
    for decimal in DECIMALS:
        numbers = as_numbers(texts, decimal=decimal)
        found = len(numbers) - numbers.null_count()
        if coded or found < MOSTLY * present:
            continue
        why = _row_number(name, texts, distinct=distinct)
        if why:
            return None, why
        others = present - found - infinite(texts)
        note = f"{others:,} cells that are no numbers count as missing" if others else ""
        return NumberColumn(name=name, decimal=decimal), note
    form = _date_format(texts)
    if form is not None:
        return DateColumn(name=name, format=form, parts=DATE_PARTS), ""
    if present >= FEWEST_ROWS_OF_IDENTIFIER:
        if distinct == present:
            return None, "every row has its own text: an identifier"
        if distinct > present / 2:
            return None, "almost every row has its own text"
    return CategoryColumn(name=name, values=()), ""


def missing_in(column: pl.Series) -> int:
    """Cells without a value: empty, NaN, or a word for it."""
    if column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary) or column.dtype.is_temporal():
        return column.null_count()
    return (as_numbers(column) if column.dtype.is_numeric() else as_texts(column)).null_count()


def distinct_in(column: pl.Series) -> int:
    """Different values, missing ones not counted; 0 where they cannot be compared."""
    return 0 if column.dtype.is_nested() or column.dtype == pl.Object else column.drop_nulls().n_unique()
