"""Remedies as changes of a script's text: small, at the line that a finding names. No file is written."""

import ast
import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainwell.core.records.finding import Finding

SQUASHING = ("softmax", "log_softmax", "sigmoid", "Softmax", "Sigmoid", "LogSoftmax")
OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adagrad", "Adadelta", "Adamax", "Rprop", "LBFGS")


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A changed file.

    Attributes:
        file: its path.
        before: its text.
        after: its text with the change.
    """

    file: str
    before: str
    after: str

    def diff(self) -> str:
        """As a unified diff."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            fromfile=self.file,
            tofile=self.file,
            n=2,
        )
        return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def patch_for(finding: Finding) -> Patch | None:
    """What to change in the script for a finding; None where that is not a matter of a line.

    Args:
        finding: of a check, with its file and line.
    """
    change = CHANGES.get(finding.code)
    if change is None or finding.where.file is None or finding.where.line is None:
        return None
    try:
        before = Path(finding.where.file).read_text("utf-8")
        source = _Source(before, finding.where.line)
    except (OSError, UnicodeDecodeError, SyntaxError):
        return None
    after = change(source, finding)
    if after is None or after == before:
        return None
    try:
        ast.parse(after)
    except SyntaxError:
        return None
    return Patch(file=finding.where.file, before=before, after=after)


class _Source:
    """A file, and a line of it."""

    def __init__(self, text: str, line: int) -> None:
        self.text, self.line = text, line
        self.lines = text.splitlines(keepends=True)
        self.tree = ast.parse(text)

    def here(self, kind: type[ast.AST]) -> Iterator[ast.AST]:
        """Nodes of a kind that stand on the line, the innermost last."""
        for node in ast.walk(self.tree):
            first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
            if isinstance(node, kind) and first is not None and last is not None and first <= self.line <= last:
                yield node

    def calls_here(self) -> list[ast.Call]:
        """Calls on the line alone."""
        found = [each for each in self.here(ast.Call) if isinstance(each, ast.Call)]
        return sorted(found, key=lambda each: (each.end_lineno or 0) - each.lineno)

    def calls(self) -> list[ast.Call]:
        """All calls of the file."""
        return [each for each in ast.walk(self.tree) if isinstance(each, ast.Call)]

    def statement(self) -> ast.stmt | None:
        """The smallest statement that holds the line."""
        found = [each for each in self.here(ast.stmt) if isinstance(each, ast.stmt)]
        return min(found, key=lambda each: (each.end_lineno or 0) - each.lineno, default=None)

    def text_of(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or ast.unparse(node)

    def with_(self, node: ast.expr, text: str) -> str:
        """The file with another text in a node's place."""
        start, stop = (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno or 0, node.end_col_offset or 0),
        )
        return self.text[:start] + text + self.text[stop:]

    def with_line(self, text: str, *, after: bool) -> str:
        """The file with a statement before or after the one at the line, as far indented."""
        statement = self.statement()
        if statement is None:
            return self.text
        indent = re.match(r"\s*", self.lines[statement.lineno - 1])
        place = (statement.end_lineno or statement.lineno) if after else statement.lineno - 1
        above = "".join(self.lines[:place])
        ended = "" if not above or above.endswith("\n") else "\n"
        return f"{above}{ended}{indent[0] if indent else ''}{text}\n{''.join(self.lines[place:])}"

    def _offset(self, line: int, column: int) -> int:
        # The tree counts bytes of a line, and the text characters.
        before = self.lines[line - 1].encode()[:column].decode()
        return sum(map(len, self.lines[: line - 1])) + len(before)


def _name(call: ast.Call) -> str:
    """The last part of what is called."""
    function = call.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _zeroed(source: _Source, _finding: Finding) -> str | None:
    for call in source.calls_here():
        if _name(call) == "step" and isinstance(call.func, ast.Attribute):
            return source.with_line(f"{source.text_of(call.func.value)}.zero_grad()", after=True)
    return None


def _not_activated(source: _Source, _finding: Finding) -> str | None:
    for call in source.calls_here():
        if _name(call) in SQUASHING and isinstance(call.func, ast.Attribute):
            value = call.func.value
            library = isinstance(value, ast.Name) and value.id in ("F", "torch", "nn", "functional", "special")
            library = library or source.text_of(value) in ("nn.functional", "torch.nn.functional", "torch.nn")
            if library and _name(call)[0].isupper():
                return source.with_(call, f"{source.text_of(value)}.Identity()")
            inner = call.args[0] if library and call.args else value if not library else None
            if inner is not None and source.text_of(value) != "self":
                return source.with_(call, source.text_of(inner))
    return _identity(source)


def _identity(source: _Source) -> str | None:
    """The one module of that kind in the file, where only its network's call is on the line."""
    modules = [each for each in source.calls() if _name(each) in ("Softmax", "Sigmoid", "LogSoftmax")]
    if len(modules) != 1 or not isinstance(modules[0].func, ast.Attribute):
        return None
    return source.with_(modules[0], f"{source.text_of(modules[0].func.value)}.Identity()")


def _one_shape(source: _Source, finding: Finding) -> str | None:
    mend_outputs = any("outputs.squeeze" in remedy.text for remedy in finding.remedies)
    for call in source.calls_here():
        if len(call.args) >= 2:
            chosen = call.args[0] if mend_outputs else call.args[1]
            text = source.text_of(chosen)
            simple = isinstance(chosen, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
            return source.with_(chosen, f"{text if simple else f'({text})'}.squeeze(-1)")
    return None


def _rate(source: _Source, finding: Finding) -> str | None:
    factor = finding.evidence.get("factor")
    made = [each for each in source.calls() if _name(each) in OPTIMIZERS]
    rates = [word.value for each in made for word in each.keywords if word.arg == "lr"]
    if factor is None or len(rates) != 1 or not isinstance(rates[0], ast.Constant):
        return None
    rate = rates[0].value
    return source.with_(rates[0], f"{rate * factor:g}") if isinstance(rate, int | float) else None


def _listed(source: _Source, _finding: Finding) -> str | None:
    """The one plain list of modules that the file keeps at `self`."""
    lists = [
        node.value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and isinstance(node.value, ast.List | ast.ListComp)
        and any(isinstance(each, ast.Call) and _name(each)[:1].isupper() for each in ast.walk(node.value))
    ]
    if len(lists) != 1:
        return None
    library = (
        "nn" if re.search(r"^\s*(from torch import .*\bnn\b|import torch\.nn as nn)", source.text, re.M) else "torch.nn"
    )
    return source.with_(lists[0], f"{library}.ModuleList({source.text_of(lists[0])})")


def _attached(source: _Source, _finding: Finding) -> str | None:
    detached = [each for each in source.calls() if _name(each) == "detach" and isinstance(each.func, ast.Attribute)]
    if len(detached) != 1 or not isinstance(detached[0].func, ast.Attribute):
        return None
    return source.with_(detached[0], source.text_of(detached[0].func.value))


def _shuffled(source: _Source, _finding: Finding) -> str | None:
    made = [each for each in source.calls_here() if _name(each) == "DataLoader"]
    if not made:
        loaders = [each for each in source.calls() if _name(each) == "DataLoader"]
        told = [each for each in loaders if any(word.arg == "shuffle" for word in each.keywords)]
        made = loaders if len(loaders) == 1 else told if len(told) == 1 else []
    for call in made:
        for word in call.keywords:
            if word.arg == "shuffle":
                return source.with_(word.value, "True")
        if call.args:
            last = call.keywords[-1].value if call.keywords else call.args[-1]
            return source.with_(last, f"{source.text_of(last)}, shuffle=True")
    return None


def _random_in_training(source: _Source, _finding: Finding) -> str | None:
    for call in source.calls_here():
        if "dropout" in _name(call):
            for word in call.keywords:
                if word.arg == "training":
                    return source.with_(word.value, "self.training")
            last = call.keywords[-1].value if call.keywords else call.args[-1] if call.args else None
            return None if last is None else source.with_(last, f"{source.text_of(last)}, training=self.training")
    return None


def _in_training_mode(source: _Source, _finding: Finding) -> str | None:
    """At the line of an `eval()`: back to training mode at the beginning of the loop's next step is for the author."""
    for call in source.calls_here():
        if _name(call) == "eval" and isinstance(call.func, ast.Attribute):
            return None
        if isinstance(call.func, ast.Name | ast.Attribute) and call.args and _name(call) not in ("print",):
            return source.with_line(f"{source.text_of(call.func)}.train()", after=False)
    return None


def _number(source: _Source, _finding: Finding) -> str | None:
    statement = source.statement()
    if isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
        value = statement.value
        simple = isinstance(value, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
        text = source.text_of(value)
        return source.with_(value, f"{text if simple else f'({text})'}.item()")
    for call in source.calls_here():
        if _name(call) == "append" and len(call.args) == 1:
            return source.with_(call.args[0], f"{source.text_of(call.args[0])}.item()")
    return None


CHANGES: dict[str, Callable[[_Source, Finding], str | None]] = {
    "ACT006": _not_activated,
    "DAT008": _shuffled,
    "OPT002": _rate,
    "OPT003": _rate,
    "OPT006": _listed,
    "OPT007": _attached,
    "OPT008": _zeroed,
    "OPT009": _in_training_mode,
    "OPT016": _one_shape,
    "OPT017": _number,
    "REG006": _random_in_training,
}
"""A rule's code -> what it changes in the text; None where the text does not have the form that it knows."""
