"""A prepared folder comes into being at once or not at all; what a kill leaves, the next call removes."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from trainwell.core.errors import StoreError

if sys.platform != "win32":
    import fcntl

_MARK = ".building-"


class ArrayWriter:
    """An .npy file written in order, whose length is known at the end.

    It writes rather than maps: on a full disk a write raises, where a store into a map kills the process.
    """

    def __init__(self, path: Path, *, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._shape = shape
        self._dtype = np.dtype(dtype)
        self._file: BinaryIO = path.open("wb")
        self.rows = 0
        self._header()

    def _header(self) -> None:
        # numpy pads the header so that the length of the first axis can grow in place.
        described = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.rows, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, described)

    def append(self, rows: NDArray[Any]) -> None:
        """Rows of the array's shape and type, after those already written."""
        if rows.shape[1:] != self._shape or rows.dtype != self._dtype:
            raise AssertionError(f"{rows.dtype}{rows.shape[1:]} in a file of {self._dtype}{self._shape}")
        self._file.write(np.ascontiguousarray(rows).data)
        self.rows += len(rows)

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._file.seek(0)
                self._header()


def lock(folder: Path, *, wait: bool = False) -> int | None:
    """Take a folder for this process: the lock goes with it, or with the handle.

    Args:
        folder: that is locked.
        wait: until it is free.
    Returns:
        A handle to close; None where there is no such folder, or another process has it and `wait` is False.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            os.close(handle)
            return None
    return handle


def _sweep(cache: Path, key: str) -> None:
    # What a killed call left: its lock went with it, so whoever can take the lock may remove the folder.
    for left in cache.glob(f"{_MARK}{key}-*"):
        handle = lock(left)
        if handle is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)


def _claim(cache: Path, key: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_MARK}{key}-", dir=cache))
        handle = lock(folder)
        if handle is not None and folder.is_dir():
            return folder, handle
        # Swept by another call between its making and its locking.
        if handle is not None:
            os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def building(cache: Path, key: str) -> Iterator[Path]:
    """A folder to fill, which becomes `cache/key` when the block ends and vanishes when it raises.

    Args:
        cache: where prepared data is kept; made if need be.
        key: name of the finished folder.
    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache, key)
        folder, handle = _claim(cache, key)
    except OSError as error:
        raise _unwritable(cache, error) from error
    try:
        try:
            yield folder
        except OSError as error:
            if error.filename is None or str(error.filename).startswith(str(folder)):
                raise _unwritable(cache, error) from error
            raise
        try:
            for path in folder.iterdir():
                _sync(path)
            _sync(folder)
            _commit(folder, cache / key)
            _sync(cache)
        except OSError as error:
            raise _unwritable(cache, error) from error
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _commit(folder: Path, final: Path) -> None:
    try:
        folder.rename(final)
    except OSError:
        # Another call was faster: its folder holds the same data.
        if not (final / "data.json").is_file():
            raise


def _unwritable(cache: Path, error: OSError) -> StoreError:
    why = error.strerror or str(error)
    return StoreError(f"Prepared data must be written to {cache}, but: {why}. Free some space or name another folder.")
