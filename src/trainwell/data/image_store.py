"""Pictures, from wherever they are, into one uint8 array on disk; memory stays flat however many there are."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwell.core.errors import DataError
from trainwell.core.protocols import Progress
from trainwell.core.records.data import LeftOut
from trainwell.data.encoders import ImageEncoder
from trainwell.data.images import SUFFIXES, UnreadableError, frame_size, read_header
from trainwell.data.parallel import in_parallel
from trainwell.data.raw import PictureFiles, Pixels
from trainwell.data.scaling import conventional_range, to_bytes
from trainwell.data.storage import ArrayWriter
from trainwell.data.targets import LEFT_OUT_LIMIT
from trainwell.data.texts import Chosen

# Read and written, of a picture: below it a thread costs more than it brings (2,000 PNG files, two cores: 48 x 48 took
# 0.50 s with two threads and 0.44 s with one, 64 x 64 took 0.43 and 0.53 s).
_PIXELS_WORTH_A_THREAD = 8_000
_BLOCK_ROWS = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """What stands in the file.

    Attributes:
        encoder: how it came there.
        kept: which of the samples asked for, in order.
        left_out: the others, and why.
    """

    encoder: ImageEncoder
    kept: NDArray[np.int64]
    left_out: tuple[LeftOut, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Seen:
    heights: NDArray[np.int32]
    widths: NDArray[np.int32]
    gray: bool
    # Smallest and largest value of pictures with more than 8 bits: of whole numbers, and of others.
    ranges: dict[bool, tuple[float, float]]

    @property
    def mean_area(self) -> float:
        return float(np.mean(self.heights.astype(np.float64) * self.widths))

    def encoder(self, max_side: int | None, *, square: bool) -> ImageEncoder:
        height, width = frame_size(self.heights, self.widths, max_side=max_side, square=square)
        made = ImageEncoder(height=height, width=width, channels=1 if self.gray else 3)
        if True in self.ranges:
            made = dataclasses.replace(made, whole_range=conventional_range(*self.ranges[True], whole=True))
        if False in self.ranges:
            made = dataclasses.replace(made, float_range=conventional_range(*self.ranges[False], whole=False))
        return made


def store(
    file: Path,
    inputs: Pixels | PictureFiles,
    *,
    wanted: NDArray[np.int64],
    names: Sequence[str],
    max_side: int | None,
    progress: Progress,
    square: bool = False,
) -> Stored:
    """Pictures as one array file.

    Args:
        file: the .npy to write.
        inputs: the pictures.
        wanted: which of them, increasing.
        names: of all of them.
        max_side: longest side in pixels, or None for the default.
        progress: is told how many are decoded.
        square: the frame of files whose sizes differ.
    Raises:
        DataError: more than LEFT_OUT_LIMIT of the pictures cannot be read, or all, or one is a decompression bomb.
    """
    if isinstance(inputs, PictureFiles):
        stored = _store_files(
            file, inputs, wanted=wanted, names=names, max_side=max_side, square=square, progress=progress
        )
    else:
        stored = _store_pixels(file, inputs, wanted=wanted, names=names)
    return stored


def _store_pixels(file: Path, pixels: Pixels, *, wanted: NDArray[np.int64], names: Sequence[str]) -> Stored:
    encoder = ImageEncoder(
        height=pixels.height,
        width=pixels.width,
        channels=pixels.channels,
        whole_range=(pixels.low, pixels.high),
        float_range=(pixels.low, pixels.high),
    )
    chosen = np.zeros(len(names), bool)
    chosen[wanted] = True
    good: list[NDArray[np.int64]] = []
    start = 0
    with ArrayWriter(file, shape=encoder.layout.shape, dtype=np.uint8) as writer:
        for block in pixels.blocks():
            for offset in range(0, len(block), _BLOCK_ROWS):
                piece = block[offset : offset + _BLOCK_ROWS]
                fine = chosen[start : start + len(piece)].copy()
                if piece.dtype.kind == "f":
                    fine &= np.isfinite(piece).all(axis=(1, 2, 3))
                writer.append(to_bytes(piece[fine], low=pixels.low, high=pixels.high))
                good.append(np.flatnonzero(fine) + start)
                start += len(piece)
    kept_ids = np.concatenate(good)
    kept = np.flatnonzero(np.isin(wanted, kept_ids))
    bad = np.setdiff1d(wanted, kept_ids)
    left_out = [LeftOut(name=names[int(i)], why="it has pixels that are NaN or infinite") for i in bad]
    _check_share(left_out, claimed=len(wanted))
    return Stored(encoder=encoder, kept=kept, left_out=tuple(left_out))


def _check_share(left_out: Sequence[LeftOut], *, claimed: int) -> None:
    if not left_out or len(left_out) <= LEFT_OUT_LIMIT * claimed:
        return
    first = "; ".join(f"{item.name}: {item.why}" for item in left_out[:3])
    raise DataError(
        f"At most {LEFT_OUT_LIMIT:.0%} of pictures may be unusable, but {len(left_out):,} of {claimed:,} are ({first}"
        f"{'; ...' if len(left_out) > 3 else ''}). Mend or remove them."
    )


def _store_files(
    file: Path,
    inputs: PictureFiles,
    *,
    wanted: NDArray[np.int64],
    names: Sequence[str],
    max_side: int | None,
    square: bool,
    progress: Progress,
) -> Stored:
    paths = Chosen(inputs.paths, wanted)
    seen, failed = _look(paths, progress)
    _check_failed(failed, paths, wanted, names)
    encoder = seen.encoder(max_side, square=square)
    good = np.ones(len(paths), bool)
    good[list(failed)] = False
    order = np.flatnonzero(good)
    pixels = seen.mean_area + encoder.height * encoder.width
    workers = min(8, os.cpu_count() or 1) if pixels >= _PIXELS_WORTH_A_THREAD else 1
    gray = encoder.channels == 3

    with ArrayWriter(file, shape=encoder.layout.shape, dtype=np.uint8) as writer:
        done = 0
        for batch in in_parallel(Chosen(paths, order), encoder.decode, workers=workers):
            decoded = []
            for i, item in zip(order[done : done + len(batch)], batch, strict=True):
                if isinstance(item, UnreadableError):
                    failed[int(i)] = str(item)
                    good[i] = False
                else:
                    decoded.append(item)
            if decoded:
                stacked = np.stack(decoded)
                gray = gray and bool((stacked == stacked[..., :1]).all())
                writer.append(stacked)
            done += len(batch)
            progress.update("decoding pictures", {"done": float(done), "total": float(len(order))})
    _check_failed(failed, paths, wanted, names)
    if gray and good.any():
        encoder = dataclasses.replace(encoder, channels=1)
        _keep_one_channel(file, encoder)
    left_out = tuple(LeftOut(name=names[int(wanted[i])], why=failed[i]) for i in sorted(failed))
    return Stored(encoder=encoder, kept=np.flatnonzero(good), left_out=left_out)


def _look(paths: Sequence[str], progress: Progress) -> tuple["_Seen", dict[int, str]]:
    # Of a million headers only what is needed of them is kept.
    heights, widths = np.zeros(len(paths), np.int32), np.zeros(len(paths), np.int32)
    failed: dict[int, str] = {}
    gray = True
    ranges: dict[bool, tuple[float, float]] = {}
    done = 0
    for batch in in_parallel(paths, read_header, workers=1):
        for item in batch:
            if isinstance(item, UnreadableError):
                failed[done] = str(item)
            else:
                heights[done], widths[done] = item.height, item.width
                gray = gray and item.gray
                if item.wide:
                    low, high = ranges.get(item.whole, (item.low, item.high))
                    ranges[item.whole] = (min(low, item.low), max(high, item.high))
            done += 1
        progress.update("looking at pictures", {"done": float(done), "total": float(len(paths))})
    good = heights > 0
    return _Seen(heights=heights[good], widths=widths[good], gray=gray, ranges=ranges), failed


def _check_failed(
    failed: dict[int, str], paths: Sequence[str], wanted: NDArray[np.int64], names: Sequence[str]
) -> None:
    # A text file among pictures never claimed to be one: it is left out and named, but proves nothing about the others.
    pictures = [i for i in sorted(failed) if Path(paths[i]).suffix.lower() in SUFFIXES]
    if len(failed) == len(paths):
        first = min(failed)
        raise DataError(
            f"A folder must hold pictures in a folder for each class, but none of its {len(paths):,} files can be read "
            f"as one ({names[int(wanted[first])]}: {failed[first]})."
        )
    bad = [LeftOut(name=names[int(wanted[i])], why=failed[i]) for i in pictures]
    _check_share(bad, claimed=len(paths) - len(failed) + len(pictures))


def _keep_one_channel(file: Path, encoder: ImageEncoder) -> None:
    coloured = np.load(file, mmap_mode="r", allow_pickle=False)
    smaller = file.with_suffix(".gray.npy")
    with ArrayWriter(smaller, shape=encoder.layout.shape, dtype=np.uint8) as writer:
        for block in blocks_of(coloured):
            writer.append(np.ascontiguousarray(block[..., :1]))
    del coloured
    smaller.replace(file)


def blocks_of(stored: NDArray[Any], *, rows: int = _BLOCK_ROWS) -> Iterator[NDArray[Any]]:
    """An array a few thousand rows at a time."""
    for start in range(0, len(stored), rows):
        yield stored[start : start + rows]
