"""A script run with a change in its text that is on no disk, or with other random numbers."""

import importlib.machinery
import io
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

APART = 1_000_003
"""Between the seeds of one run and of the next: prime, and larger than the seeds that people write."""


@contextmanager
def sources(changed: Mapping[str, str]) -> Iterator[None]:
    """While this is entered, Python reads other texts in these files' places, under their names and lines.

    Args:
        changed: path -> text; no file is written.
    """
    texts = {os.path.realpath(path): text.encode() for path, text in changed.items()}
    if not texts:
        yield
        return
    opened, read = io.open_code, importlib.machinery.SourceFileLoader.get_data

    def open_code(path: str) -> Any:
        text = texts.get(os.path.realpath(path))
        return opened(path) if text is None else io.BytesIO(text)

    def get_data(loader: Any, path: str) -> bytes:
        text = texts.get(os.path.realpath(path))
        return read(loader, path) if text is None else text

    stats = importlib.machinery.SourceFileLoader.path_stats

    def path_stats(loader: Any, path: str) -> Any:
        if os.path.realpath(path) in texts:
            # What was compiled from the file as it stands is not to be taken, nor replaced.
            raise OSError(path)
        return stats(loader, path)

    with ExitStack() as stack:
        _replace(stack, io, "open_code", open_code)
        _replace(stack, importlib.machinery.SourceFileLoader, "get_data", get_data)
        _replace(stack, importlib.machinery.SourceFileLoader, "path_stats", path_stats)
        yield


@contextmanager
def seeds(number: int) -> Iterator[None]:
    """While this is entered, the script draws other random numbers: each seed that it sets is another.

    Args:
        number: 0: its own seeds; what it draws without one is drawn alike in all runs of a number.
    """
    import numpy as np
    import torch

    # Torch's default generator begins alike in every process.
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - scripts use it
    if not number:
        yield
        return
    torch.manual_seed(number)
    shift = number * APART

    def shifted(original: Callable[..., Any]) -> Callable[..., Any]:
        def seeded(*args: Any, **options: Any) -> Any:
            if args and isinstance(args[0], int):
                args = ((args[0] + shift) % 2**32, *args[1:])
            options = {
                name: (value + shift) % 2**32 if name in ("seed", "a") and isinstance(value, int) else value
                for name, value in options.items()
            }
            return original(*args, **options)

        return seeded

    with ExitStack() as stack:
        for owner, name in (
            (torch, "manual_seed"),
            (random, "seed"),
            (np.random, "seed"),
            (np.random, "default_rng"),
        ):
            _replace(stack, owner, name, shifted(getattr(owner, name)))
        # What looks torch's function up by another name.
        _replace(stack, sys.modules["torch.random"], "manual_seed", torch.manual_seed)
        yield


def _replace(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)
