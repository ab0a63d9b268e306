"""Which line of the user's is running."""

import functools
import os
import re
import site
import sys
import sysconfig
from pathlib import Path
from types import FrameType

from trainwell.core.records.finding import Where

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep


def _libraries() -> tuple[str, ...]:
    """Folders of the standard library and of installed packages: nobody's own lines are there."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(os.path.realpath(folder) + os.sep for folder in folders if folder)


LIBRARIES = _libraries()
_IGNORED = re.compile(r"#\s*trainwell:\s*ignore\[([\w\s,]+)\]")


def user_line(frame: FrameType | None = None) -> Where:
    """The innermost line that runs now and is the user's own; where there is none, nothing is known.

    Args:
        frame: to begin at; None: the caller's.
    Example:
        >>> user_line().line is None  # doctests are compiled from no file
        True
    """
    found: FrameType | None = frame or sys._getframe(1)
    while found is not None and not is_own(found.f_code.co_filename):
        found = found.f_back
    if found is None:
        return Where()
    return line_of(found.f_code.co_filename, found.f_lineno)


def line_of(file: str, line: int | None) -> Where:
    """A line, its file named from the working folder where it lies in it.

    Args:
        file: as its code has it.
        line: its number; None: not known.
    """
    return Where(file=_shown(file), line=line)


def is_ignored(code: str, where: Where) -> bool:
    """Whether the line says that a rule is not to speak of it: `# trainwell: ignore[ACT002, OPT008]`.

    Args:
        code: the rule's.
        where: the line; where none is known, nothing is ignored.
    """
    if where.file is None or where.line is None:
        return False
    try:
        lines = Path(where.file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return False
    named = _IGNORED.search(lines[where.line - 1]) if where.line <= len(lines) else None
    return named is not None and code in [each.strip().upper() for each in named[1].split(",")]


@functools.cache
def is_own(file: str) -> bool:
    """Whether a file is the user's: a real one, neither trainwell's nor of the standard library nor of a package."""
    if file.startswith("<"):
        return False
    path = os.path.realpath(file)
    return not path.startswith((PACKAGE, *LIBRARIES)) and Path(path).is_file()


@functools.cache
def _shown(file: str) -> str:
    near = os.path.realpath(file).startswith(os.path.realpath(Path.cwd()) + os.sep)
    return os.path.relpath(file) if near else file
