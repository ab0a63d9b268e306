"""Many pictures at a time, in order."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from trainwell.data.images import UnreadableError, quiet

T = TypeVar("T")
_BATCH = 64


def in_parallel(paths: Sequence[str], work: Callable[[str], T], *, workers: int) -> Iterator[list[T | UnreadableError]]:
    """Results of work(path), or the UnreadableError it raised, in order, a batch at a time, few batches ahead.

    Args:
        paths: one a picture.
        work: function of a path.
        workers: threads, >= 1; Pillow decodes and scales without holding the interpreter.
    """

    def batch(start: int) -> list[T | UnreadableError]:
        made: list[T | UnreadableError] = []
        for path in paths[start : start + _BATCH]:
            try:
                made.append(work(path))
            except UnreadableError as error:
                made.append(error)
        return made

    starts = range(0, len(paths), _BATCH)
    if workers <= 1:
        for start in starts:
            with quiet():
                made = batch(start)
            yield made
        return
    # Filters of warnings belong to the process: they are set around the threads, not within.
    with quiet(), ThreadPoolExecutor(workers) as pool:
        ahead = [pool.submit(batch, start) for start in starts[: 2 * workers]]
        try:
            for i in range(len(starts)):
                yield ahead.pop(0).result()
                if i + 2 * workers < len(starts):
                    ahead.append(pool.submit(batch, starts[i + 2 * workers]))
        finally:
            for future in ahead:
                future.cancel()
