"""Many strings in one piece of memory: their bytes and where each ends, rather than an object a string."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

_BLOCK = 4096


def _as_it_is(text: str) -> str:
    return text


class Strings(Sequence[str], ABC):
    """Strings that are made when they are asked for."""

    @abstractmethod
    def made(self, i: int) -> str:
        """String i, 0 <= i < len."""

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        asked = range(len(self))[at]
        return self.made(asked) if isinstance(asked, int) else [self.made(i) for i in asked]


class Texts(Strings):
    """Strings by number; bytes that are no UTF-8 may stand in them (as surrogates).

    Args:
        texts: the strings.
        written: what is made of each as it is read, such as a path of a name.
    Example:
        >>> pair = Texts(["a", "caf\\udce9"])
        >>> len(pair), pair[1] == "caf\\udce9", pair.written_as(str.upper)[0]
        (2, True, 'A')
    """

    def __init__(self, texts: Iterable[str], *, written: Callable[[str], str] = _as_it_is) -> None:
        data = bytearray()
        ends: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
        some: list[int] = []
        for text in texts:
            data += text.encode("utf-8", "surrogateescape")
            some.append(len(data))
            if len(some) == _BLOCK:
                ends.append(np.array(some, np.int64))
                some.clear()
        self._data: bytes | bytearray = data
        self._ends = np.concatenate([*ends, np.array(some, np.int64)])
        self._written = written

    def written_as(self, written: Callable[[str], str]) -> "Texts":
        """The same strings, of which something else is made; they are not copied."""
        made = Texts((), written=written)
        made._data, made._ends = self._data, self._ends
        return made

    def __len__(self) -> int:
        return len(self._ends) - 1

    def made(self, i: int) -> str:
        """String i."""
        return self._written(self._data[self._ends[i] : self._ends[i + 1]].decode("utf-8", "surrogateescape"))


class Chosen(Strings):
    """Some of many strings, which are not copied.

    Args:
        texts: all of them.
        index: which, in what order.
    Example:
        >>> list(Chosen("abc", np.array([2, 0])))
        ['c', 'a']
    """

    def __init__(self, texts: Sequence[str], index: NDArray[np.integer[Any]]) -> None:
        self._texts = texts
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    def made(self, i: int) -> str:
        """String i of those chosen."""
        return self._texts[int(self._index[i])]
