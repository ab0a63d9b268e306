"""What a reader hands on: data as found, before targets are encoded, parts drawn and pictures decoded."""

import dataclasses
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trainwell.core.directions import DIRECTIONS
from trainwell.core.records.data import LeftOut
from trainwell.data.blocks import Blocks

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
UNDECIDED = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels:
    """Pictures that are arrays already.

    Attributes:
        blocks: arrays of shape (samples, height, width, channels) and any numeric type, in order.
        low: the value that becomes 0.
        high: the value that becomes 255.
    """

    blocks: Callable[[], Iterable[NDArray[Any]]]
    height: int
    width: int
    channels: int
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureFiles:
    """Pictures that are files: paths as the operating system takes them."""

    paths: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raw:
    """Data as found.

    Attributes:
        inputs: a table without its targets, or pictures.
        target: one column a target, a row a sample.
        names: of the samples, as shown to people.
        parts: index into PARTS, or UNDECIDED, for each sample.
        classes: True where targets are known to be class labels; None where that is to be inferred.
        left_out: what the reader could not use.
        warnings: sentences for the report.
    """

    inputs: pl.DataFrame | Blocks | Pixels | PictureFiles
    target: pl.DataFrame | Blocks
    names: Sequence[str]
    parts: NDArray[np.int8]
    classes: bool | None = None
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Located:
    """A source that was found and not read yet.

    Attributes:
        name: what the user named.
        digest: BLAKE2b of its content, in hexadecimal.
        read: reads it.
        store: reads it as well, with what is large in files of the folder it is given; None where nothing is.
    """

    name: str
    digest: Callable[[], str]
    read: Callable[[], Raw]
    store: Callable[[Path], Raw] | None = None

    def read_with(self, scratch: Path) -> Raw:
        """The data, as little of it in memory as can be; `scratch` must outlive it."""
        return self.read() if self.store is None else self.store(scratch)


def shown(name: str | bytes) -> str:
    r"""A name as people and JSON see it: valid Unicode on one line.

    Args:
        name: of a file, a class or a column; bytes that are no UTF-8 may stand in it (as surrogates).
    Returns:
        The name, with bytes that are no UTF-8, control characters and those that turn the reading direction as
        backslash escapes.
    Example:
        >>> shown(b"caf\xe9.png")
        'caf\\xe9.png'
        >>> shown("two\nlines")
        'two\\nlines'
        >>> shown("cod.\u202egnp")
        'cod.\\u202egnp'
    """
    if isinstance(name, str) and name.isascii() and name.isprintable():
        return name
    text = os.fsencode(name).decode("utf-8", "backslashreplace") if isinstance(name, bytes) else _without_lone(name)
    return "".join(
        ch.encode("unicode_escape").decode()
        if ch in DIRECTIONS or unicodedata.category(ch) in ("Cc", "Zl", "Zp")
        else ch
        for ch in text
    )


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as people and JSON see it."""
    return shown(os.fsencode(path))


def _without_lone(text: str) -> str:
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
