"""Dropout: where numbers are left out at random, and whether that ends in test mode."""

import ast
import functools
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.networks import DropoutSeen

PLACES = {
    "dropout": (1, 2),
    "dropout1d": (1, 2),
    "dropout2d": (1, 2),
    "dropout3d": (1, 2),
    "alpha_dropout": (1, 2),
    "feature_alpha_dropout": (1, 2),
    "feature_dropout": (1, 2),
    "scaled_dot_product_attention": (4, None),
}
"""Function -> the places of its probability and of its mode among the arguments; attention has no mode."""
NAMES = ("p", "dropout_p")
MODES = ("training", "train")
AGAIN = 3
"""Times that a network is asked about the same between two steps, for its answers to be averaged; a graph is given
whole for each of its parts."""
EACH = 2
"""Times that each sample stands in a batch, on average, whose answers are to be averaged."""


class Dropout(Ear):
    """Fills `dropout`."""

    functions = frozenset(PLACES)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.places: dict[tuple[object, ...], _Place] = {}
        self.inputs: Any = None
        self.given: Counter[tuple[object, ...]] = Counter()
        self.since = 0
        self.again = False
        self._judged = False

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) == 1:
            self.inputs, self._judged = inputs, False

    def passed(self, call: Passed) -> None:
        if call.outermost:
            self.inputs = None

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        inside = self.scene.innermost
        probability, is_on = _read(name, args, options)
        if inside is None or not is_on or not probability > 0:
            return
        if id(inside) not in self.scene.names and len(self.scene.inside) > 1:
            # Made anew at each call, it is never told which mode it is in.
            inside = self.scene.inside[-2]
        key = (id(inside), name, probability)
        place = self.places.get(key)
        if place is None:
            where = user_line()
            layer = self.scene.names.get(id(inside)) or None
            place = self.places[key] = _Place(name, probability, layer=layer, where=where)
        if inside.training:
            place.training += 1
            return
        place.testing += 1
        if not self._judged:
            self._judged, self.again = True, self._is_again()
        place.repeated = place.repeated or self.again

    def seen(self) -> dict[str, Any]:
        return {"dropout": tuple(each.seen() for each in self.places.values())}

    def _is_again(self) -> bool:
        """Whether the network is given what it was given since the last step, or each sample several times."""
        given = [each for each in self.inputs or () if isinstance(each, Tensor) and each.ndim and each.numel()]
        if not given:
            return False
        if self.since != self.scene.taken:
            self.since = self.scene.taken
            self.given.clear()
        numbers = given[0]
        key = (tuple(numbers.shape), hash(numbers.detach().double().cpu().numpy().tobytes()))
        self.given[key] += 1
        rows = [
            each.detach().double().cpu().flatten(1) for each in given if len(each) == len(numbers) and each.ndim > 1
        ]
        return self.given[key] >= AGAIN or (
            bool(rows) and EACH * len(torch.cat(rows, dim=1).unique(dim=0)) <= len(numbers)
        )


class _Place:
    """One of them."""

    def __init__(self, function: str, probability: float, *, layer: str | None, where: Where) -> None:
        self.function, self.probability, self.layer, self.where = function, probability, layer, where
        self.training, self.testing, self.repeated = 0, 0, False

    def seen(self) -> DropoutSeen:
        """What became of it."""
        return DropoutSeen(
            function=self.function,
            probability=self.probability,
            layer=self.layer,
            training=self.training,
            testing=self.testing,
            repeated=self.repeated,
            meant=is_meant(self.function, self.where),
            where=self.where,
        )


def is_meant(function: str, where: Where) -> bool:
    """Whether a line says, as a literal, that the function is to be random in any mode.

    Args:
        function: of torch.
        where: the line.
    """
    place = PLACES.get(function, (0, None))[1]
    if where.file is None or where.line is None or place is None:
        return False
    line = where.line
    calls = [
        node
        for node in _calls(where.file)
        if node.lineno <= line <= (node.end_lineno or node.lineno) and _name(node) == function
    ]
    return any(
        any(each.arg in MODES and _is_true(each.value) for each in node.keywords)
        or (len(node.args) > place and _is_true(node.args[place]))
        for node in calls
    )


@functools.cache
def _calls(file: str) -> tuple[ast.Call, ...]:
    try:
        tree = ast.parse(Path(file).read_text("utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(node: ast.Call) -> str:
    called = node.func
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _read(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[float, bool]:
    """The probability of a call, and whether numbers are left out at all."""
    at, mode = PLACES[name]
    probability = next((options[each] for each in NAMES if each in options), args[at] if len(args) > at else None)
    if mode is None:
        return (0.0 if probability is None else float(probability)), True
    is_on = next((options[each] for each in MODES if each in options), args[mode] if len(args) > mode else True)
    return (0.5 if probability is None else float(probability)), bool(is_on)
