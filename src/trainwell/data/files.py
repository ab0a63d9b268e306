"""Files, opened without surprises."""

import io
import os
import stat
from pathlib import Path


def open_regular(path: str | Path) -> io.BufferedReader:
    """A file for reading, never a pipe or a device that would make us wait.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no regular file")
    return os.fdopen(handle, "rb")
