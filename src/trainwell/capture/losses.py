"""Loss functions in a graph of autograd: what was compared, in which shape, and what the outputs passed before."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from trainwell.core.records.finding import Where
from trainwell.core.records.steps import Activation, Compared, LossSeen

LINE, LAYER = "trainwell line", "trainwell layer"
"""Keys under which the listener leaves them in a node's metadata."""
DEPTH = 12
"""Operations between a backward's number and its loss functions, at most: weights, sums, means, other losses."""

FUNCTIONS: dict[str, Compared] = {
    "NllLossBackward": "negative log-likelihood",
    "NllLoss2DBackward": "negative log-likelihood",
    "NllLossNdBackward": "negative log-likelihood",
    "BinaryCrossEntropyWithLogitsBackward": "binary cross-entropy",
    "MseLossBackward": "squared error",
    "SmoothL1LossBackward": "Huber loss",
    "HuberLossBackward": "Huber loss",
}
ACTIVATIONS: dict[str, Activation] = {
    "SoftmaxBackward": "softmax",
    "LogSoftmaxBackward": "log-softmax",
    "SigmoidBackward": "sigmoid",
}
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


def losses_of(node: Any, *, step: int) -> Iterator[LossSeen]:
    """The loss functions that a number was made by.

    Args:
        node: of autograd's graph; None where the number has none.
        step: optimizer steps taken before.
    """
    for each, function in _loss_nodes(node):
        yield _read(each, function, step)


def targets_of(node: Any) -> Iterator[Tensor]:
    """What the outputs were compared with, for each loss function that a number was made by.

    Args:
        node: of autograd's graph; None where the number has none.
    """
    for each, _ in _loss_nodes(node):
        with contextlib.suppress(AttributeError, RuntimeError):
            # What an earlier backward pass has freed is gone.
            yield each._saved_target.detach()


def _loss_nodes(node: Any) -> Iterator[tuple[Any, Compared]]:
    level, seen = [node] if node is not None else [], {node}
    for _ in range(DEPTH):
        further = []
        for each in level:
            function = FUNCTIONS.get(_name(each))
            if function is not None:
                yield each, function
                continue
            for below, _ in each.next_functions:
                if below is not None and below not in seen:
                    seen.add(below)
                    further.append(below)
        level = further


def _read(node: Any, function: Compared, step: int) -> LossSeen:
    below = node.next_functions[0][0]
    if function in ("squared error", "Huber loss"):
        return _read_difference(node, below, function, step)
    # Cross-entropy is a log-softmax and a negative log-likelihood; only what comes before both is the user's.
    activated = _through_views(below)
    # Within a call of cross_entropy nothing is marked.
    if _name(activated) == "LogSoftmaxBackward" and activated.metadata.get(LINE) is None:
        function, activated = "cross-entropy", _through_views(activated.next_functions[0][0])
    activation: Activation = ACTIVATIONS.get(_name(activated), "")
    return LossSeen(
        function=function,
        step=step,
        activation=activation,
        outputs=_shape_of_saved(node, "_saved_self"),
        where=node.metadata.get(LINE, Where()),
        activated_at=_place(activated) if activation else Where(),
    )


def _read_difference(node: Any, below: Any, function: Compared, step: int) -> LossSeen:
    """Both sides were spread to one shape before they were compared."""
    compared = _shape_of_saved(node, "_saved_self")
    outputs = compared
    if _name(below) == "ExpandBackward":
        outputs = _shape_before(below, compared)
    saved = node._saved_target
    # What was spread is not copied: it stands still along those dimensions, and the leading ones were put before it.
    given = [1 if stride == 0 else size for size, stride in zip(saved.shape, saved.stride(), strict=True)]
    targets = tuple(itertools.dropwhile(lambda size: size == 1, given)) if saved.stride()[:1] == (0,) else tuple(given)
    activated = _through_views(below)
    activation: Activation = ACTIVATIONS.get(_name(activated), "")
    return LossSeen(
        function=function,
        step=step,
        activation=activation,
        outputs=outputs,
        targets=targets,
        compared=compared,
        where=node.metadata.get(LINE, Where()),
        activated_at=_place(activated) if activation else Where(),
    )


def _name(node: Any) -> str:
    """Of a node's operation, without the number of its overload."""
    return "" if node is None else str(node.name()).rstrip("0123456789")


def _through_views(node: Any) -> Any:
    while node is not None and _name(node) in VIEWS:
        node = node.next_functions[0][0]
    return node


def _place(node: Any) -> Where:
    line, layer = node.metadata.get(LINE, Where()), node.metadata.get(LAYER)
    return Where(layer=layer, file=line.file, line=line.line)


def _shape_of_saved(node: Any, name: str) -> tuple[int, ...]:
    return tuple(getattr(node, name).shape)


def _shape_before(expand: Any, compared: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a node of expand was given: that of its gradient."""
    sizes = getattr(expand, "_saved_self_sym_sizes", None)
    return compared if sizes is None else tuple(int(size) for size in sizes)
