"""Run the program and kill it, as `kill -9` does, at the n-th call of a function.

Usage: killed.py MODULE:NAME MATCH N before|after ARGUMENTS...
Only calls whose arguments mention MATCH are counted; "-" counts all.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def killing(call: Callable[..., Any], match: str, at: int, when: str) -> Callable[..., Any]:
    """The same function, until it is called once too often."""
    count = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        last = False
        if match == "-" or any(match in str(each) for each in (*arguments, *options.values())):
            count += 1
            last = count == at
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = call(*arguments, **options)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return counted


def main() -> None:
    """Patch, then run the program."""
    where, match, at, when, *arguments = sys.argv[1:]
    module, path = where.split(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, killing(getattr(owner, name), match, int(at), when))
    sys.argv = ["trainwell", *arguments]
    from trainwell.cli.main import main as program

    program()


if __name__ == "__main__":
    main()
