"""A table that is looked at a few thousand rows at a time: slices of one in memory, or pieces of a file."""

import dataclasses
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.data.texts import Strings

# Rows of a block times its columns; of wide tables each block has FEWEST_ROWS all the same.
CELLS = 1 << 18
FEWEST_ROWS = 1 << 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """Rows in a file, each column as a piece of it in Arrow's format.

    Attributes:
        file: where they are.
        height: how many.
        places: column -> first byte and length.
    """

    file: Path
    height: int
    places: dict[str, tuple[int, int]]

    def select(self, names: Sequence[str]) -> pl.DataFrame:
        """Some columns, read."""
        columns = []
        with self.file.open("rb") as handle:
            for name in names:
                start, length = self.places[name]
                handle.seek(start)
                columns.append(pl.read_ipc_stream(io.BytesIO(handle.read(length))).to_series().alias(name))
        return pl.DataFrame(columns)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnBlocks:
    """One column in blocks.

    Attributes:
        name: its header.
        dtype: of its cells, as polars has it.
        rows: how many.
        blocks: reads it from the start, in order.
    """

    name: str
    dtype: Any
    rows: int
    blocks: Callable[[], Iterator[pl.Series]]

    def total(self, count: Callable[[pl.Series], int]) -> int:
        """The sum over all blocks of what is counted in each."""
        return sum(count(block) for block in self.blocks())


class Distinct:
    """Counts different values of a column that is seen in blocks; missing ones do not count.

    Beyond one block, values are told apart by 64 bits of hash: a million have a chance of 3e-8 to seem one fewer.

    Args:
        rows: of the whole column.
    """

    def __init__(self, rows: int) -> None:
        # Pages that are never written to cost nothing.
        self._hashes = np.empty(rows, np.uint64)
        self._found = 0
        self._exact: int | None = None

    def add(self, block: pl.Series) -> None:
        """The next block."""
        values = block.drop_nulls()
        if isinstance(values.dtype, pl.Categorical):
            # Each block may number its categories anew.
            values = values.cast(pl.String)
        if len(block) == len(self._hashes):
            self._exact = values.n_unique()
        elif len(values):
            new = _differing(values.hash(seed=0).to_numpy())
            self._hashes[self._found : self._found + len(new)] = new
            self._found += len(new)

    def count(self) -> int:
        """How many there are."""
        return len(_differing(self._hashes[: self._found])) if self._exact is None else self._exact


def _differing(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    ordered = np.sort(hashes)
    differs = np.ones(len(ordered), bool)
    differs[1:] = ordered[1:] != ordered[:-1]
    return ordered[differs]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blocks:
    """A table in blocks.

    Attributes:
        schema: column -> type of its cells, which blocks are cast to.
        parts: the blocks, in order.
    """

    schema: dict[str, Any]
    parts: tuple[pl.DataFrame | Stored, ...]

    @property
    def columns(self) -> list[str]:
        """Headers."""
        return list(self.schema)

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.schema)

    @property
    def height(self) -> int:
        """How many rows there are."""
        return sum(part.height for part in self.parts)

    def select(self, names: Sequence[str]) -> "Blocks":
        """Some columns, nothing read."""
        return dataclasses.replace(self, schema={name: self.schema[name] for name in names})

    def renamed(self, headers: Sequence[str]) -> "Blocks":
        """The same columns under other names, nothing read."""
        names = dict(zip(self.schema, headers, strict=True))
        parts = tuple(
            dataclasses.replace(part, places={new: part.places[old] for old, new in names.items()})
            if isinstance(part, Stored)
            else part.select(self.columns).rename(names)
            for part in self.parts
        )
        return Blocks(schema=dict(zip(headers, self.schema.values(), strict=True)), parts=parts)

    def frames(self, names: Sequence[str], *, rows: NDArray[np.int64] | None = None) -> Iterator[pl.DataFrame]:
        """Some columns of all rows, or of some, a block at a time.

        Args:
            names: headers.
            rows: which rows, ascending.
        """
        wanted = {name: self.schema[name] for name in names}
        start = 0
        for part in self.parts:
            end = start + part.height
            first, last = (start, end) if rows is None else np.searchsorted(rows, (start, end))
            if last > first:
                frame = part.select(names)
                if rows is not None and last - first < part.height:
                    frame = frame[rows[first:last] - start]
                yield frame if dict(frame.schema) == wanted else frame.cast(pl.Schema(wanted))
            start = end

    def column(self, name: str, *, rows: NDArray[np.int64] | None = None) -> ColumnBlocks:
        """One column of all rows, or of some."""
        return ColumnBlocks(
            name=name,
            dtype=self.schema[name],
            rows=self.height if rows is None else len(rows),
            blocks=lambda: (frame.to_series() for frame in self.frames([name], rows=rows)),
        )


def table_in_blocks(table: pl.DataFrame | Blocks) -> Blocks:
    """A table in memory as slices of it, without a copy; blocks as they are."""
    if isinstance(table, Blocks):
        return table
    rows = max(FEWEST_ROWS, CELLS // max(1, table.width))
    return Blocks(
        schema=dict(table.schema), parts=tuple(table[start : start + rows] for start in range(0, table.height, rows))
    )


def column_in_blocks(column: pl.Series | ColumnBlocks) -> ColumnBlocks:
    """A column in memory as slices of it, without a copy; blocks as they are."""
    return column if isinstance(column, ColumnBlocks) else table_in_blocks(column.to_frame()).column(column.name)


def stored(frames: Iterable[pl.DataFrame], folder: Path) -> Blocks:
    """A table written to a file of `folder`, a block for each frame.

    Args:
        frames: of the same columns, at least one.
        folder: must outlive what is returned.
    """
    parts: list[Stored] = []
    schema: dict[str, Any] = {}
    handle, name = tempfile.mkstemp(dir=folder, suffix=".blocks")
    with os.fdopen(handle, "wb") as file:
        for frame in frames:
            schema = dict(frame.schema)
            places = {column.name: _append(file, column) for column in frame.iter_columns()}
            parts.append(Stored(file=Path(name), height=frame.height, places=places))
    return Blocks(schema=schema, parts=tuple(parts))


def stored_by_column(columns: Iterable[pl.Series], folder: Path, *, width: int) -> Blocks:
    """The same of a table that is read a column at a time.

    Args:
        columns: of one length, at least one.
        folder: must outlive what is returned.
        width: how many columns there are.
    """
    size = max(FEWEST_ROWS, CELLS // width)
    schema: dict[str, Any] = {}
    places: dict[tuple[int, int], dict[str, tuple[int, int]]] = {}
    handle, name = tempfile.mkstemp(dir=folder, suffix=".blocks")
    with os.fdopen(handle, "wb") as file:
        for column in columns:
            schema[column.name] = column.dtype
            for start in range(0, len(column), size):
                block = column[start : start + size]
                places.setdefault((start, len(block)), {})[column.name] = _append(file, block)
    parts = (Stored(file=Path(name), height=height, places=place) for (_, height), place in places.items())
    return Blocks(schema=schema, parts=tuple(parts))


def _append(file: io.BufferedWriter, column: pl.Series) -> tuple[int, int]:
    # Written by Python's file, whose errors say what is wrong with the disk.
    made = io.BytesIO()
    column.to_frame().write_ipc_stream(made)
    start = file.tell()
    return start, file.write(made.getbuffer())


class RowNames(Strings):
    """ "row 1", "row 2" and so on, each made when it is asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def made(self, i: int) -> str:
        """Name i."""
        return f"row {i + 1}"
