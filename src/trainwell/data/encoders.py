"""From what the user holds to a batch in the network's convention: fitted once, saved with the model, used ever after.

A picture becomes uint8 (height, width, channels); a row becomes float32, numbers first, then codes of categories.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from trainwell.core.errors import DataError, suggestion
from trainwell.core.records.data import LeftOut
from trainwell.core.records.layout import InputLayout
from trainwell.core.records.record import record
from trainwell.data import archives, folders, idx, tables
from trainwell.data import columns as cells
from trainwell.data.arrays import as_array, as_frame, channels_last, frame_of_rows, is_frame
from trainwell.data.columns import CategoryColumn, Column, DateColumn, NumberColumn
from trainwell.data.images import Range, UnreadableError, decode
from trainwell.data.parallel import in_parallel
from trainwell.data.raw import shown_path
from trainwell.data.scaling import to_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoded:
    """Samples that could be read.

    Attributes:
        inputs: as the network takes them.
        names: one a sample, as shown to people.
        left_out: what could not be read.
    """

    inputs: Tensor
    names: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


@record
class ImageEncoder:
    """How pictures are decoded.

    Attributes:
        height: pixels.
        width: pixels.
        channels: 1 (gray) or 3.
        whole_range: values that become 0 and 255, of arrays and of pictures of whole numbers with more than 8 bits.
        float_range: values that become 0 and 255, of pictures of floating-point numbers.
    """

    kind: Literal["image"] = "image"
    height: int
    width: int
    channels: int
    whole_range: Range = (0.0, 255.0)
    float_range: Range = (0.0, 1.0)

    @property
    def layout(self) -> InputLayout:
        """What the network is given."""
        return InputLayout(kind="image", height=self.height, width=self.width, channels=self.channels)

    def decode(self, path: str) -> NDArray[np.uint8]:
        """One picture file as uint8 (height, width, channels); `images.decode` says how, and what it raises."""
        return decode(
            path,
            height=self.height,
            width=self.width,
            channels=self.channels,
            whole_range=self.whole_range,
            float_range=self.float_range,
        )

    def encode_arrays(self, values: Any) -> UInt8[Tensor, "samples height width channels"]:
        """A batch of pictures of the size trained on.

        Args:
            values: (samples, height, width), or with a channel axis before or after height and width.
        Raises:
            DataError: the shape is another.
        """
        array = as_array(values)
        if array.ndim in (3, 4):
            array = channels_last(array, first=isinstance(values, Tensor))
        if array.shape[1:] != (self.height, self.width, self.channels):
            raise DataError(
                f"Pictures must be {self.height} x {self.width} with {self.channels} channel(s), as in training, but "
                f"the array is {array.shape}. Bring them to that shape."
            )
        return torch.from_numpy(np.array(to_bytes(array, low=self.whole_range[0], high=self.whole_range[1]), order="C"))

    def encode_files(self, paths: Sequence[str | Path]) -> Encoded:
        """Pictures from files, decoded as in training.

        Args:
            paths: picture files; folders stand for all files below them, IDX and .npz files for the pictures they hold.
        Returns:
            The pictures that could be read, and what could not.
        Raises:
            DataError: a decompression bomb.
        """
        files: list[str] = []
        left_out: list[LeftOut] = []
        for path in (os.fspath(item) for item in paths):
            found, unreadable = folders.walk(path) if Path(path).is_dir() else ([path], [])
            files += found
            left_out += unreadable
        made: list[NDArray[np.uint8]] = [np.empty((0, *self.layout.shape), np.uint8)]
        names: list[str] = []
        done = 0
        for batch in in_parallel(files, self._pictures_in, workers=1):
            for item in batch:
                name = shown_path(files[done])
                done += 1
                if isinstance(item, UnreadableError):
                    left_out.append(LeftOut(name=name, why=str(item)))
                    continue
                made.append(item)
                names += [name] if len(item) == 1 else [f"{name}[{i}]" for i in range(len(item))]
        return Encoded(inputs=torch.from_numpy(np.concatenate(made)), names=tuple(names), left_out=tuple(left_out))

    def _pictures_in(self, path: str) -> NDArray[np.uint8]:
        file = Path(path)
        if file.suffix.lower() == ".npz":
            return self.encode_arrays(archives.inputs_in(file)).numpy()
        if idx.is_idx(file):
            return self.encode_arrays(idx.pictures_in(file)).numpy()
        return self.decode(path)[None]


@record
class TableEncoder:
    """How rows are encoded.

    Attributes:
        columns: in the order of the table they were fitted on.
    """

    kind: Literal["table"] = "table"
    columns: tuple[Column, ...]

    @property
    def layout(self) -> InputLayout:
        """What the network is given."""
        sizes = tuple(len(column.values) + 1 for column in self.columns if isinstance(column, CategoryColumn))
        numbers = sum(
            len(column.parts) if isinstance(column, DateColumn) else isinstance(column, NumberColumn)
            for column in self.columns
        )
        return InputLayout(kind="table", numbers=numbers, cardinalities=sizes)

    @property
    def names(self) -> tuple[str, ...]:
        """What each number of an encoded row is: headers, with the part of a date after a colon; categories last."""
        numbers: list[str] = []
        for column in self.columns:
            if isinstance(column, DateColumn):
                numbers += [f"{column.name}: {part}" for part in column.parts]
            elif isinstance(column, NumberColumn):
                numbers.append(column.name)
        return (*numbers, *(column.name for column in self.columns if isinstance(column, CategoryColumn)))

    def encode_rows(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Rows of a table that has the columns trained on; others are not looked at.

        Raises:
            DataError: columns are missing.
        """
        lacking = [column.name for column in self.columns if column.name not in frame.columns]
        if lacking:
            raise DataError(
                f'The table must have the columns trained on, but lacks "{lacking[0]}"'
                f"{f' and {len(lacking) - 1:,} more' if len(lacking) > 1 else ''}. "
                f"{suggestion(lacking[0], frame.columns)}"
            )
        numbers: list[pl.Series] = []
        codes: list[pl.Series] = []
        for column in self.columns:
            given = frame[column.name]
            if isinstance(column, NumberColumn):
                numbers.append(cells.as_numbers(cells.without_words(given), decimal=column.decimal))
            elif isinstance(column, DateColumn):
                dates = cells.as_dates(cells.without_words(given), format=column.format)
                numbers += [cells.date_part(dates, part) for part in column.parts]
            else:
                codes.append(
                    cells.as_texts(given)
                    .replace_strict(
                        list(column.values), range(1, len(column.values) + 1), default=0, return_dtype=pl.Float32
                    )
                    .fill_null(0)
                    if column.values
                    else pl.zeros(frame.height, dtype=pl.Float32, eager=True)
                )
        made = np.empty((frame.height, len(numbers) + len(codes)), np.float32)
        for i, series in enumerate(numbers):
            made[:, i] = series.cast(pl.Float32).fill_null(float("nan")).to_numpy()
        for i, series in enumerate(codes, start=len(numbers)):
            made[:, i] = series.to_numpy()
        return made

    def encode_table(self, source: Any) -> Encoded:
        """Rows of a table file or a DataFrame, encoded as in training.

        Args:
            source: a path to a CSV, TSV, Parquet or Arrow file, or a DataFrame of a library that narwhals knows.
        Returns:
            All rows, named "row 1", "row 2" and so on.
        Raises:
            DataError: it cannot be read, or columns are missing.
        """
        frame = tables.read_table(source)[0] if isinstance(source, str | Path) else as_frame(source)
        rows = self.encode_rows(frame)
        return Encoded(inputs=torch.from_numpy(rows), names=tuple(f"row {i + 1}" for i in range(len(rows))))

    def encode_arrays(self, values: Any) -> Float32[Tensor, "samples columns"]:
        """Rows of a matrix with the columns of the one trained on, or of a DataFrame."""
        frame = as_frame(values) if is_frame(values) else frame_of_rows(as_array(values))
        return torch.from_numpy(self.encode_rows(frame))


Encoder = ImageEncoder | TableEncoder
