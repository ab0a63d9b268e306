"""Table files: CSV, TSV, Parquet, Arrow. Text cells stay text; what a column holds is decided once, in `columns`."""

import contextlib
import csv
import glob
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from trainwell.core.errors import DataError
from trainwell.data.arrays import split_off_targets
from trainwell.data.blocks import Blocks, RowNames, stored, stored_by_column, table_in_blocks
from trainwell.data.files import open_regular
from trainwell.data.fingerprint import digest_of_files, digest_of_text
from trainwell.data.raw import UNDECIDED, Located, Raw, shown, shown_path
from trainwell.data.table_text import TableText, open_text

TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".data")
BINARY_SUFFIXES = (".parquet", ".pq", ".arrow", ".feather", ".ipc")
_SEPARATORS = (",", ";", "\t", "|")
# What is read of a text file at a time: more where there are many columns, so that each has a few thousand cells.
_BLOCK_BYTES = 4 << 20
_BYTES_A_COLUMN = 1 << 16
_MOST_BLOCK_BYTES = 256 << 20


def _separator(head: str, path: Path) -> str:
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    best, score = ",", 0.0
    for candidate in _SEPARATORS:
        try:
            counts = [len(row) - 1 for row in csv.reader(lines, delimiter=candidate)]
        except csv.Error:
            continue
        # What separates cells occurs in the header, and in each line as often.
        same = sum(count == counts[0] for count in counts) / len(counts)
        if counts[0] and same * (1 + counts[0] / 1000) > score:
            best, score = candidate, same * (1 + counts[0] / 1000)
    return best


def _headers(text: str, separator: str, name: str) -> list[str]:
    try:
        found = next((row for row in csv.reader(io.StringIO(text), delimiter=separator) if row), [])
    except csv.Error as error:
        raise DataError(f"{name} must begin with a line of column names, but it cannot be read ({error}).") from error
    headers = [shown(header.strip()) or f"Unnamed: {i}" for i, header in enumerate(found)]
    numbers = [header for header in headers if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", header, re.I)]
    if len(numbers) == len(headers) > 1 and numbers != [str(i) for i in range(len(numbers))]:
        raise DataError(
            f"{name} must begin with a line of column names, but its first line is numbers ({', '.join(numbers[:4])}). "
            "Add a line of names."
        )
    check_headers(headers, name)
    return headers


def check_headers(headers: list[str], name: str) -> None:
    """Whether a table's columns have names that differ.

    Raises:
        DataError: two have the same.
    """
    twice = next((header for header, count in Counter(headers).items() if count > 1), None)
    if twice is not None:
        raise DataError(
            f'Columns must have names that differ, but {name} has "{twice}" {headers.count(twice)} times. '
            "Rename or remove one."
        )


def _problem(lines: Iterator[str], separator: str, width: int) -> str:
    try:
        for i, row in enumerate(csv.reader(lines, delimiter=separator)):
            if len(row) > width:
                return f"line {i + 1} has {len(row)} cells where the header has {width}"
    except csv.Error as error:
        return shown(str(error))
    return "a quote is not closed"


def _text_frames(text: TableText, path: Path, name: str) -> Iterator[pl.DataFrame]:
    head = text.head()
    separator = _separator(head, path)
    headers = _headers(head, separator, name)
    again = separator.join(f"c{i}" for i in range(len(headers))).encode() + b"\n"
    size = min(max(_BLOCK_BYTES, _BYTES_A_COLUMN * len(headers)), _MOST_BLOCK_BYTES)
    for i, block in enumerate(text.records(size)):
        try:
            frame = pl.read_csv(io.BytesIO(again + block if i else block), separator=separator, infer_schema=False)
        except pl.exceptions.NoDataError as error:
            raise DataError(f"{name} must have rows, but has only column names.") from error
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                f"{name} must be a table, but {_problem(text.lines(), separator, len(headers))}. Mend that line."
            ) from error
        # An open quote swallows the lines that follow it.
        swallowed = block.count(b'"') % 2 and frame.height < len(block.splitlines()) - (not i) - block.count(b"\n\n")
        if frame.width != len(headers) or swallowed:
            raise DataError(
                f"{name} must be a table, but {_problem(text.lines(), separator, len(headers))}. Mend that line."
            )
        yield frame.rename(dict(zip(frame.columns, headers, strict=True)))


def _opened(path: Path) -> tuple[Iterator[pl.DataFrame] | None, tuple[str, ...]]:
    """Blocks of a text file, or None for a binary one; and sentences about how it is read."""
    name = shown_path(path)
    try:
        with open_regular(path) as handle:
            head = handle.read(8)
    except OSError as error:
        raise DataError(f"{name} must be readable, but: {error.strerror or error}.") from error
    if not head:
        raise DataError(f"{name} must be a table, but is empty.")
    if head[:4] == b"PAR1" or head[:6] in (b"ARROW1", b"FEA1") or path.suffix.lower() in BINARY_SUFFIXES:
        return None, ()
    text = open_text(path, name)
    return _text_frames(text, path, name), text.warnings


def read_table(path: str | Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """A table file in memory, and sentences about how it was read.

    Args:
        path: .csv, .tsv, .txt, .data (text) or .parquet, .arrow, .feather (binary).
    Returns:
        Text cells as text from text files, typed ones from others.
    Raises:
        DataError: it cannot be read, is empty, ragged or binary, or two columns have one name.
    """
    path = Path(path)
    frames, warnings = _opened(path)
    frame = _read_binary(path) if frames is None else pl.concat(frames, rechunk=False)
    _check_size(frame, shown_path(path))
    return frame, warnings


def store_table(path: Path, *, scratch: Path) -> tuple[Blocks, tuple[str, ...]]:
    """The same in blocks of rows: what is in memory does not grow with the file.

    Args:
        path: as for `read_table`.
        scratch: a folder for the blocks.
    Raises:
        DataError: as for `read_table`.
    """
    frames, warnings = _opened(path)
    table = _store_binary(path, scratch=scratch) if frames is None else stored(frames, scratch)
    _check_size(table, shown_path(path))
    return table, warnings


def _check_size(frame: pl.DataFrame | Blocks, name: str) -> None:
    if not frame.width:
        raise DataError(f"{name} must have columns, but has none.")
    if not frame.height:
        raise DataError(f"{name} must have rows, but has only column names.")


@contextlib.contextmanager
def _undamaged(name: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        # Its Rust code panics on some damaged files, with an exception that is no Exception.
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError | GeneratorExit):
            raise
        raise DataError(
            f"{name} must be a Parquet or Arrow file, but is damaged or something else. Save it again."
        ) from error


def _is_parquet(path: Path, name: str) -> bool:
    try:
        with open_regular(path) as handle:
            return handle.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(f"{name} must be readable, but: {error.strerror or error}.") from error


def _binary_headers(given: list[str], name: str) -> list[str]:
    headers = [shown(header) for header in given]
    check_headers(headers, name)
    return headers


def _read_binary(path: Path) -> pl.DataFrame:
    name = shown_path(path)
    reader = pl.read_parquet if _is_parquet(path, name) else pl.read_ipc
    with _undamaged(name):
        # From bytes: polars would take some paths for patterns.
        frame = reader(io.BytesIO(path.read_bytes()))
    _check_size(frame, name)
    return frame.rename(dict(zip(frame.columns, _binary_headers(frame.columns, name), strict=True)))


def _store_binary(path: Path, *, scratch: Path) -> Blocks:
    name = shown_path(path)
    text = os.fspath(path)
    if glob.escape(text) != text:
        return table_in_blocks(_read_binary(path))
    reader = pl.read_parquet if _is_parquet(path, name) else pl.read_ipc
    with _undamaged(name):
        given = reader(path, n_rows=0).columns
    if not given:
        raise DataError(f"{name} must have columns, but has none.")
    headers = _binary_headers(given, name)

    def columns() -> Iterator[pl.Series]:
        for old, new in zip(given, headers, strict=True):
            with _undamaged(name):
                column = reader(path, columns=[old]).to_series()
            yield column.alias(new)

    return stored_by_column(columns(), scratch, width=len(given))


def locate(path: Path, *, target: tuple[str, ...]) -> Located:
    """A table file.

    Args:
        path: the file.
        target: the columns to be predicted.
    """

    def digest() -> str:
        return digest_of_text("table", path.suffix.lower(), digest_of_files([("table", path)]))

    def raw(table: Blocks, warnings: tuple[str, ...]) -> Raw:
        inputs, targets = split_off_targets(table, target)
        return Raw(
            inputs=inputs,
            target=targets,
            names=RowNames(table.height),
            parts=np.full(table.height, UNDECIDED, np.int8),
            warnings=warnings,
        )

    def read() -> Raw:
        frame, warnings = read_table(path)
        return raw(table_in_blocks(frame), warnings)

    return Located(
        name=os.fspath(path),
        digest=digest,
        read=read,
        store=lambda scratch: raw(*store_table(path, scratch=scratch)),
    )
