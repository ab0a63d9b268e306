"""Content, hashed: BLAKE2b over what training reads, so that a copy is the same data and a changed byte is not."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.data.files import open_regular

DIGEST_BYTES = 16
_BLOCK_BYTES = 1 << 20


def digest_of_text(*parts: str) -> str:
    """BLAKE2b of strings, each with its length, so that ("ab", "c") is not ("a", "bc").

    Example:
        >>> digest_of_text("ab", "c") == digest_of_text("a", "bc")
        False
    """
    made = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        made.update(f"{len(data)}:".encode() + data)
    return made.hexdigest()


def digest_of_array(array: NDArray[Any]) -> str:
    """BLAKE2b of an array's type, shape and values."""
    made = hashlib.blake2b(digest_size=DIGEST_BYTES)
    made.update(f"{array.dtype.str}{array.shape}".encode())
    if array.dtype.hasobject:
        made.update(digest_of_text(*(repr(item) for item in array.ravel().tolist())).encode())
    elif array.size:
        rows = max(1, _BLOCK_BYTES // max(1, array[:1].nbytes)) if array.ndim else 1
        flat = np.atleast_1d(array)
        for start in range(0, len(flat), rows):
            made.update(np.ascontiguousarray(flat[start : start + rows]).view(np.uint8).data)
    return made.hexdigest()


def digest_of_frame(frame: pl.DataFrame) -> str:
    """BLAKE2b of a table's headers, types and values."""
    parts = []
    for column in frame.iter_columns():
        parts += [column.name, str(column.dtype)]
        if column.dtype.is_numeric() and not column.dtype.is_decimal():
            missing = column.is_null().to_numpy()
            parts += [digest_of_array(missing), digest_of_array(column.fill_null(0).to_numpy())]
        else:
            made = hashlib.blake2b(digest_size=DIGEST_BYTES)
            for item in column.to_list():
                made.update(f"{item!r}\x00".encode("utf-8", "surrogatepass"))
            parts.append(made.hexdigest())
    return digest_of_text(*parts)


def digest_of_files(files: Iterable[tuple[str, str | Path]]) -> str:
    """BLAKE2b of files: the name each is known by, its size and its bytes. A file that cannot be read counts as such.

    Args:
        files: pairs of the name that matters (its path below the folder, its part) and the path to open.
    """
    made = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for name, path in files:
        try:
            with open_regular(path) as handle:
                content = hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()
        except OSError as error:
            content = f"unreadable {error.errno}"
        made.update(digest_of_text(name, content).encode())
    return made.hexdigest()
