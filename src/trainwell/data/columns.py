"""What a column of a table holds, and how its cells become numbers: the same way in training and at prediction."""

from typing import Literal

import polars as pl

from trainwell.core.records.record import record

MISSING_WORDS = frozenset({"", "?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing"})
# "None" may well be a class; an empty cell is none.
MISSING_LABEL_WORDS = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "null"})

Decimal = Literal[".", ","]
DECIMALS: tuple[Decimal, ...] = (".", ",")
DatePart = Literal["days", "year", "month", "day", "weekday", "hour", "minute", "second"]
DATE_PARTS: tuple[DatePart, ...] = ("days", "year", "month", "day", "weekday", "hour", "minute", "second")


@record
class NumberColumn:
    """A column of numbers. `decimal` is the sign before the fraction where cells are text."""

    kind: Literal["number"] = "number"
    name: str
    decimal: Decimal = "."


@record
class CategoryColumn:
    """A column of categories. `values` are those seen in training: the first has code 1; every other is code 0."""

    kind: Literal["category"] = "category"
    name: str
    values: tuple[str, ...]


@record
class DateColumn:
    """A column of dates, as several numbers. `format` is chrono's, empty where cells are dates already."""

    kind: Literal["date"] = "date"
    name: str
    format: str
    parts: tuple[DatePart, ...]


Column = NumberColumn | CategoryColumn | DateColumn


def as_texts(column: pl.Series, *, missing: frozenset[str] = MISSING_WORDS) -> pl.Series:
    """Cells as text: whole numbers without a fraction, booleans in small letters, words for "missing" as missing.

    Args:
        column: any type of cell.
        missing: which words, in small letters, stand for a missing value.
    Example:
        >>> as_texts(pl.Series([1.0, 2.5, None])).to_list()
        ['1', '2.5', None]
    """
    if isinstance(column.dtype, pl.Enum):
        # Its values are what they say: a folder may be called "NA".
        return column.cast(pl.String)
    if column.dtype.is_float():
        whole = column.is_finite() & (column == column.round()) & (column.abs() < 2**53)
        texts = (
            pl.DataFrame({"value": column, "whole": whole})
            .select(
                pl.when("whole")
                .then(pl.when("whole").then("value").cast(pl.Int64, strict=False).cast(pl.String))
                .otherwise(pl.col("value").cast(pl.String))
            )
            .to_series()
        )
    else:
        texts = column.cast(pl.String, strict=False)
    texts = texts.str.strip_chars()
    low = texts.str.to_lowercase()
    return (
        pl.DataFrame({"text": texts, "low": low})
        .select(
            pl.when(pl.col("low").is_in(sorted(missing)))
            .then(None)
            .when(pl.col("low").is_in(["true", "false"]))
            .then("low")
            .otherwise("text")
            .alias(column.name)
        )
        .to_series()
    )


def as_numbers(column: pl.Series, *, decimal: Decimal = ".") -> pl.Series:
    """Cells as float64, missing where they are no finite number of float32's range.

    Args:
        column: numbers, booleans, durations (in seconds), times of day (in hours), or text.
        decimal: the sign before the fraction where cells are text.
    Example:
        >>> as_numbers(pl.Series(["1,5", "x", "2"]), decimal=",").to_list()
        [1.5, None, 2.0]
    """
    if column.dtype == pl.String:
        texts = column.str.strip_chars()
        if decimal == ",":
            texts = texts.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        else:
            # 1,234,567.8: three digits after each comma, and no leading zero as in 0,125.
            grouped = texts.str.contains(r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$").fill_null(False)
            if grouped.any():
                texts = texts.zip_with(~grouped, texts.str.replace_all(",", "", literal=True))
        numbers = texts.cast(pl.Float64, strict=False)
    elif column.dtype == pl.Duration:
        numbers = column.dt.total_microseconds().cast(pl.Float64) / 1e6
    elif column.dtype == pl.Time:
        numbers = column.cast(pl.Int64).cast(pl.Float64) / 3.6e12
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64, strict=False)
    else:
        numbers = as_texts(column).cast(pl.Float64, strict=False)
    frame = pl.DataFrame({column.name: numbers})
    fits = pl.col(column.name).is_finite() & (pl.col(column.name).abs() <= 3.4e38)
    return frame.select(pl.when(fits).then(pl.col(column.name)).otherwise(None)).to_series()


def without_words(column: pl.Series) -> pl.Series:
    """Numbers and dates as they are; anything else as text with words for "missing" as missing."""
    return column if column.dtype.is_numeric() or column.dtype.is_temporal() else as_texts(column)


def infinite(column: pl.Series) -> int:
    """How many cells are Inf or -Inf, as numbers or as words."""
    if column.dtype.is_float():
        return int(column.is_infinite().sum())
    if column.dtype == pl.String:
        return int(column.str.strip_chars().cast(pl.Float64, strict=False).is_infinite().sum() or 0)
    return 0


def as_dates(column: pl.Series, *, format: str) -> pl.Series:  # noqa: A002 - as DateColumn.format is named
    """Cells as dates without a time zone, missing where they are none."""
    if column.dtype == pl.String:
        texts = column.str.strip_chars()
        if "%#z" in format:
            parsed = texts.str.to_datetime(format, strict=False, time_unit="us", time_zone="UTC")
            return parsed.dt.replace_time_zone(None)
        if "%H" not in format:
            return texts.str.to_date(format, strict=False).cast(pl.Datetime("us"))
        return texts.str.to_datetime(format, strict=False, time_unit="us")
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        dates = column.dt.cast_time_unit("us")
        return dates.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if column.dtype.time_zone else dates
    return pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))


def date_part(dates: pl.Series, part: DatePart) -> pl.Series:
    """One number of each date: days since 1970-01-01 (a fraction), or a part of the calendar and clock."""
    if part == "days":
        return dates.dt.epoch("us").cast(pl.Float64) / 86_400e6
    numbers: pl.Series = getattr(dates.dt, part)()
    return numbers.cast(pl.Float64)
