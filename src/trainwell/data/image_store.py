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
from trainwell.data.images import SUFFIXES, Header, UnreadableError, frame_size, read_header
from trainwell.data.parallel import in_parallel
from trainwell.data.raw import PictureFiles, Pixels
from trainwell.data.scaling import conventional_range, to_bytes
from trainwell.data.storage import ArrayWriter
from trainwell.data.targets import LEFT_OUT_LIMIT

# Threads cost more than they bring where a picture takes little longer than handing it over.
_PIXELS_WORTH_A_THREAD = 40_000
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


def store(
    file: Path,
    inputs: Pixels | PictureFiles,
    *,
    wanted: NDArray[np.int64],
    names: Sequence[str],
    max_side: int | None,
    progress: Progress,
) -> Stored:
    """Pictures as one array file.

    Args:
        file: the .npy to write.
        inputs: the pictures.
        wanted: which of them, increasing.
        names: of all of them.
        max_side: longest side in pixels, or None for the default.
        progress: is told how many are decoded.
    Raises:
        DataError: more than LEFT_OUT_LIMIT of the pictures cannot be read, or all, or one is a decompression bomb.
    """
    if isinstance(inputs, PictureFiles):
        stored = _store_files(file, inputs, wanted=wanted, names=names, max_side=max_side, progress=progress)
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
    progress: Progress,
) -> Stored:
    paths = [inputs.paths[int(i)] for i in wanted]
    headers = _headers(paths, progress)
    failed: dict[int, str] = {i: str(item) for i, item in enumerate(headers) if isinstance(item, UnreadableError)}
    usable = {i: item for i, item in enumerate(headers) if isinstance(item, Header)}
    _check_failed(failed, paths, wanted, names)
    encoder = _encoder(list(usable.values()), max_side)
    order = list(usable)
    area = float(np.mean([item.height * item.width for item in usable.values()]))
    workers = min(8, os.cpu_count() or 1) if area > _PIXELS_WORTH_A_THREAD else 1
    kept: list[int] = []
    gray = encoder.channels == 3

    with ArrayWriter(file, shape=encoder.layout.shape, dtype=np.uint8) as writer:
        done = 0
        for batch in in_parallel([paths[i] for i in order], encoder.decode, workers=workers):
            good = []
            for offset, item in enumerate(batch):
                i = order[done + offset]
                if isinstance(item, UnreadableError):
                    failed[i] = str(item)
                else:
                    good.append(item)
                    kept.append(i)
            if good:
                stacked = np.stack(good)
                gray = gray and bool((stacked == stacked[..., :1]).all())
                writer.append(stacked)
            done += len(batch)
            progress.update("decoding pictures", {"done": float(done), "total": float(len(order))})
    _check_failed(failed, paths, wanted, names)
    if gray and kept:
        encoder = dataclasses.replace(encoder, channels=1)
        _keep_one_channel(file, encoder)
    left_out = tuple(LeftOut(name=names[int(wanted[i])], why=failed[i]) for i in sorted(failed))
    return Stored(encoder=encoder, kept=np.array(kept, np.int64), left_out=left_out)


def _headers(paths: Sequence[str], progress: Progress) -> list[Header | UnreadableError]:
    made: list[Header | UnreadableError] = []
    for batch in in_parallel(paths, read_header, workers=1):
        made += batch
        progress.update("looking at pictures", {"done": float(len(made)), "total": float(len(paths))})
    return made


def _check_failed(
    failed: dict[int, str], paths: Sequence[str], wanted: NDArray[np.int64], names: Sequence[str]
) -> None:
    # A text file among pictures never claimed to be one: it is left out and named, but proves nothing about the others.
    pictures = [i for i, path in enumerate(paths) if Path(path).suffix.lower() in SUFFIXES or i not in failed]
    if len(failed) == len(paths):
        first = min(failed)
        raise DataError(
            f"A folder must hold pictures in a folder for each class, but none of its {len(paths):,} files can be read "
            f"as one ({names[int(wanted[first])]}: {failed[first]})."
        )
    bad = [LeftOut(name=names[int(wanted[i])], why=failed[i]) for i in pictures if i in failed]
    _check_share(bad, claimed=len(pictures))


def _encoder(headers: Sequence[Header], max_side: int | None) -> ImageEncoder:
    height, width = frame_size([(item.height, item.width) for item in headers], max_side=max_side)
    channels = 1 if all(item.gray for item in headers) else 3
    made = ImageEncoder(height=height, width=width, channels=channels)
    whole = [item for item in headers if item.wide and item.whole]
    if whole:
        made = dataclasses.replace(made, whole_range=_range_of(whole))
    real = [item for item in headers if item.wide and not item.whole]
    if real:
        made = dataclasses.replace(made, float_range=_range_of(real))
    return made


def _range_of(headers: Sequence[Header]) -> tuple[float, float]:
    low, high = min(item.low for item in headers), max(item.high for item in headers)
    return conventional_range(low, high, whole=headers[0].whole)


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
