"""Files that are whole or absent, whenever the power goes."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from trainwell.core.errors import StoreError

REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EFBIG: "the file would be larger than allowed",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "a part of the path is a file",
}


def reason(error: OSError) -> str:
    """Why the operating system refused, in words."""
    return REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write `path` into one sentence.

    Raises:
        StoreError: which path, and why.
    """
    try:
        yield
    except OSError as error:
        sentence = f"{path} cannot be written: {reason(error)}. What was there before is whole."
        raise StoreError(sentence) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write under a temporary name, fsync, rename, fsync the folder: after a crash the file is whole or absent.

    Args:
        path: to write; replaced where it exists.
        data: its bytes.
    Raises:
        StoreError: the operating system refuses; nothing half-made is left.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def append_durably(path: Path, data: bytes) -> int:
    """Append, fsync, and say how long the file is now.

    Args:
        path: made where it does not exist.
        data: appended.
    Returns:
        The file's length in bytes.
    Raises:
        StoreError: the operating system refuses.
    """
    with writing(path), path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
