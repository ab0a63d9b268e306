"""Tables, valid and then not: CSV, TSV and Parquet."""

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
from fuzz_base import HOSTILE, Case, file_name, flip_bytes, truncate

ROWS = 72
EXTREMES = ("1e308", "-1e308", "NaN", "inf", "-Infinity", "1e-320", "99999999999999999999999", "1e400", "-0.0", "0x10")


@dataclass
class Table:
    """Cells as text, and what is done to the file at the end."""

    header: list[str]
    rows: list[list[str]]
    target: str
    separator: str
    suffix: str
    ending: str = "\n"
    damage: Callable[[bytes], bytes] | None = None


def valid(draw: random.Random, *, separator: str, suffix: str) -> Table:
    """A table that has something to learn: numbers with gaps, categories, booleans, dates, an identifier."""
    header = ["id", "width", "height", "colour", "is new", "made", "kind", "price"]
    rows = []
    for i in range(ROWS):
        width = draw.gauss(0, 1)
        kind = "wide" if width + 0.3 * draw.gauss(0, 1) > 0 else "narrow"
        height = "" if draw.random() < 0.1 else f"{draw.gauss(10, 3):.2f}"
        made = f"20{draw.randint(10, 24)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
        colour, new = draw.choice(("red", "green", "blue", "")), draw.choice(("true", "false"))
        rows.append([f"{i:05}", f"{width:.4f}", height, colour, new, made, kind, f"{3 * width + draw.gauss(0, 1):.3f}"])
    return Table(header, rows, draw.choice(("kind", "kind", "price")), separator, suffix)


def _column(table: Table, draw: random.Random) -> int:
    return draw.randrange(len(table.header)) if table.header else 0


def _set(table: Table, column: int, values: Callable[[int], str]) -> None:
    for i, row in enumerate(table.rows):
        if column < len(row):
            row[column] = values(i)


def _target(table: Table) -> int:
    return table.header.index(table.target) if table.target in table.header else len(table.header) - 1


def retype(table: Table, draw: random.Random) -> None:
    kinds: tuple[Callable[[int], str], ...] = (
        lambda _: draw.choice(("yes", "no")),
        lambda _: f"{draw.gauss(0, 1):.2f}".replace(".", ","),
        lambda i: "x" if i % 9 == 0 else str(i),
        lambda _: f"{draw.randint(1, 12)}/{draw.randint(1, 28)}/2021 10:{draw.randint(10, 59)}",
        lambda _: str(draw.randint(0, 3)),
        lambda _: f"{draw.uniform(0, 1e6):,.2f}",
        lambda _: f"{draw.randint(1, 99)}%",
        lambda i: str(10**18 + i),
    )
    _set(table, _column(table, draw), draw.choice(kinds))


def reorder_columns(table: Table, draw: random.Random) -> None:
    order = draw.sample(range(len(table.header)), len(table.header))
    table.header = [table.header[i] for i in order]
    table.rows = [[row[i] for i in order if i < len(row)] for row in table.rows]


def reorder_rows(table: Table, draw: random.Random) -> None:
    draw.shuffle(table.rows)


def sort_rows(table: Table, draw: random.Random) -> None:
    table.rows.sort(key=lambda row: row[_target(table) % len(row)] if row else "")


def duplicate_header(table: Table, draw: random.Random) -> None:
    table.header[_column(table, draw)] = draw.choice(table.header)


def hostile_header(table: Table, draw: random.Random) -> None:
    column, name = _column(table, draw), draw.choice(HOSTILE)
    if table.header[column] == table.target:
        table.target = name
    table.header[column] = name


def hostile_cells(table: Table, draw: random.Random) -> None:
    chosen = draw.sample(HOSTILE, 3)
    _set(table, table.header.index("colour") if "colour" in table.header else 0, lambda _: draw.choice(chosen))


def hostile_classes(table: Table, draw: random.Random) -> None:
    chosen = draw.sample(HOSTILE, draw.randint(2, 5))
    _set(table, _target(table), lambda _: draw.choice(chosen))


def extreme_values(table: Table, draw: random.Random) -> None:
    column, share = _column(table, draw), draw.choice((0.03, 0.5, 1.0))
    for row in table.rows:
        if draw.random() < share and column < len(row):
            row[column] = draw.choice(EXTREMES)


def one_class(table: Table, draw: random.Random) -> None:
    _set(table, _target(table), lambda _: "wide")


def rare_class(table: Table, draw: random.Random) -> None:
    names, often = ("a", "b", "c"), draw.randint(1, 3)
    _set(table, _target(table), lambda i: names[1] if i < often else names[2 if i < 2 * often else 0])


def huge_cardinality(table: Table, draw: random.Random) -> None:
    _set(table, _column(table, draw), lambda i: f"v{i}-{draw.random()}")


def constant_column(table: Table, draw: random.Random) -> None:
    _set(table, _column(table, draw), lambda _: "7")


def empty_column(table: Table, draw: random.Random) -> None:
    _set(table, _column(table, draw), lambda _: "")


def gaps(table: Table, draw: random.Random) -> None:
    word = draw.choice(("", "NA", "?", "null", "-"))
    for row in table.rows:
        for i in range(len(row)):
            if draw.random() < 0.3:
                row[i] = word


def few_rows(table: Table, draw: random.Random) -> None:
    table.rows = table.rows[: draw.choice((0, 1, 2, 5, 12))]


def same_rows(table: Table, draw: random.Random) -> None:
    table.rows = [list(table.rows[i % draw.choice((1, 3, 40))]) for i in range(len(table.rows))] if table.rows else []


def only_target(table: Table, draw: random.Random) -> None:
    keep = _target(table)
    table.header = [table.header[keep]]
    table.rows = [[row[keep]] for row in table.rows if keep < len(row)]


def ragged(table: Table, draw: random.Random) -> None:
    if table.rows:
        row = draw.choice(table.rows)
        row[:] = row[: draw.randint(0, len(row))] if draw.random() < 0.5 else [*row, "more"]


def many_columns(table: Table, draw: random.Random) -> None:
    table.header += [f"extra {i}" for i in range(60)]
    for row in table.rows:
        row += [f"{draw.gauss(0, 1):.3f}" for _ in range(60)]


def damaged(table: Table, draw: random.Random) -> None:
    kinds: tuple[Callable[[bytes], bytes], ...] = (
        lambda data: truncate(data, draw),
        lambda data: flip_bytes(data, draw),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode("utf-8", "replace").encode("utf-16"),
        lambda data: data.replace(b"red", b"r\xe9d"),
        lambda data: data.replace(b"red", b"r\0d"),
        lambda data: data.replace(b"red", b'"red', 1),
        lambda data: b"\n\n" + data + b"\n\n\n",
        lambda data: data.replace(b"\n", b" \n"),
    )
    table.damage = draw.choice(kinds)


def line_ending(table: Table, draw: random.Random) -> None:
    table.ending = draw.choice(("\r\n", "\r"))


def wrong_suffix(table: Table, draw: random.Random) -> None:
    table.suffix = draw.choice((".txt", ".data", ".tsv", ".parquet", ".npz", ".png", ".gz", "", ".CSV"))


def wrong_target(table: Table, draw: random.Random) -> None:
    table.target = draw.choice(("kindd", "", *HOSTILE))


def other_target(table: Table, draw: random.Random) -> None:
    table.target = draw.choice(table.header)


def write_text(case: Case, table: Table, draw: random.Random) -> None:
    """The table as text, under a name that may be hostile."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=table.separator, lineterminator=table.ending, escapechar="\\")
    writer.writerow(table.header)
    writer.writerows(table.rows)
    data = text.getvalue().encode("utf-8", "surrogateescape")
    _write(case, table, data, draw)


def write_parquet(case: Case, table: Table, draw: random.Random) -> None:
    """The table as typed columns."""
    names = list(dict.fromkeys(name.encode("utf-8", "replace").decode() for name in table.header))
    columns: dict[str, Any] = {}
    for i, name in enumerate(names):
        cells = [row[i].encode("utf-8", "replace").decode() if i < len(row) else None for row in table.rows]
        column = pl.Series(name, cells, dtype=pl.String)
        numbers = column.cast(pl.Float64, strict=False)
        columns[name] = numbers if numbers.null_count() < len(cells) / 2 else column
    frame = pl.DataFrame(columns)
    if "retyped" in case.told and frame.width:
        frame = _retyped(frame, draw)
    data = io.BytesIO()
    frame.write_parquet(data)
    _write(case, table, data.getvalue(), draw)


def _retyped(frame: pl.DataFrame, draw: random.Random) -> pl.DataFrame:
    column = frame.columns[draw.randrange(frame.width)]
    kinds = (
        pl.col(column).cast(pl.Float32, strict=False),
        pl.col(column).cast(pl.Int16, strict=False),
        pl.col(column).cast(pl.String).cast(pl.Categorical),
        pl.col(column).cast(pl.String).cast(pl.Binary),
        pl.concat_list(column, column),
        pl.struct(column).alias(column),
        pl.lit(None).alias(column),
        pl.int_range(pl.len()).cast(pl.Duration("ms")).alias(column),
        pl.int_range(pl.len()).cast(pl.Datetime("us")).alias(column),
        pl.int_range(pl.len()).cast(pl.Time).alias(column),
        pl.int_range(pl.len()).cast(pl.Decimal(10, 2)).alias(column),
        (pl.int_range(pl.len()) % 2 == 0).alias(column),
        pl.lit(float("nan")).alias(column),
    )
    return frame.with_columns(draw.choice(kinds))


def _write(case: Case, table: Table, data: bytes, draw: random.Random) -> None:
    stem = file_name(draw.choice(HOSTILE)) if draw.random() < 0.15 else None
    path = case.folder / f"{stem or 'table'}{table.suffix}"
    try:
        path.write_bytes(table.damage(data) if table.damage else data)
    except OSError:
        path = case.folder / f"table{table.suffix}"
        path.write_bytes(table.damage(data) if table.damage else data)
    if draw.random() < 0.05:
        link = case.folder / f"link{table.suffix}"
        link.symlink_to(path)
        path = link
    case.arguments += [str(path), f"--target={table.target}"]


MUTATIONS: tuple[Callable[[Table, random.Random], None], ...] = (
    *(retype, retype, reorder_columns, reorder_rows, sort_rows, duplicate_header, hostile_header, hostile_header),
    *(hostile_cells, hostile_classes, extreme_values, extreme_values, one_class, rare_class, huge_cardinality),
    *(constant_column, empty_column, gaps, few_rows, same_rows, only_target, ragged, many_columns, damaged, damaged),
    *(line_ending, wrong_suffix, wrong_target, other_target),
)
"""Changes of one table; some stand twice because they have many outcomes."""
