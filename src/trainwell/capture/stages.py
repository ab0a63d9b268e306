"""Trainings that a script takes one after the other: a network first, another that stands on it afterwards."""

import ast
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from trainwell.capture.patches import OPTIMIZERS

MOST = 4
"""Trainings after the first: of more, as one for each client or each fold, the others belong to the last of these."""
LEAST = 30
"""Steps of a training after which another may begin: of fewer, it is one whose parts are made one after the other."""


class Stages:
    """Knows when another training begins: an optimizer is made for weights that none had, after many steps.

    Args:
        begun: is told the number of the training, from 1 on, as soon as its optimizer is made.
    """

    def __init__(self, begun: Callable[[int], None]) -> None:
        self.begun = begun
        self.number = self.made = 0
        self._taken = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """While this is entered, optimizers that are made are noticed."""
        own = Optimizer.__init__

        @functools.wraps(own)
        def making(optimizer: Optimizer, *args: Any, **options: Any) -> None:
            own(optimizer, *args, **options)
            self._made(optimizer)

        def count(_optimizer: Optimizer, _args: Any, _options: Any) -> None:
            self._taken += 1

        handle = register_optimizer_step_post_hook(count)
        Optimizer.__init__ = making  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            Optimizer.__init__ = own  # type: ignore[method-assign]
            handle.remove()

    def _made(self, optimizer: Optimizer) -> None:
        self.made += 1
        weights = [each for group in optimizer.param_groups for each in group["params"]]
        known = [self._known.get(id(each)) for each in weights]
        new = any(ref is None or ref() is not each for ref, each in zip(known, weights, strict=True))
        self._known |= {id(each): weakref.ref(each) for each in weights}
        if new and self._taken >= LEAST and self.number < MOST:
            self._taken, self.number = 0, self.number + 1
            self.begun(self.number)


def optimizers_said(text: str) -> int:
    """How many optimizers a script says that it makes; of branches, the one that makes most.

    Args:
        text: Python.
    Returns:
        At a function's place, as many times as it is called by its name; 0: the text is no Python.
    Example:
        >>> optimizers_said("opt = optim.SGD(w, 0.1) if plain else optim.Adam(w)")
        1
        >>> optimizers_said("def fit(net):\\n    opt = Adam(net.parameters())\\nfit(one)\\nfit(other)")
        2
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return 0
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    named = [_name(each) for each in calls]
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    return _made_by(tree.body) + sum(
        _made_by(function.body) * max(named.count(function.name), 1) for function in functions
    )


def _made_by(statements: Sequence[ast.stmt]) -> int:
    """Of lines one after the other; what stands behind a branch that returns is another branch."""
    made = 0
    for at, each in enumerate(statements):
        if isinstance(each, ast.If) and isinstance(each.body[-1], ast.Return):
            return made + max(_made_by(each.body), _made_by([*each.orelse, *statements[at + 1 :]]))
        made += _made_in(each)
    return made


def _made_in(node: ast.AST) -> int:
    """Optimizers that a piece of Python makes where it runs: of functions in it, none."""
    if isinstance(node, ast.FunctionDef):
        return 0
    if isinstance(node, ast.If):
        return max(_made_by(node.body), _made_by(node.orelse))
    if isinstance(node, ast.IfExp):
        return max(_made_in(node.body), _made_in(node.orelse))
    here = int(isinstance(node, ast.Call) and _name(node) in OPTIMIZERS)
    return here + sum(map(_made_in, ast.iter_child_nodes(node)))


def _name(call: ast.Call) -> str:
    called = call.func
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
