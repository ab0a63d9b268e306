"""IDX files, gzipped or not: the format of MNIST and of its many relatives."""

import contextlib
import dataclasses
import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.errors import DataError, TargetError
from trainwell.data.arrays import channels_last
from trainwell.data.files import open_regular
from trainwell.data.fingerprint import digest_of_files, digest_of_text
from trainwell.data.raw import UNDECIDED, Located, Pixels, Raw, shown, shown_path
from trainwell.data.scaling import conventional_range
from trainwell.data.texts import Texts

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAMED = re.compile(
    r"^(?P<set>.*?)(?P<part>train|t10k|test|val|valid|validation|dev)?[-_.]?images?[-_.]?idx[34][-_.]?ubyte(\.gz)?$",
    re.IGNORECASE,
)
_PART = {"train": 0, "t10k": 2, "test": 2, "val": 1, "valid": 1, "validation": 1, "dev": 1}
_BLOCK_BYTES = 1 << 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Header:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int


def is_idx(path: Path) -> bool:
    """Whether a file's name, or what it begins with, is an IDX file's."""
    name = path.name.lower()
    if re.search(r"idx\d[-_.]?ubyte(\.gz)?$", name) or name.endswith((".idx", ".idx.gz")):
        return True
    try:
        with open_regular(path) as handle:
            head = handle.read(4)
    except OSError:
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _TYPES and 1 <= head[3] <= 4


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    name = shown_path(path)
    try:
        with open_regular(path) as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                yield raw
                return
            with gzip.GzipFile(fileobj=raw) as handle:
                yield handle
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{name} must be a whole gzip file, but is damaged or cut off ({error}). Fetch it again."
        ) from error
    except OSError as error:
        raise DataError(f"{name} must be readable, but: {error.strerror or error}.") from error


def _header(handle: io.BufferedIOBase, path: Path) -> _Header:
    name = shown_path(path)
    head = handle.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or head[3] < 1:
        raise DataError(f"{name} must be an IDX file, but begins with other bytes ({head.hex()}).")
    sizes = handle.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{name} must be a whole IDX file, but ends within its header. Fetch it again.")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    if 0 in shape:
        raise DataError(f"{name} must hold samples, but its header says {' x '.join(map(str, shape))}.")
    return _Header(dtype=np.dtype(_TYPES[head[2]]), shape=shape, start=4 + len(sizes))


def _shape(path: Path) -> _Header:
    with _opened(path) as handle:
        return _header(handle, path)


def _blocks(path: Path) -> Iterator[NDArray[Any]]:
    with _opened(path) as handle:
        header = _header(handle, path)
        bytes_each = math.prod(header.shape[1:]) * header.dtype.itemsize
        rows = max(1, _BLOCK_BYTES // bytes_each)
        done = 0
        while done < header.shape[0]:
            count = min(rows, header.shape[0] - done)
            data = _exactly(handle, count * bytes_each)
            if len(data) < count * bytes_each:
                raise DataError(
                    f"{shown_path(path)} must hold {header.shape[0]:,} samples as its header says, but ends after "
                    f"{done + len(data) // bytes_each:,}. Fetch it again."
                )
            yield (
                np.frombuffer(data, header.dtype)
                .reshape(count, *header.shape[1:])
                .astype(header.dtype.newbyteorder("="))
            )
            done += count


def _exactly(handle: io.BufferedIOBase, count: int) -> bytes:
    # A header may claim any size: memory grows with what is there.
    pieces: list[bytes] = []
    while count > 0:
        piece = handle.read(min(count, _BLOCK_BYTES))
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _labels_of(images: Path) -> Path:
    name = images.name
    bare = name[:-3] if name.lower().endswith(".gz") else name
    wanted = re.sub(r"images?", "labels", bare, count=1, flags=re.I)
    wanted = re.sub(r"idx\d", "idx1", wanted, flags=re.I)
    for candidate in dict.fromkeys((wanted, wanted.replace("labels", "label"), wanted.replace("labels-", "labels."))):
        for found in (candidate, f"{candidate}.gz"):
            if candidate != bare and (images.parent / found).is_file():
                return images.parent / found
    raise TargetError(
        f"{shown_path(images)} needs its labels beside it, but there is no {shown(wanted)} (or .gz). "
        "Put the labels file there."
    )


def sets_in(folder: Path) -> dict[str, dict[int, Path]]:
    """IDX images files of a folder: set -> index into PARTS (or UNDECIDED) -> file.

    A folder may hold several sets, as EMNIST does; where a file is there zipped and unzipped, the unzipped one counts.
    """
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir(), key=lambda item: (item.suffix.lower() == ".gz", os.fsencode(item.name))):
        match = _NAMED.match(path.name)
        if match and path.is_file():
            part = match["part"]
            code = _PART[part.lower()] if part else UNDECIDED
            found.setdefault(match["set"], {}).setdefault(code, path)
    return found


def locate_folder(folder: Path) -> Located | None:
    """A folder of IDX files, or None if it is none.

    Raises:
        DataError: it holds several sets.
    """
    sets = sets_in(folder)
    if not sets:
        return None
    if len(sets) > 1:
        names = ", ".join(shown_path(next(iter(files.values())).name) for files in sets.values())
        raise DataError(
            f"A folder must hold one set of IDX files, but {shown_path(folder)} holds several: {names}. "
            "Name one images file, and its test set with test=, or put each set in a folder of its own."
        )
    return _located(os.fspath(folder), next(iter(sets.values())))


def locate_file(path: Path) -> Located:
    """One images file, with the labels beside it."""
    if re.search("label", path.name, re.I) and not re.search("image", path.name, re.I):
        raise DataError(f"{shown_path(path)} holds labels: name the images file, or the folder of both.")
    return _located(os.fspath(path), {UNDECIDED: path})


def _located(name: str, files: dict[int, Path]) -> Located:
    pairs = [(code, images, _labels_of(images)) for code, images in sorted(files.items())]

    def digest() -> str:
        each = [item for code, images, own in pairs for item in ((f"{code} images", images), (f"{code} labels", own))]
        return digest_of_text("idx", digest_of_files(each))

    return Located(name=name, digest=digest, read=lambda: _read(pairs))


def _read(pairs: list[tuple[int, Path, Path]]) -> Raw:
    shapes = set()
    labels, parts, runs = [], [], []
    low, high = 0.0, 0.0
    dtypes = set()
    for code, images, labelled in pairs:
        pictures = _shape(images)
        if len(pictures.shape) not in (3, 4):
            raise DataError(
                f"{shown_path(images)} must hold pictures (3 or 4 axes), but has {len(pictures.shape)} axes."
            )
        own = np.concatenate([block.reshape(len(block), -1) for block in _blocks(labelled)])
        if own.shape[1] != 1 or len(own) != pictures.shape[0]:
            raise TargetError(
                f"Images and labels must be of one length, but {shown_path(images.name)} holds "
                f"{pictures.shape[0]:,} and {shown_path(labelled.name)} {own.size:,}."
            )
        shapes.add(pictures.shape[1:])
        dtypes.add(pictures.dtype)
        labels.append(own[:, 0])
        parts.append(np.full(len(own), code, np.int8))
        runs.append((shown_path(images.name), len(own)))
    if len(shapes) > 1:
        raise DataError(
            f"Pictures of all parts must have one shape, but there are {' and '.join(map(str, sorted(shapes)))}."
        )

    def blocks() -> Iterator[NDArray[Any]]:
        for _, images, _ in pairs:
            for block in _blocks(images):
                yield channels_last(block, first=False)

    if dtypes == {np.dtype("u1")}:
        low, high = 0.0, 255.0
    else:
        extremes = [(float(np.nanmin(b)), float(np.nanmax(b))) for b in blocks()]
        whole = all(dtype.kind in "iu" for dtype in dtypes)
        low, high = conventional_range(min(a for a, _ in extremes), max(b for _, b in extremes), whole=whole)
    height, width, channels = channels_last(np.broadcast_to(np.uint8(0), (1, *shapes.pop())), first=False).shape[1:]
    return Raw(
        inputs=Pixels(blocks=blocks, height=height, width=width, channels=channels, low=low, high=high),
        target=pl.DataFrame({"class": np.concatenate(labels)}),
        names=Texts(f"{name}[{i}]" for name, count in runs for i in range(count)),
        parts=np.concatenate(parts),
        classes=True,
    )


def pictures_in(path: Path) -> NDArray[Any]:
    """All pictures of one file, (samples, height, width[, channels])."""
    return np.concatenate(list(_blocks(path)))
