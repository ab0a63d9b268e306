"""Linear maps in a graph of autograd: which of them stand one directly behind the other, and is there anything else?"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from trainwell.capture.losses import DEPTH, VIEWS, before, compared_nodes, operation, place, sides_of, through_views
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.networks import LinearPair

MAP = "trainwell map"
"""Key under which the output of a linear layer keeps what it is."""
MOST_NODES = 50_000
"""Of a graph that is larger, as a long recurrence is, nothing is said."""

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
PRODUCTS = frozenset({"matmul", "__matmul__", "mm", "bmm"})
"""Functions that are a linear layer where their second operand is a parameter."""
INPUT = {"AddmmBackward": 1, "MmBackward": 0, "BmmBackward": 0, "ConvolutionBackward": 0}
"""Operation of a linear layer -> which of its operands is the layer's input."""
NORMS = ("NativeBatchNormBackward", "CudnnBatchNormBackward", "MiopenBatchNormBackward", "BatchNormBackward")
"""Of a batch: in test mode they shift and scale each number by itself, which is linear."""
LINEAR = (
    *INPUT,
    *NORMS,
    *VIEWS,
    "AddBackward",
    "AvgPool2DBackward",
    "CatBackward",
    "ExpandBackward",
    "MeanBackward",
    "NativeDropoutBackward",
    "SelectBackward",
    "SliceBackward",
    "SplitBackward",
    "StackBackward",
    "SubBackward",
    "SumBackward",
    "torch::autograd::AccumulateGrad",
)
"""What makes no curve of a straight line."""


@dataclass(frozen=True)
class Map:
    """A linear layer as it was called.

    Attributes:
        name: dotted.
        module: id of it.
        network: number of the network that called it.
        inputs: channels or features that it is given.
        taps: positions that one of its outputs looks at.
        outputs: channels or features that it makes.
        given: numbers of a sample that it is given altogether.
        weights: that it has.
    """

    name: str
    module: int
    network: int
    inputs: int
    taps: int
    outputs: int
    given: int
    weights: int


def map_of(module: nn.Module, *, name: str, network: int, shape: tuple[int, ...]) -> Map | None:
    """What a layer is as a linear map; None where it is none, or one whose weights are few by design.

    Args:
        module: any.
        name: dotted.
        network: number of the network that calls it.
        shape: of its input.
    """
    if not isinstance(module, KINDS):
        return None
    weights = module.weight.numel()
    if isinstance(module, nn.Linear):
        return Map(name, id(module), network, module.in_features, 1, module.out_features, shape[-1], weights)
    kernel = module.kernel_size
    # Each channel by itself, or one axis after the other: factors of a map, and meant to be.
    if module.groups > 1 or (1 in kernel and max(kernel) > 1):
        return None
    return Map(
        name,
        id(module),
        network,
        module.in_channels,
        math.prod(kernel),
        module.out_channels,
        math.prod(shape[1:]),
        weights,
    )


def map_of_product(given: Tensor, weight: Tensor, *, name: str, network: int) -> Map | None:
    """What a product with a parameter is as a linear map; of a stack of matrices, one of them. None: it is none.

    Args:
        given: first operand, (..., inputs).
        weight: second operand, (inputs, outputs) or (matrices, inputs, outputs).
        name: dotted, of the parameter.
        network: number of the network that computes it.
    """
    if not weight.is_leaf or not weight.requires_grad or weight.ndim not in (2, 3) or not given.ndim:
        return None
    inputs, outputs = weight.shape[-2:]
    return Map(name, id(weight), network, inputs, 1, outputs, given.shape[-1], inputs * outputs)


def linear_pairs(root: Any) -> Iterator[LinearPair]:
    """Linear layers one behind the other with nothing but views, dropout or batch norm between.

    Pairs that are narrower between than on both sides are left out: they are a map of low rank, and meant to be. So is
    what hands its output to others too.

    Args:
        root: node of autograd's graph at which a backward pass begins.
    """
    nodes, uses = _walk(root)
    for node in nodes:
        second = node.metadata.get(MAP)
        if second is None:
            continue
        found = _behind(_input(node), uses)
        if found is None:
            continue
        other, through = found
        first: Map = other.metadata[MAP]
        if first.network != second.network or first.module == second.module:
            continue
        sizes = _sizes(first, second)
        if sizes is None or sizes[1] < min(sizes[0], sizes[2]):
            continue
        # Of two convolutions, one with a larger window.
        enough = 0 if second.taps > 1 else sizes[0] * sizes[2]
        weights = first.weights + second.weights
        if first.outputs != second.inputs and weights <= enough:
            # A convolution that makes a picture smaller before all of it is read.
            continue
        yield LinearPair(
            first=_named(other, first),
            second=_named(node, second),
            inputs=sizes[0],
            between=sizes[1],
            outputs=sizes[2],
            through=through,
            weights=weights,
            enough=enough,
            network=first.network,
        )


def is_straight(node: Any) -> bool:
    """Whether what a node made is linear in all that it was made of.

    Args:
        node: of autograd's graph.
    """
    nodes, _ = _walk(node)
    return bool(nodes) and all(_straight(each) for each in nodes)


def is_linear(root: Any) -> bool:
    """Whether all that made the outputs which a loss function is given is linear.

    Args:
        root: node of autograd's graph at which a backward pass begins.
    """
    losses = list(compared_nodes(root))
    for node, function in losses:
        made = before(sides_of(node, function), function)[1]
        if not is_straight(made):
            return False
    return bool(losses)


def _walk(root: Any) -> tuple[list[Any], Counter[Any]]:
    """All nodes, and how often each is used; nothing where there are too many."""
    nodes: list[Any] = [] if root is None else [root]
    uses: Counter[Any] = Counter()
    seen = {root}
    for node in nodes:
        for below, _ in node.next_functions:
            if below is None:
                continue
            uses[below] += 1
            if below not in seen:
                seen.add(below)
                nodes.append(below)
        if len(nodes) > MOST_NODES:
            return [], Counter()
    return nodes, uses


def _straight(node: Any) -> bool:
    name = operation(node)
    if name in LINEAR:
        return True
    operands = [each is not None for each, _ in node.next_functions]
    # By a number, or by what does not depend on the weights, as dropout's mask does not.
    if name == "MulBackward":
        return operands.count(True) == 1
    return name == "NegBackward" or (name == "DivBackward" and operands[0] and operands.count(True) == 1)


def _input(node: Any) -> Any:
    """The node that made what a linear layer was given."""
    while operation(node) in VIEWS:
        node = node.next_functions[0][0]
    operand = INPUT.get(operation(node))
    return None if operand is None else node.next_functions[operand][0]


def _behind(node: Any, uses: "Counter[Any]") -> tuple[Any, str] | None:
    """The linear layer that made a node's numbers, and what they passed since; None: something else did."""
    through = ""
    for _ in range(DEPTH):
        if node is None or uses[node] != 1:
            return None
        if node.metadata.get(MAP) is not None:
            return node, through
        name = operation(node)
        if name in NORMS:
            through = "batch norm"
        elif name == "NativeDropoutBackward" or (name == "MulBackward" and _straight(node)):
            # By a mask, or by a number.
            masked = name != "MulBackward" or isinstance(node._saved_other, Tensor)
            through = through or ("dropout" if masked else "")
        elif name == "AddBackward":
            # Of a bias, that is a parameter itself.
            operands = [below for below, _ in node.next_functions if not _is_parameter(below)]
            if len(operands) != 1 or len(node.next_functions) != 2 or operands[0] is None:
                return None
            node = operands[0]
            continue
        elif name not in VIEWS and name != "ExpandBackward":
            return None
        node = next(below for below, _ in node.next_functions if below is not None)
    return None


def _is_parameter(node: Any) -> bool:
    node = through_views(node, through="ExpandBackward")
    return operation(node).endswith("AccumulateGrad")


def _sizes(first: Map, second: Map) -> tuple[int, int, int] | None:
    """Numbers before, between and behind; None where they cannot be compared."""
    if second.taps > 1:
        return first.inputs, first.outputs, second.outputs
    if first.outputs == second.inputs:
        return first.inputs * first.taps, first.outputs, second.outputs
    # A convolution's outputs, all at once.
    return (first.given, second.inputs, second.outputs) if second.inputs % first.outputs == 0 else None


def _named(node: Any, layer: Map) -> Where:
    return replace(place(node), layer=layer.name or None)
