"""Parts that are given apart, joined into one."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.errors import DataError, TargetError, suggestion
from trainwell.data.blocks import Blocks, table_in_blocks
from trainwell.data.raw import PARTS, PictureFiles, Pixels, Raw
from trainwell.data.texts import Texts


def joined(base: Raw, extra: list[tuple[Raw, int]]) -> Raw:
    """One Raw of several, of which all but the first are a part of their own.

    Raises:
        DataError: they are of different kinds, sizes or columns, or a part is there already.
    """
    for part, code in extra:
        if (base.parts == code).any():
            raise DataError(
                "Each part must be given once, but the data holds one that is given as well. Leave one out."
            )
        if part.target.width != base.target.width:
            raise TargetError("Each part must have the same targets, but their number differs.")
    raws = [base, *(part for part, _ in extra)]
    headers = base.target.columns
    targets = [table_in_blocks(raw.target).renamed(headers) for raw in raws]
    parts = [base.parts, *(np.full(len(part.names), code, np.int8) for part, code in extra)]
    return dataclasses.replace(
        base,
        inputs=_inputs([raw.inputs for raw in raws]),
        target=_concatenated(targets),
        names=Texts(
            name if code is None else f"{PARTS[code]} {name}"
            for part, code in ((base, None), *extra)
            for name in part.names
        ),
        parts=np.concatenate(parts),
        left_out=tuple(item for raw in raws for item in raw.left_out),
        warnings=tuple(item for raw in raws for item in raw.warnings),
    )


def _concatenated(tables: list[Blocks]) -> Blocks:
    empty = [pl.DataFrame(schema=table.schema) for table in tables]
    try:
        schema = dict(pl.concat(empty, how="vertical_relaxed").schema)
    except pl.exceptions.PolarsError:
        # Numbers in one part and words in the other meet as text.
        schema = dict.fromkeys(tables[0].columns, pl.String())
    return Blocks(schema=schema, parts=tuple(part for table in tables for part in table.parts))


def _inputs(
    all_: list[pl.DataFrame | Blocks | Pixels | PictureFiles],
) -> Blocks | Pixels | PictureFiles:
    all_ = [table_in_blocks(item) if isinstance(item, pl.DataFrame) else item for item in all_]
    first = all_[0]
    if any(type(item) is not type(first) for item in all_):
        raise DataError("Parts must be of one kind, but some are tables and some pictures, or files and arrays.")
    if isinstance(first, PictureFiles):
        return PictureFiles(paths=Texts(p for item in all_ if isinstance(item, PictureFiles) for p in item.paths))
    if isinstance(first, Blocks):
        frames = [item for item in all_ if isinstance(item, Blocks)]
        for frame in frames[1:]:
            lacking = [name for name in first.columns if name not in frame.columns]
            if lacking:
                raise DataError(
                    f'Each part must have the same columns, but one lacks "{lacking[0]}". '
                    f"{suggestion(lacking[0], frame.columns)}"
                )
        return _concatenated([frame.select(first.columns) for frame in frames])
    pixels = [item for item in all_ if isinstance(item, Pixels)]
    shapes = [(item.height, item.width, item.channels) for item in pixels]
    if len(set(shapes)) > 1:
        raise DataError(f"Pictures of all parts must have one shape, but there are {' and '.join(map(str, shapes))}.")

    def blocks() -> Iterator[NDArray[Any]]:
        for item in pixels:
            yield from item.blocks()

    low, high = min(item.low for item in pixels), max(item.high for item in pixels)
    return dataclasses.replace(pixels[0], blocks=blocks, low=low, high=high)
