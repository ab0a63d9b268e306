"""Loss functions in a graph of autograd: what was compared, in which shape, and what the outputs passed before."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainwell.core.records.finding import Where
from trainwell.core.records.seen.losses import Activation, Compared, LossSeen, TwiceSeen

LINE, LAYER, SIDES = "trainwell line", "trainwell layer", "trainwell sides"
"""Keys under which the listener, and the ear of comparisons, leave them in a node's metadata."""
DEPTH = 12
"""Operations between a backward's number and its loss functions, at most: weights, sums, means, other losses."""

FUNCTIONS: dict[str, Compared] = {
    "NllLossBackward": "negative log-likelihood",
    "NllLoss2DBackward": "negative log-likelihood",
    "NllLossNdBackward": "negative log-likelihood",
    "BinaryCrossEntropyWithLogitsBackward": "binary cross-entropy",
    "BinaryCrossEntropyBackward": "binary cross-entropy of probabilities",
    "MseLossBackward": "squared error",
    "SmoothL1LossBackward": "Huber loss",
    "HuberLossBackward": "Huber loss",
    "CtcLossBackward": "CTC loss",
}
ACTIVATIONS: dict[str, Activation] = {
    "SoftmaxBackward": "softmax",
    "LogSoftmaxBackward": "log-softmax",
    "SigmoidBackward": "sigmoid",
    "TanhBackward": "tanh",
    "ReluBackward": "ReLU",
}
DIFFERENCES: tuple[Compared, ...] = ("squared error", "Huber loss", "absolute error")
"""What compares number by number, and spreads both sides to one shape before."""
LOGARITHMS = {
    "LogSoftmaxBackward": "log-softmax",
    "LogsumexpBackward": "log-softmax",
    "LogSigmoidBackward": "log-sigmoid",
}
"""Nodes that take the logarithm of an activation -> what they make."""
UNSIGNED = 2**64
"""A node shows a negative axis as this much more."""
VIEWS = (
    "AliasBackward",
    "CloneBackward",
    "PermuteBackward",
    "ReshapeAliasBackward",
    "SqueezeBackward",
    "ToCopyBackward",
    "TransposeBackward",
    "TBackward",
    "UnsafeViewBackward",
    "UnsqueezeBackward",
    "ViewBackward",
)
"""What changes the shape or the type of numbers and not the numbers."""
PICKS = ("GatherBackward", "IndexBackward", "IndexSelectBackward", "SelectBackward")
"""What takes some of the numbers: of the values of all actions, those that were taken."""


@dataclass(frozen=True)
class Sides:
    """What a loss function compares.

    Attributes:
        outputs: as they were given; None where only their node is known.
        targets: likewise.
        made: the node that made the outputs.
        function: what it computes; empty where it is a mere difference, which may be part of one.
    """

    outputs: Tensor | None
    targets: Tensor | None
    made: Any
    function: Compared | None = None


def losses_of(node: Any, *, step: int) -> Iterator[LossSeen]:
    """The loss functions that a number was made by.

    Args:
        node: of autograd's graph; None where the number has none.
        step: optimizer steps taken before.
    """
    for each, function in compared_nodes(node):
        yield _read(each, function, step)


def targets_of(node: Any) -> Iterator[Tensor]:
    """What the outputs were compared with, for each loss function that a number was made by.

    Args:
        node: of autograd's graph; None where the number has none.
    """
    for each, function in compared_nodes(node):
        targets = sides_of(each, function).targets
        if targets is not None:
            yield targets


def loss_nodes(node: Any, names: Mapping[str, Compared] = FUNCTIONS) -> Iterator[tuple[Any, Compared]]:
    """The nodes of the loss functions that a number was made by, with what they compute.

    Args:
        node: of autograd's graph; None where the number has none.
        names: which operations are loss functions.
    """
    level, seen = [node] if node is not None else [], {node}
    for _ in range(DEPTH):
        further = []
        for each in level:
            function = names.get(operation(each))
            if function is not None:
                yield each, function
                continue
            for below, _ in each.next_functions:
                if below is not None and below not in seen:
                    seen.add(below)
                    further.append(below)
        level = further


def nodes_under(root: Any) -> Iterator[Any]:
    """Nodes of a graph, the nearest first.

    Args:
        root: one of them.
    """
    level, seen = [root], {root}
    while level:
        yield from level
        further = []
        for node in level:
            for below, _ in node.next_functions:
                if below is not None and below not in seen:
                    seen.add(below)
                    further.append(below)
        level = further


def activated_twice(nodes: Iterable[Any]) -> Iterator[TwiceSeen]:
    """Logarithms of a softmax or of a sigmoid whose inputs have passed an activation right before.

    Args:
        nodes: of autograd's graph, under a loss.
    """
    for node in nodes:
        outer = LOGARITHMS.get(operation(node))
        below = node.next_functions[0][0] if outer is not None and node.next_functions else None
        while below is not None and operation(below) in (*VIEWS, *PICKS, "NegBackward"):
            below = below.next_functions[0][0]
        inner = ACTIVATIONS.get(operation(below)) if below is not None else None
        if outer is not None and inner in ("softmax", "sigmoid", "ReLU"):
            yield TwiceSeen(
                outer=outer,
                inner=inner,
                where=node.metadata.get(LINE, Where()),
                activated_at=place(below),
            )


def compared_nodes(node: Any) -> Iterator[tuple[Any, Compared]]:
    """As `loss_nodes`, with what is written by hand and what torch makes of several operations.

    Args:
        node: of autograd's graph; None where the number has none.
    """
    level, seen = [node] if node is not None else [], {node}
    for _ in range(DEPTH):
        further = []
        for each in level:
            function = FUNCTIONS.get(operation(each)) or _written(each)
            if function is not None:
                yield each, function
                continue
            for below, _ in each.next_functions:
                if below is not None and below not in seen:
                    seen.add(below)
                    further.append(below)
        level = further


def _written(node: Any) -> Compared | None:
    """The loss function that a node is the end of, where torch has no node of its own for it."""
    sides = node.metadata.get(SIDES)
    if sides is not None and sides.function is not None:
        found: Compared = sides.function
        return found
    below = [each for each, _ in node.next_functions]
    if not below or below[0] is None or below[0].metadata.get(SIDES) is None:
        return None
    squared = operation(node) == "PowBackward" and node._saved_exponent == 2
    if squared or (operation(node) == "MulBackward" and below[0] is below[-1] and len(below) == 2):
        return "squared error"
    return "absolute error" if operation(node) == "AbsBackward" else None


def sides_of(node: Any, function: Compared) -> Sides:
    """What a loss function compares; what is no longer known is None.

    Args:
        node: of it.
        function: what it computes.
    """
    known = node.metadata.get(SIDES)
    if known is None and operation(node) not in FUNCTIONS:
        known = node.next_functions[0][0].metadata[SIDES]
    if known is not None:
        found: Sides = known
        return found
    outputs = targets = None
    with contextlib.suppress(AttributeError, RuntimeError):
        # What an earlier backward pass has freed is gone.
        if function == "CTC loss":
            outputs, targets = node._saved_log_probs.detach(), node._saved_targets.detach()
        else:
            outputs, targets = node._saved_self.detach(), node._saved_target.detach()
    made = node.next_functions[0][0]
    if made is None and function in DIFFERENCES:
        # Both sides are treated alike, and some give the targets first.
        outputs, targets, made = targets, outputs, node.next_functions[1][0]
    return Sides(outputs=outputs, targets=targets, made=made, function=function)


def before(sides: Sides, function: Compared) -> tuple[Compared, Any]:
    """What a loss function is to who calls it, and the node that made the outputs that it is given.

    Cross-entropy is a log-softmax and a negative log-likelihood; only what comes before both is the user's.

    Args:
        sides: what it compares.
        function: what its node computes.
    """
    if function in DIFFERENCES:
        made = through_views(sides.made, through="ExpandBackward")
        while operation(made) in PICKS:
            made = through_views(made.next_functions[0][0])
        return function, made
    made = through_views(sides.made)
    # Of a graph, some nodes' outputs are picked.
    while operation(made) in PICKS:
        made = through_views(made.next_functions[0][0])
    # Within a call of cross_entropy nothing is marked.
    if operation(made) == "LogSoftmaxBackward" and made.metadata.get(LINE) is None:
        made = through_views(made.next_functions[0][0])
        while operation(made) in PICKS:
            made = through_views(made.next_functions[0][0])
        return "cross-entropy", made
    return function, made


def _read(node: Any, function: Compared, step: int) -> LossSeen:
    sides = sides_of(node, function)
    outputs, targets, compared = _shape(sides.outputs), _shape(None), _shape(None)
    if function in DIFFERENCES:
        outputs, targets, compared = _shapes(node, sides)
    function, activated = before(sides, function)
    activation: Activation = ACTIVATIONS.get(operation(activated), "")
    return LossSeen(
        function=function,
        step=step,
        activation=activation,
        outputs=outputs,
        targets=targets,
        compared=compared,
        where=node.metadata.get(LINE, Where()),
        activated_at=place(activated) if activation else Where(),
    )


def _shapes(node: Any, sides: Sides) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Of outputs and targets as they were given, and the one to which both were spread."""
    outputs, targets = _shape(sides.outputs), _shape(sides.targets)
    if node.metadata.get(SIDES) is not None or operation(node) not in FUNCTIONS:
        return outputs, targets, tuple(torch.broadcast_shapes(outputs, targets))
    compared = outputs
    if operation(sides.made) == "ExpandBackward":
        outputs = _shape_before(sides.made, compared)
    saved = sides.targets
    if saved is not None:
        # What was spread is not copied: it stands still along those dimensions, and the leading ones were put before.
        given = [1 if stride == 0 else size for size, stride in zip(saved.shape, saved.stride(), strict=True)]
        spread = saved.stride()[:1] == (0,)
        targets = tuple(itertools.dropwhile(lambda size: size == 1, given)) if spread else tuple(given)
    return outputs, targets, compared


def operation(node: Any) -> str:
    """What a node of autograd's graph undoes, without the number of its overload; empty for None.

    Example:
        >>> import torch
        >>> operation(torch.ones(2, requires_grad=True).exp().grad_fn)
        'ExpBackward'
    """
    return "" if node is None else str(node.name()).rstrip("0123456789")


def through_views(node: Any, *, through: str = "") -> Any:
    """The node that made the numbers which a node only shows in another shape.

    Args:
        node: of autograd's graph, or None.
        through: another operation that is passed over.
    """
    while node is not None and (operation(node) in VIEWS or operation(node) == through):
        node = node.next_functions[0][0]
    return node


def place(node: Any) -> Where:
    """The user's line that made a node, and the layer whose output it is."""
    line, layer = node.metadata.get(LINE, Where()), node.metadata.get(LAYER)
    return Where(layer=layer, file=line.file, line=line.line)


def _shape(values: Tensor | None) -> tuple[int, ...]:
    return () if values is None else tuple(values.shape)


def _shape_before(expand: Any, compared: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a node of expand was given: that of its gradient."""
    sizes = getattr(expand, "_saved_self_sym_sizes", None)
    return compared if sizes is None else tuple(int(size) for size in sizes)
