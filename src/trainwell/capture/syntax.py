"""What the user's source says of a line: the loops around it, and whether what it makes is used again."""

import ast
import functools
import inspect
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from trainwell.capture.source import is_own
from trainwell.core.records.finding import Where

READ = ("get_last_lr", "state_dict", "load_state_dict", "last_epoch", "base_lrs", "print_lr")
"""Of a schedule, what is looked at without moving it."""
CLASSES = ("LR", "LROnPlateau", "WarmRestarts", "Scheduler")
"""How the names of classes of schedules end."""
WRAPPERS = ("tqdm", "enumerate", "progress_bar", "track")
"""Functions that go round as often as what they are given first."""
HELD_OUT = re.compile(r"(?<![a-z])(val|valid|validate|validation|test|dev|holdout|held_?out)(?![a-z])", re.IGNORECASE)
"""Words of a line, or of a function's name, by which what is evaluated there is said to be held out."""
TRAINED = re.compile(r"train(?!er|ing_|_mode|\(|wells?)", re.IGNORECASE)
"""Words by which it is said to be what is trained on."""

Places = tuple[tuple[str, int], ...]
"""Files and lines, the innermost first."""
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


def rounds_around(frame: FrameType | None) -> int:
    """How often the innermost loop around the running line goes round, where it counts a range; 0: it cannot be told.

    A loop over a few things that are written there, such as two phases, is passed over. What calls the running
    function is looked at likewise.

    Args:
        frame: to begin at.
    """
    return next(_rounds(frame), 0)


def turns_around(frame: FrameType | None) -> int:
    """How often the running line runs, where all loops around it count ranges; 0: it cannot be told.

    Args:
        frame: to begin at.
    """
    lengths = list(_rounds(frame))
    return math.prod(lengths) if lengths else 0


def _rounds(frame: FrameType | None) -> Iterator[int]:
    """Lengths of the loops around a line, the innermost first; 0: unknown."""
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            for loop in _loops(frame.f_code.co_filename, frame.f_lineno):
                if isinstance(loop, ast.For) and isinstance(loop.iter, ast.List | ast.Tuple):
                    continue
                yield _length(loop.iter, frame) if isinstance(loop, ast.For) else 0
        frame = frame.f_back


def said_at(frame: FrameType) -> Iterator[str]:
    """Texts by which the source names what a running line works on: the nearest first.

    The expression that runs, what the loops around it go through, the name of its function, the whole statement.

    Args:
        frame: of the user's.
    """
    file, line, code = frame.f_code.co_filename, frame.f_lineno, frame.f_code
    text = _text(file)
    positions = next(itertools.islice(code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
    yield _between(text, *positions)
    tree = _tree(file)
    holding = [each for each in ast.walk(tree) if isinstance(each, ast.stmt) and _is_at(each, line)] if tree else []
    statement = max(holding, key=lambda each: (each.lineno, -(each.end_lineno or 0)), default=None)
    if statement is not None:
        iterated = [each.iter for each in ast.walk(statement) if isinstance(each, ast.comprehension)]
        yield from (ast.unparse(each) for each in iterated)
    yield from (ast.unparse(each.iter) for each in _loops(file, line) if isinstance(each, ast.For))
    if not code.co_name.startswith("test_"):
        # So pytest's functions are called, whatever is trained in them.
        yield code.co_name
    if statement is not None and not isinstance(statement, ast.For | ast.While | ast.With | ast.If | ast.FunctionDef):
        yield ast.unparse(statement)


def own_frames(frame: FrameType | None) -> tuple[FrameType, ...]:
    """The user's frames, the innermost first.

    Args:
        frame: to begin at.
    """
    found = []
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return tuple(found)


def places_of(frames: Sequence[FrameType]) -> Places:
    """Which lines run: as often as they are the same, the same is worked on.

    Args:
        frames: of the user's.
    """
    return tuple((each.f_code.co_filename, each.f_lineno) for each in frames)


def is_said_held_out(frames: Sequence[FrameType]) -> bool | None:
    """Whether the source says of what a running line works on that it is held out; None: it says nothing of the kind.

    The first text decides that says either.

    Args:
        frames: of the user's, the innermost first.
    """
    for text in (text for each in frames for text in said_at(each)):
        held_out, trained = HELD_OUT.search(text), TRAINED.search(text)
        if held_out or trained:
            return bool(held_out and not trained)
    return None


def is_used_again(where: Where) -> bool:
    """Whether the source does something with what a line puts under a name; True where it cannot be told.

    Args:
        where: the line.
    """
    tree = _tree(where.file) if where.file else None
    if tree is None or where.line is None:
        return True
    statements = [each for each in ast.walk(tree) if isinstance(each, ast.Assign | ast.Expr)]
    mine = [each for each in statements if each.lineno <= where.line <= (each.end_lineno or each.lineno)]
    made = max(mine, key=lambda each: each.lineno, default=None)
    if made is None or not isinstance(made.value, ast.Call):
        return True
    if isinstance(made, ast.Expr):
        # What no name is given to is gone; a function may keep what it makes, a class makes itself.
        return not _called(made.value).endswith(CLASSES)
    target = made.targets[0]
    called = _called(made.value)
    if len(made.targets) > 1 or not isinstance(target, ast.Name):
        return True
    if not called.endswith(CLASSES) and "schedule" not in called:
        # What makes a trainer may make a schedule in it.
        return True
    looked_at = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Attribute) and each.attr in READ}
    return any(
        isinstance(each, ast.Name)
        and each.id == target.id
        and isinstance(each.ctx, ast.Load)
        and id(each) not in looked_at
        for each in ast.walk(tree)
    )


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


@functools.cache
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse(Path(file).read_text("utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError):
        return None


@functools.cache
def _text(file: str) -> tuple[str, ...]:
    try:
        return tuple(Path(file).read_text("utf-8", errors="replace").splitlines())
    except OSError:
        return ()


def _between(text: tuple[str, ...], *ends: int | None) -> str:
    """What stands from a line to a line and from a column to a column, as bytecode has them; empty: not known."""
    first, last, begin, end = ends
    if first is None or last is None or begin is None or end is None or last > len(text):
        return ""
    if first == last:
        return text[first - 1].encode()[begin:end].decode(errors="replace")
    return " ".join((text[first - 1][begin:], *text[first : last - 1], text[last - 1][:end]))


def _is_at(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _loops(file: str, line: int) -> Iterator[ast.For | ast.AsyncFor | ast.While]:
    """Loops of the function that a line stands in, whose body holds it: the innermost first."""
    tree = _tree(file)
    if tree is None:
        return
    scope: Scope = tree
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and _holds(each.body, line):
            scope = each if scope is tree or each.lineno >= getattr(scope, "lineno", 0) else scope
    found = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.For | ast.AsyncFor | ast.While) and _holds(each.body, line)
    ]
    yield from sorted(found, key=lambda each: -each.lineno)


def _holds(body: list[ast.stmt], line: int) -> bool:
    return bool(body) and body[0].lineno <= line <= (body[-1].end_lineno or body[-1].lineno)


def _length(iterated: ast.expr, frame: FrameType) -> int:
    if not isinstance(iterated, ast.Call):
        return 0
    name = _called(iterated)
    if name in WRAPPERS and iterated.args:
        return _length(iterated.args[0], frame)
    if name not in ("range", "trange") or not iterated.args:
        return 0
    ends = [_value(each, frame) for each in iterated.args]
    if len(ends) > 3 or not all(type(each) is int for each in ends) or (len(ends) == 3 and ends[2] == 0):
        return 0
    return len(range(*ends))


def _value(node: ast.expr, frame: FrameType) -> Any:
    """What an expression stands for, where that can be looked up without running anything; None where it cannot."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return frame.f_locals.get(name, frame.f_globals.get(name))
        case ast.Attribute(value=owner, attr=name):
            return inspect.getattr_static(_value(owner, frame), name, None)
        case ast.Subscript(value=owner, slice=ast.Constant(value=key)):
            held = _value(owner, frame)
            return held.get(key) if type(held) is dict else None
        case ast.BinOp(left=left, op=op, right=right):
            one, other = _value(left, frame), _value(right, frame)
            if type(one) is not int or type(other) is not int:
                return None
            return _computed(one, op, other)
    return None


def _computed(one: int, op: ast.operator, other: int) -> int | None:
    match op:
        case ast.Add():
            return one + other
        case ast.Sub():
            return one - other
        case ast.Mult():
            return one * other
        case ast.FloorDiv() if other:
            return one // other
    return None
