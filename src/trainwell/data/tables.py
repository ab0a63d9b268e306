"""Table files: CSV, TSV, Parquet, Arrow. Text cells stay text; what a column holds is decided once, in `columns`."""

import csv
import io
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from trainwell.core.errors import DataError
from trainwell.data.arrays import split_off_targets
from trainwell.data.files import open_regular
from trainwell.data.fingerprint import digest_of_files, digest_of_text
from trainwell.data.raw import UNDECIDED, Located, Raw, shown, shown_path

TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".data")
BINARY_SUFFIXES = (".parquet", ".pq", ".arrow", ".feather", ".ipc")
_SEPARATORS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 20


def _as_utf8(data: bytes, name: str) -> tuple[bytes, tuple[str, ...]]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return data.decode("utf-16").encode(), ()
        except UnicodeDecodeError as error:
            raise DataError(f"{name} must be a table, but its UTF-16 text is damaged. Save it as UTF-8.") from error
    if b"\0" in data:
        raise DataError(f"{name} must be a table in text, but holds binary data.")
    try:
        data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
        strange = sum(text.count(ch) for ch in map(chr, [*range(1, 9), *range(14, 32), 0xFFFD]))
        if strange > len(text) // 1000:
            raise DataError(f"{name} must be a table in text, but holds binary data.") from None
        note = f"{name} is no UTF-8: read as Windows-1252. Save it as UTF-8 if letters look wrong."
        return text.encode(), (note,)
    return data.removeprefix(b"\xef\xbb\xbf"), ()


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


def _problem(data: bytes, separator: str, width: int) -> str:
    try:
        for i, row in enumerate(csv.reader(io.StringIO(data.decode()), delimiter=separator)):
            if len(row) > width:
                return f"line {i + 1} has {len(row)} cells where the header has {width}"
    except csv.Error as error:
        return shown(str(error))
    return "a quote is not closed"


def _read_text(path: Path, data: bytes, name: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    data, warnings = _as_utf8(data, name)
    if not data.strip():
        raise DataError(f"{name} must be a table, but is empty.")
    head = data[:_HEAD_BYTES].decode("utf-8", "ignore")
    separator = _separator(head, path)
    headers = _headers(head, separator, name)
    try:
        frame = pl.read_csv(io.BytesIO(data), separator=separator, infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{name} must have rows, but has only column names.") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{name} must be a table, but {_problem(data, separator, len(headers))}. Mend that line."
        ) from error
    # An open quote swallows the lines that follow it.
    swallowed = data.count(b'"') % 2 and frame.height < len(data.splitlines()) - 1 - data.count(b"\n\n")
    if frame.width != len(headers) or swallowed:
        raise DataError(f"{name} must be a table, but {_problem(data, separator, len(headers))}. Mend that line.")
    return frame.rename(dict(zip(frame.columns, headers, strict=True))), warnings


def read_table(path: str | Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """A table file, and sentences about how it was read.

    Args:
        path: .csv, .tsv, .txt, .data (text) or .parquet, .arrow, .feather (binary).
    Returns:
        Text cells as text from text files, typed ones from others.
    Raises:
        DataError: it cannot be read, is empty, ragged or binary, or two columns have one name.
    """
    path = Path(path)
    name = shown_path(path)
    try:
        with open_regular(path) as handle:
            data = handle.read()
    except OSError as error:
        raise DataError(f"{name} must be readable, but: {error.strerror or error}.") from error
    if not data:
        raise DataError(f"{name} must be a table, but is empty.")
    if data[:4] == b"PAR1" or data[:6] in (b"ARROW1", b"FEA1") or path.suffix.lower() in BINARY_SUFFIXES:
        return _read_binary(data, name), ()
    frame, warnings = _read_text(path, data, name)
    _check_size(frame, name)
    return frame, warnings


def _check_size(frame: pl.DataFrame, name: str) -> None:
    if not frame.width:
        raise DataError(f"{name} must have columns, but has none.")
    if not frame.height:
        raise DataError(f"{name} must have rows, but has only column names.")


def _read_binary(data: bytes, name: str) -> pl.DataFrame:
    reader = pl.read_parquet if data[:4] == b"PAR1" else pl.read_ipc
    try:
        frame = reader(io.BytesIO(data))
    except BaseException as error:
        # Its Rust code panics on some damaged files, with an exception that is no Exception.
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise DataError(
            f"{name} must be a Parquet or Arrow file, but is damaged or something else. Save it again."
        ) from error
    _check_size(frame, name)
    headers = [shown(header) for header in frame.columns]
    check_headers(headers, name)
    return frame.rename(dict(zip(frame.columns, headers, strict=True)))


def locate(path: Path, *, target: tuple[str, ...]) -> Located:
    """A table file.

    Args:
        path: the file.
        target: the columns to be predicted.
    """

    def digest() -> str:
        return digest_of_text("table", path.suffix.lower(), digest_of_files([("table", path)]))

    def read() -> Raw:
        frame, warnings = read_table(path)
        inputs, targets = split_off_targets(frame, target)
        return Raw(
            inputs=inputs,
            target=targets,
            names=[f"row {i + 1}" for i in range(frame.height)],
            parts=np.full(frame.height, UNDECIDED, np.int8),
            warnings=warnings,
        )

    return Located(name=os.fspath(path), digest=digest, read=read)
