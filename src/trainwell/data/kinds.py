"""What a column of a table holds: numbers, categories, dates, or nothing to learn from."""

import dataclasses
import math
import re

import polars as pl

from trainwell.data.blocks import ColumnBlocks, Distinct, column_in_blocks
from trainwell.data.columns import (
    DATE_PARTS,
    DECIMALS,
    CategoryColumn,
    Column,
    DateColumn,
    Decimal,
    NumberColumn,
    as_dates,
    as_numbers,
    as_texts,
    infinite,
    without_words,
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


def _date_format(column: ColumnBlocks) -> str | None:
    first = _first_texts(column, 20)
    if not len(first) or not bool(first.str.contains(r"\d").all()):
        return None
    present = column.total(lambda block: as_texts(block).count())
    for form in DATE_FORMATS:
        # A look at the first few spares most columns two dozen passes.
        if as_dates(first, format=form).null_count() > 1:
            continue
        if _dates_in(column, form) >= MOSTLY * present:
            return form
    return None


def _dates_in(column: ColumnBlocks, form: str) -> int:
    return column.total(lambda block: as_dates(as_texts(block), format=form).count())


def _numbers_in(column: ColumnBlocks, decimal: Decimal) -> int:
    return column.total(lambda block: as_numbers(as_texts(block), decimal=decimal).count())


def _first_texts(column: ColumnBlocks, count: int) -> pl.Series:
    found = pl.Series(column.name, [], dtype=pl.String)
    for block in column.blocks():
        found = pl.concat([found, as_texts(block).drop_nulls().head(count - len(found))])
        if len(found) == count:
            break
    return found


def _row_number(column: ColumnBlocks, *, distinct: int) -> str | None:
    name, rows = column.name, column.rows
    if distinct < rows or rows < FEWEST_ROWS_OF_IDENTIFIER:
        return None
    low, high, last, rising = math.inf, -math.inf, -math.inf, True
    for block in column.blocks():
        whole = as_numbers(without_words(block)).to_numpy()
        # A missing one is NaN here, and equal to nothing.
        if not bool((whole == whole.round()).all()):
            return None
        low, high = min(low, float(whole.min())), max(high, float(whole.max()))
        rising = rising and last <= whole[0] and bool((whole[1:] >= whole[:-1]).all())
        last = float(whole[-1])
    if _IDENTIFIER.search(name):
        return "every row has its own number, and the name is an identifier's"
    consecutive = high - low == rows - 1
    if consecutive and (low in (0.0, 1.0) or (rising and not _TIME.search(name))):
        return "it counts the rows"
    return None


def kind_of(column: pl.Series | ColumnBlocks) -> tuple[Column | None, str]:
    """What a column holds: a column to encode with nothing fitted yet, or None, and why.

    Args:
        column: as read.
    Returns:
        The column and a sentence, empty where nothing is to be said.
    """
    column = column_in_blocks(column)
    name, dtype, rows = column.name, column.dtype, column.rows
    if dtype.is_nested() or dtype in (pl.Object, pl.Binary):
        return None, f"its cells are {dtype}, neither numbers, categories nor dates"
    dates = dtype.is_temporal() and dtype not in (pl.Duration, pl.Time)
    numeric = dtype.is_numeric() or dtype in (pl.Duration, pl.Time)
    missing, found, coded, seen = 0, 0, False, Distinct(rows)
    for block in column.blocks():
        values = as_dates(block, format="") if dates else as_numbers(block) if numeric else as_texts(block)
        missing += values.null_count()
        seen.add(values)
        if not (dates or numeric):
            coded = coded or bool(values.str.contains(r"^0\d").any())
            found += 0 if coded else as_numbers(values).count()
    distinct = seen.count()
    if missing == rows:
        return None, "it is empty"
    if distinct == 1 and not missing:
        return None, "it is constant"
    if dates:
        return DateColumn(name=name, format="", parts=DATE_PARTS), ""
    if numeric:
        why = _row_number(column, distinct=distinct)
        return (None, why) if why else (NumberColumn(name=name), "")
    if distinct == 1 or dtype == pl.Boolean:
        return CategoryColumn(name=name, values=()), ""
    return _kind_of_texts(column, present=rows - missing, distinct=distinct, numbers=None if coded else found)


def _kind_of_texts(
    column: ColumnBlocks, *, present: int, distinct: int, numbers: int | None
) -> tuple[Column | None, str]:
    # `numbers` is how many cells are numbers with a decimal point, or None where they begin with 0 as codes do.
    name = column.name
    for decimal in () if numbers is None else DECIMALS:
        found = numbers if decimal == "." else _numbers_in(column, decimal)
        if found is None or found < MOSTLY * present:
            continue
        why = _row_number(column, distinct=distinct)
        if why:
            return None, why
        others = present - found
        others -= column.total(lambda block: infinite(as_texts(block))) if others else 0
        note = f"{others:,} cells that are no numbers count as missing" if others else ""
        return NumberColumn(name=name, decimal=decimal), note
    form = _date_format(column)
    if form is not None:
        return DateColumn(name=name, format=form, parts=DATE_PARTS), ""
    if present >= FEWEST_ROWS_OF_IDENTIFIER:
        if distinct == present:
            return None, "every row has its own text: an identifier"
        if distinct > present / 2:
            return None, "almost every row has its own text"
    return CategoryColumn(name=name, values=()), ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """What is told of a column.

    Attributes:
        missing: cells without a value: empty, NaN, or a word for it.
        distinct: different values, missing ones not counted; 0 where they cannot be compared.
        infinite: cells that are Inf or -Inf, as numbers or as words.
    """

    missing: int
    distinct: int
    infinite: int


def counts_in(column: pl.Series | ColumnBlocks) -> Counts:
    """What is told of a column, whatever its kind.

    Example:
        >>> counts_in(pl.Series(["1", "inf", "?", None]))
        Counts(missing=2, distinct=3, infinite=1)
    """
    column = column_in_blocks(column)
    dtype = column.dtype
    plain = dtype.is_nested() or dtype in (pl.Object, pl.Binary) or dtype.is_temporal()
    comparable = not (dtype.is_nested() or dtype == pl.Object)
    missing, endless, seen = 0, 0, Distinct(column.rows)
    for block in column.blocks():
        values = block if plain else as_numbers(block) if dtype.is_numeric() else as_texts(block)
        missing += values.null_count()
        endless += infinite(block)
        if comparable:
            seen.add(block)
    return Counts(missing=missing, distinct=seen.count(), infinite=endless)
