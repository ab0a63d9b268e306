"""What a column is taken for."""

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from trainwell.data.columns import (
    DATE_PARTS,
    CategoryColumn,
    DateColumn,
    NumberColumn,
    as_dates,
    as_numbers,
    as_texts,
    date_part,
    infinite,
)
from trainwell.data.kinds import DATE_FORMATS, counts_in, kind_of

N = 40
RNG = np.random.default_rng(0)


def days(form: str) -> list[str]:
    start = datetime.datetime(2020, 1, 1, 10, 30, 15)
    python = form.replace("%.f", ".%f").replace("%#z", "+02:00")
    return [(start + datetime.timedelta(days=7 * i, hours=i, minutes=i, seconds=i)).strftime(python) for i in range(N)]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (RNG.normal(size=N), NumberColumn(name="x")),
        (RNG.integers(0, 5, N), NumberColumn(name="x")),
        ([f"{value:.3f}" for value in RNG.normal(size=N)], NumberColumn(name="x")),
        ([f"{value:.1f}".replace(".", ",") for value in RNG.normal(size=N)], NumberColumn(name="x", decimal=",")),
        ([f"{value:,}" for value in RNG.integers(1000, 10**7, N)], NumberColumn(name="x")),
        ([f"{i % 7}" if i else "n/a" for i in range(N)], NumberColumn(name="x")),
        ([f"{i % 7}" if i else "about 4" for i in range(N)], NumberColumn(name="x")),
        (["u", "v"] * (N // 2), CategoryColumn(name="x", values=())),
        ([True, False] * (N // 2), CategoryColumn(name="x", values=())),
        (["true", "FALSE"] * (N // 2), CategoryColumn(name="x", values=())),
        (["yes", None] * (N // 2), CategoryColumn(name="x", values=())),
        (["01", "02", "10", "07"] * (N // 4), CategoryColumn(name="x", values=())),
        ([datetime.date(2020, 1, 1 + i % 20) for i in range(N)], DateColumn(name="x", format="", parts=DATE_PARTS)),
        ([datetime.timedelta(seconds=i % 9) for i in range(N)], NumberColumn(name="x")),
        ([datetime.time(i % 20) for i in range(N)], NumberColumn(name="x")),
    ],
)
def test_kind(cells: Any, kind: Any) -> None:
    assert kind_of(pl.Series("x", cells))[0] == kind


@pytest.mark.parametrize(
    ("name", "cells", "why"),
    [
        ("x", [None] * N, "it is empty"),
        ("x", ["", "?", "NA", "null"] * (N // 4), "it is empty"),
        ("x", [float("nan")] * N, "it is empty"),
        ("x", [3] * N, "it is constant"),
        ("x", ["u"] * N, "it is constant"),
        ("x", [datetime.date(2020, 1, 1)] * N, "it is constant"),
        ("x", list(range(N)), "it counts the rows"),
        ("x", list(RNG.permutation(N) + 1), "it counts the rows"),
        ("x", list(range(500, 500 + N)), "it counts the rows"),
        ("x", [str(i) for i in range(N)], "it counts the rows"),
        ("customer_id", list(RNG.permutation(9000)[:N]), "every row has its own number"),
        ("PassengerId", list(RNG.permutation(9000)[:N]), "every row has its own number"),
        ("x", [f"name {i}" for i in range(N)], "every row has its own text: an identifier"),
        ("x", [f"name {i * 2 // 3}" for i in range(N)], "almost every row has its own text"),
        ("x", [[1, 2]] * N, "neither numbers, categories nor dates"),
    ],
)
def test_left_out(name: str, cells: list[Any], why: str) -> None:
    kind, said = kind_of(pl.Series(name, cells, strict=False))
    assert kind is None
    assert why in said


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("year", list(range(1950, 1950 + N))),
        ("salary", list(RNG.permutation(90_000)[:N])),
        ("x", list(np.linspace(0, 1, N))),
        ("x", list(range(5))),
        ("id_of_shop", [i % 5 for i in range(N)]),
    ],
)
def test_not_taken_for_an_identifier(name: str, cells: list[Any]) -> None:
    assert isinstance(kind_of(pl.Series(name, cells))[0], NumberColumn)


@pytest.mark.parametrize("form", DATE_FORMATS)
def test_every_date_format(form: str) -> None:
    cells = days(form)
    column, _ = kind_of(pl.Series("x", cells))
    assert isinstance(column, DateColumn)
    dates = as_dates(pl.Series("x", cells), format=column.format)
    assert dates.null_count() == 0
    # Formats that say the same may stand for each other; the calendar must come out right.
    assert dates[9].month == 3
    assert dates[9].year == 2020


def test_words_that_are_no_numbers_are_said() -> None:
    _, why = kind_of(pl.Series("x", [str(i % 7) for i in range(N)] + ["about 4"]))
    assert why == "1 cells that are no numbers count as missing"


def test_date_parts() -> None:
    dates = pl.Series([datetime.datetime(1970, 1, 2, 12, 30, 15)])
    found = {part: date_part(dates, part)[0] for part in DATE_PARTS}
    assert found == {
        "days": pytest.approx(1.52101, abs=1e-4),
        "year": 1970,
        "month": 1,
        "day": 2,
        "weekday": 5,
        "hour": 12,
        "minute": 30,
        "second": 15,
    }


def test_dates_with_a_zone_are_utc() -> None:
    text = as_dates(pl.Series(["2020-01-01T00:30:00.0+02:00"]), format="%Y-%m-%dT%H:%M:%S%.f%#z")
    typed = as_dates(pl.Series(["2020-01-01T00:30:00"]).str.to_datetime(time_zone="Europe/Rome"), format="")
    assert text[0] == datetime.datetime(2019, 12, 31, 22, 30)
    assert typed[0] == datetime.datetime(2019, 12, 31, 23, 30)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        ([1, None, 3], [1.0, None, 3.0]),
        ([1.5, float("nan"), float("inf")], [1.5, None, None]),
        ([1e300, -1e39, 3e38], [None, None, 3e38]),
        ([True, False, None], [1.0, 0.0, None]),
        (["1", " 2.5 ", "x"], [1.0, 2.5, None]),
        (["1,234", "1,234,567.5", "0,125"], [1234.0, 1234567.5, None]),
        (["inf", "-Infinity", "NaN"], [None, None, None]),
    ],
)
def test_numbers(cells: list[Any], numbers: list[float | None]) -> None:
    assert as_numbers(pl.Series(cells)).to_list() == numbers


def test_texts() -> None:
    assert as_texts(pl.Series([" a ", "NA", "", None, "True"])).to_list() == ["a", None, None, None, "true"]
    assert as_texts(pl.Series([1, 2])).to_list() == ["1", "2"]
    assert as_texts(pl.Series(["NA", "x"], dtype=pl.Enum(["NA", "x"]))).to_list() == ["NA", "x"]


def test_counts() -> None:
    assert infinite(pl.Series([1.0, float("inf"), -float("inf")])) == 2
    assert infinite(pl.Series(["1", "inf", "x"])) == 1
    assert infinite(pl.Series([1])) == 0
    assert counts_in(pl.Series(["", "a", "?"])).missing == 2
    assert counts_in(pl.Series([1.0, float("nan"), None])).missing == 2
    assert counts_in(pl.Series(["a", "b", None, "a"])).distinct == 2
