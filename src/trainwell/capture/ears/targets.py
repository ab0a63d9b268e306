"""What outputs are compared with: numbers that no loss function is made for, and the padding of rows."""

import itertools
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.losses import DEPTH, LINE, loss_nodes, operation
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_dense
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.losses import Compared, PaddingSeen, RefusedSeen, TargetsSeen

LOOKED = 64
"""Times that a line's targets are looked at."""
LOOKED_FOR_PADDING = 8
"""Likewise, for the ends of rows."""
MOST_INPUTS = 16
"""Tensors given to networks that are kept for one backward pass: a decoder called word by word is given many."""
FEWEST_FILLED = 2
"""Rows of a batch that must end in two positions or more of the same: an end of one may be the mark of the end."""
MOST_FILLS = 16
"""Ends of rows that are tried as what fills them up."""
FEWEST_ROWS, FEWEST_POSITIONS = 4, 4
"""Of fewer, ends that differ in length are no pattern."""
CHOOSING: dict[str, Compared] = {"cross_entropy": "cross-entropy", "nll_loss": "negative log-likelihood"}
"""Functions that raise where a class is none of the outputs."""
REFUSING: dict[str, Compared] = {
    **CHOOSING,
    "binary_cross_entropy": "binary cross-entropy of probabilities",
    "binary_cross_entropy_with_logits": "binary cross-entropy",
}
"""Functions that raise where targets do not fit."""
IGNORED = -100
"""The class that they pass over where nothing else is said."""
NO_REDUCTION = 0
"""As a node of a loss function has it."""
PRODUCT = "MulBackward0"
"""Of two tensors: that of one and a number has another overload."""
LOGARITHMS = ("LogBackward", "LogSigmoidBackward")
UNSIGNED = 2**64
"""A node shows a negative index as this much more."""


class Targets(Ear):
    """Fills `targets` and `padding`."""

    functions = frozenset(REFUSING)

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.passes = 0
        self.inputs: list[Tensor] = []
        self.ranges: dict[tuple[Where, Compared], _Range] = {}
        self.ends: dict[tuple[Where, Compared], _Ends] = {}
        self.refusals: list[TargetsSeen] = []
        self.unfit: list[RefusedSeen] = []

    def passed(self, call: Passed) -> None:
        if call.outermost and call.with_gradients:
            given = [each for each in (*call.inputs, *call.options.values()) if isinstance(each, Tensor)]
            self.inputs.extend(given[: MOST_INPUTS - len(self.inputs)])

    def refused(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        given = dict(zip(("input", "target"), args, strict=False)) | options
        outputs, targets = given["input"], given["target"]
        if not isinstance(targets, Tensor) or not isinstance(outputs, Tensor) or outputs.ndim == 0:
            return
        why = _refused_for(name, outputs, targets, given.get("weight"))
        if why and not self.unfit:
            weight = given.get("weight")
            self.unfit.append(
                RefusedSeen(
                    function=REFUSING[name],
                    why=why,
                    outputs=tuple(outputs.shape),
                    targets=tuple(targets.shape),
                    types=(_type(outputs), _type(targets)),
                    weights=len(weight) if isinstance(weight, Tensor) and weight.ndim else 0,
                    where=user_line(),
                )
            )
        if why or targets.is_floating_point() or name not in CHOOSING:
            return
        classes = outputs.shape[min(1, outputs.ndim - 1)]
        counted = targets[targets != given.get("ignore_index", IGNORED)]
        outside = (counted < 0) | (counted >= classes)
        if outside.any() and not self.refusals:
            self.refusals.append(
                TargetsSeen(
                    function=REFUSING[name],
                    numbers=counted.numel(),
                    lowest=float(counted.min()),
                    highest=float(counted.max()),
                    outside=outside.double().mean().item(),
                    classes=classes,
                    step=self.scene.taken,
                    where=user_line(),
                )
            )

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        for root in roots:
            lost = root.numel() == 1 and not bool(root.detach().isfinite())
            for node, targets in _written_out(root.grad_fn if self.passes < LOOKED else None):
                seen = self.ranges.setdefault((node.metadata.get(LINE, Where()), "binary cross-entropy"), _Range())
                seen.look(targets, lost=lost, step=self.scene.taken)
            for node, function in loss_nodes(root.grad_fn):
                try:
                    targets = node._saved_target.detach()
                except (AttributeError, RuntimeError):
                    # What an earlier backward pass has freed is gone.
                    continue
                where = node.metadata.get(LINE, Where())
                if targets.is_floating_point() and (lost or function == "binary cross-entropy"):
                    seen = self.ranges.setdefault((where, function), _Range())
                    seen.look(targets, lost=lost, step=self.scene.taken)
                if function != "binary cross-entropy" and node._saved_reduction != NO_REDUCTION:
                    self.ends.setdefault((where, function), _Ends()).look(targets, self.inputs, node)
        self.inputs = []
        self.passes += 1

    def seen(self) -> dict[str, Any]:
        return {
            "targets": (
                *self.refusals,
                *(each.seen(function, where) for (where, function), each in self.ranges.items()),
            ),
            "refused": tuple(self.unfit),
            "padding": tuple(
                each.seen(function, where) for (where, function), each in self.ends.items() if each.batches
            ),
        }


def _refused_for(name: str, outputs: Tensor, targets: Tensor, weight: Any) -> Literal["", "type", "shape", "weights"]:
    """Why torch refuses these, as far as their types and shapes say so."""
    if name not in CHOOSING:
        if outputs.shape != targets.shape:
            return "shape"
        return "" if targets.is_floating_point() else "type"
    classes = outputs.shape[min(1, outputs.ndim - 1)]
    by_class = (*outputs.shape[:1], *outputs.shape[2:]) if outputs.ndim > 1 else ()
    whole = not targets.is_floating_point() and targets.numel() > 0
    if whole and tuple(targets.shape) == by_class and int(targets.max()) >= classes:
        # Which class it is says more than how many have a weight.
        return ""
    if isinstance(weight, Tensor) and weight.ndim and len(weight) != classes:
        return "weights"
    if targets.shape == outputs.shape and name == "cross_entropy":
        return "" if targets.is_floating_point() else "type"
    if tuple(targets.shape) != by_class:
        return "shape"
    return "" if targets.dtype in (torch.int64, torch.uint8) else "type"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


class _Range:
    """The numbers that one line compares outputs with."""

    def __init__(self) -> None:
        self.looked, self.numbers, self.outside = 0, 0, 0
        self.lowest, self.highest = 0.0, 0.0
        self.not_finite, self.step = 0.0, 0

    def look(self, targets: Tensor, *, lost: bool, step: int) -> None:
        """At a batch; where the loss is lost, at whether they are numbers at all."""
        finite = targets[targets.isfinite()]
        if lost and not self.not_finite and len(finite) < targets.numel():
            self.not_finite, self.step = 1 - len(finite) / targets.numel(), step
        if self.looked == LOOKED or not len(finite):
            return
        lowest, highest = finite.min().item(), finite.max().item()
        self.lowest = min(self.lowest, lowest) if self.looked else lowest
        self.highest = max(self.highest, highest) if self.looked else highest
        self.looked += 1
        self.numbers += targets.numel()
        if lowest < 0 or highest > 1:
            self.outside += int(((finite < 0) | (finite > 1)).sum())

    def seen(self, function: Compared, where: Where) -> TargetsSeen:
        """How far they reach."""
        return TargetsSeen(
            function=function,
            numbers=self.numbers,
            lowest=float(self.lowest),
            highest=float(self.highest),
            outside=self.outside / self.numbers if self.numbers else 0.0,
            not_finite=self.not_finite,
            step=self.step,
            where=where,
        )


class _Ends:
    """The rows that one line compares outputs with."""

    def __init__(self) -> None:
        self.batches, self.looked, self.targets, self.padded, self.counted = 0, 0, 0, 0, 0
        self.value, self.lengths = 0.0, list[int]()

    def look(self, targets: Tensor, inputs: list[Tensor], node: Any) -> None:
        """At a batch, where its targets can be laid beside what a network was given."""
        if self.looked == LOOKED_FOR_PADDING:
            return
        fitting = [each for given in inputs for each in _laid_out(targets, given)]
        self.looked += bool(fitting)
        for rows, beside in fitting:
            found = _ends(rows, beside)
            if found is None:
                continue
            value, lengths = found
            padded = int(lengths.sum())
            passed_over = operation(node).startswith("NllLoss") and _is_passed_over(int(value), node)
            self.batches += 1
            self.targets += targets.numel()
            self.padded += padded
            self.counted += 0 if passed_over else padded
            self.value = value
            self.lengths += [int(lengths.min()), int(lengths.max())]
            return

    def seen(self, function: Compared, where: Where) -> PaddingSeen:
        """How much of it is padding."""
        return PaddingSeen(
            batches=self.batches,
            looked=self.looked,
            targets=self.targets,
            padded=self.padded,
            counted=self.counted,
            value=self.value,
            shortest=min(self.lengths),
            longest=max(self.lengths),
            function=function,
            where=where,
        )


def _written_out(node: Any) -> Iterator[tuple[Any, Tensor]]:
    """The targets of a binary cross-entropy that is written out: two logarithms, times y and 1 - y."""
    products = [(each, *_weighted(each)) for each in _below(node) if each.name() == PRODUCT]
    found = [(each, weights, inverse) for each, weights, inverse in products if weights is not None]
    for first, second in itertools.combinations(found, 2):
        (each, weights, inverse), (other, others, _) = first, second
        if weights.shape == others.shape and torch.allclose(weights + others, torch.ones_like(weights)):
            yield (other, others) if inverse else (each, weights)
            return


def _weighted(node: Any) -> tuple[Tensor | None, bool]:
    """Numbers that a logarithm is multiplied by, and whether it is that of the probability of no."""
    below = [each for each, _ in node.next_functions if each is not None]
    try:
        numbers = [node._saved_self, node._saved_other]
    except RuntimeError:
        # What an earlier backward pass has freed is gone.
        return None, False
    constant = next((each for each in numbers if isinstance(each, Tensor) and each.is_floating_point()), None)
    if constant is None or constant.ndim == 0 or len(below) != 1 or operation(below[0]) not in LOGARITHMS:
        return None, False
    inside = below[0].next_functions[0][0]
    return constant.detach(), operation(inside) in ("NegBackward", "RsubBackward")


def _below(node: Any) -> Iterator[Any]:
    level, seen = [node] if node is not None else [], {node}
    for _ in range(DEPTH):
        yield from level
        further = [below for each in level for below, _ in each.next_functions if below is not None]
        level = [each for each in dict.fromkeys(further) if each not in seen]
        seen.update(level)


def _laid_out(targets: Tensor, given: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Targets (rows, positions) and what was given at them (rows, positions, ...), in each way in which they fit.

    A network may be given one position more than it has to predict.
    """
    if given.ndim < 2 or given.dtype == torch.bool or not is_dense(given):
        return
    for sideways in (False, True):
        inputs = given.transpose(0, 1) if sideways else given
        rows = inputs.shape[0]
        for beside in (inputs, inputs[:, 1:]):
            positions = beside.shape[1]
            if rows < FEWEST_ROWS or positions < FEWEST_POSITIONS or rows * positions != targets.numel():
                continue
            flat = targets.flatten()
            yield (flat.view(positions, rows).t() if sideways else flat.view(rows, positions)), beside.detach()


def _ends(targets: Tensor, inputs: Tensor) -> tuple[float, Tensor] | None:
    """What stands at the ends of rows that are filled up, and how long each row's end is; None where none are."""
    flat = inputs.reshape(*inputs.shape[:2], -1)
    # A word may end a row twice by chance: what fills up is one of those that end rows, and not always the longest.
    longest = _length((flat == flat[:, -1:]).all(dim=2)).argsort(descending=True)
    for fill in flat[longest, -1].unique_consecutive(dim=0)[:MOST_FILLS]:
        filled = (flat == fill).all(dim=2)
        lengths = _length(filled)
        # It stands nowhere before an end, and no row is nothing else.
        if int(filled.sum()) != int(lengths.sum()) or not lengths.min() < lengths.max() < targets.shape[1]:
            continue
        values = targets[filled.to(targets.device)].unique()
        if len(values) != 1:
            continue
        # Of the next word it begins a position earlier; where the class stands in rows as well, that is not told.
        still = targets == values[0]
        ends = _length(still)
        lengths = ends if int(ends.sum()) == int(still.sum()) else lengths
        if int((lengths > 1).sum()) >= FEWEST_FILLED:
            return float(values[0]), lengths
    return None


def _length(alike: Tensor) -> Tensor:
    """Of the end of each row that is alike."""
    return alike.flip(1).long().cumprod(dim=1).sum(dim=1)


def _is_passed_over(value: int, node: Any) -> bool:
    """Whether the loss function counts a class for nothing."""
    weight = node._saved_weight
    return value == _signed(node._saved_ignore_index) or (
        weight is not None and 0 <= value < len(weight) and bool(weight[value] == 0)
    )


def _signed(index: int) -> int:
    return index - UNSIGNED if index >= UNSIGNED // 2 else index
