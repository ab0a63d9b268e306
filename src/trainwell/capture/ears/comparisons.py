"""What loss functions compare, in numbers; and shapes that fit each other only by broadcasting."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.losses import (
    ACTIVATIONS,
    DEPTH,
    LINE,
    SIDES,
    Sides,
    before,
    compared_nodes,
    operation,
    place,
    sides_of,
)
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.losses import Activation, BroadcastSeen, Compared, ComparisonSeen

READ = 8
"""Optimizer steps whose comparisons are read as a whole; of later ones, only which classes occur."""
COUNTED = 64
"""Different targets are counted up to this many: of more, nobody asks how many."""
SPREAD = "trainwell spread"
"""Key under which a node keeps the shapes that were spread to each other there."""

BY_HAND = {"sub": "difference", "rsub": "difference", "mul": "product", "rmul": "product"}
OF_TORCH = {
    "poisson_nll_loss": "Poisson likelihood",
    "gaussian_nll_loss": "Gaussian likelihood",
    "soft_margin_loss": "soft margin loss",
    "hinge_embedding_loss": "hinge loss",
}
NAMED: dict[str, Compared] = {"l1_loss": "absolute error", "cross_entropy": "cross-entropy"}
"""What torch makes of several operations, which leave no node that says so."""

REACH: dict[Activation, tuple[float, float]] = {
    "softmax": (0.0, 1.0),
    "log-softmax": (-math.inf, 0.0),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "ReLU": (0.0, math.inf),
}
"""What an activation can give."""

PLAIN = ("AddBackward", "DivBackward", "MulBackward", "MeanBackward", "SumBackward", "ToCopyBackward")
"""On the way from a loss to one of its parts: whatever makes the part smaller makes the whole smaller."""
MAPS = ("AddmmBackward", "MmBackward", "ConvolutionBackward")


class Comparisons(Ear):
    """Fills `comparisons` and `broadcasts`."""

    functions = frozenset({*BY_HAND, *(f"__{name}__" for name in BY_HAND), *OF_TORCH, *NAMED})

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.lines: dict[tuple[object, ...], _Line] = {}
        self.broadcasts: dict[Where, BroadcastSeen] = {}
        self.tokens = False

    def passed(self, call: Passed) -> None:
        learns = call.outermost and any(True for _ in call.module.parameters())
        if learns and call.with_gradients and not self.scene.taken:
            given = [each for each in call.inputs if isinstance(each, Tensor)]
            self.tokens |= bool(given) and not given[0].is_floating_point()

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        node: Any = found.grad_fn if isinstance(found, Tensor) else None
        if node is None:
            return
        values = (*args, *options.values())
        if len(values) < 2 or not isinstance(values[0], Tensor) or not isinstance(values[1], Tensor):
            return
        by_hand = BY_HAND.get(name.strip("_"))
        first, second = values[:2]
        if name in ("__rsub__", "rsub"):
            first, second = second, first
        if by_hand is None:
            self._torch_s(name, first, second, node)
        elif first.requires_grad != second.requires_grad:
            outputs, targets = (first, second) if first.requires_grad else (second, first)
            if _by_accident(outputs, targets):
                node.metadata[SPREAD] = (by_hand, tuple(outputs.shape), tuple(targets.shape))
            elif by_hand == "difference" and outputs.grad_fn is not None and found.numel() == outputs.numel():
                node.metadata[SIDES] = Sides(outputs=outputs.detach(), targets=targets.detach(), made=outputs.grad_fn)

    def _torch_s(self, name: str, outputs: Tensor, targets: Tensor, node: Any) -> None:
        """A loss function of torch's that leaves no node of its own."""
        if name in OF_TORCH:
            if _numbers(outputs.shape, targets.shape) > max(outputs.numel(), targets.numel()):
                node.metadata[SPREAD] = (OF_TORCH[name], tuple(outputs.shape), tuple(targets.shape))
            return
        if outputs.grad_fn is None:
            outputs, targets = targets, outputs
        # Classes that are given as whole numbers pass the negative log-likelihood, which has a node.
        if outputs.grad_fn is not None and targets.is_floating_point():
            node.metadata[SIDES] = Sides(
                outputs=outputs.detach(), targets=targets.detach(), made=outputs.grad_fn, function=NAMED[name]
            )

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        for root in roots:
            if root.grad_fn is None:
                continue
            plain = _plain_parts(root.grad_fn)
            for node, function in compared_nodes(root.grad_fn):
                self._compare(node, function, plain=node in plain)
            if root.numel() == 1:
                for seen in _spread(root.grad_fn):
                    self.broadcasts.setdefault(seen.where, seen)

    def seen(self) -> dict[str, Any]:
        return {
            "comparisons": tuple(each.seen(tokens=self.tokens) for each in self.lines.values() if each.steps),
            "broadcasts": tuple(self.broadcasts.values()),
        }

    def _compare(self, node: Any, function: Compared, *, plain: bool) -> None:
        sides = sides_of(node, function)
        if sides.outputs is None or sides.targets is None:
            return
        own, made = before(sides, function)
        activation: Activation = ACTIVATIONS.get(operation(made), "")
        key = (node.metadata.get(LINE), own, activation)
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = _Line(node, own, activation, made if activation else None)
        if self.scene.taken < READ:
            line.read(node, sides, made, plain=plain)
        elif operation(node).startswith("NllLoss"):
            line.classes(sides.targets[sides.targets != node._saved_ignore_index])


class _Line:
    """What one line compares."""

    def __init__(self, node: Any, function: Compared, activation: Activation, made: Any) -> None:
        self.function, self.activation = function, activation
        self.where = node.metadata.get(LINE, Where())
        self.activated_at = place(made) if made is not None else Where()
        self.steps = self.samples = self.numbers = 0
        self.shape: tuple[int, ...] = ()
        self.target_shape: tuple[int, ...] = ()
        self.size = self.along = 0
        self.axis = -1
        self.different: set[float] = set()
        self.lowest, self.highest = math.inf, -math.inf
        self.whole = self.one_hot = True
        self.sums = (math.inf, -math.inf)
        self.outside = self.beyond = self.total = self.squares = 0.0
        self.right = self.cut = 0
        self.exponentials: list[float] = []

    def read(self, node: Any, sides: Sides, made: Any, *, plain: bool) -> None:
        """One comparison as a whole."""
        outputs, targets = sides.outputs, sides.targets
        assert outputs is not None
        assert targets is not None
        if not targets.numel():
            return
        self.steps += 1
        self.shape = self.shape or tuple(outputs.shape)
        self.target_shape = self.target_shape or tuple(targets.shape)
        self._softmax(made, outputs)
        if operation(node).startswith("NllLoss"):
            counted = targets != node._saved_ignore_index
            self.size = outputs.shape[1] if outputs.ndim > 1 else outputs.shape[0]
            self.classes(targets[counted])
            self._cut(made, targets, counted)
            if self.function == "negative log-likelihood" and plain:
                self._exponentials(made, outputs)
            return
        if self.function == "CTC loss":
            self.samples += len(targets)
            self.size = outputs.shape[-1]
            self._exponentials(made, outputs)
            return
        classes = self.function == "cross-entropy"
        axis = 1 if classes and outputs.ndim > 1 else 0
        self.size = outputs.shape[axis] if classes else math.prod(outputs.shape[1:])
        self._numbers(targets.double(), axis if classes else targets.ndim - 1)

    def classes(self, targets: Tensor) -> None:
        """Which classes occur."""
        if targets.numel():
            self.samples += targets.numel()
            self._range(targets)

    def seen(self, *, tokens: bool) -> ComparisonSeen:
        """All of it."""
        variance = self.squares / self.numbers - (self.total / self.numbers) ** 2 if self.numbers else 0.0
        return ComparisonSeen(
            function=self.function,
            steps=self.steps,
            samples=self.samples,
            shape=self.shape,
            target_shape=self.target_shape,
            size=self.size,
            activation=self.activation,
            lowest=self.lowest if self.different else math.nan,
            highest=self.highest if self.different else math.nan,
            different=len(self.different),
            whole=self.whole and bool(self.different),
            one_hot=self.one_hot and self.numbers > 0,
            least_sum=self.sums[0] if self.numbers else math.nan,
            largest_sum=self.sums[1] if self.numbers else math.nan,
            outside=self.outside / self.numbers if self.numbers else 0.0,
            unreachable=self.beyond / self.numbers / variance if variance > 0 else 0.0,
            cut=self.cut / self.right if self.right else 0.0,
            axis=self.axis,
            along=self.along,
            exponentials=sorted(self.exponentials)[len(self.exponentials) // 2] if self.exponentials else math.nan,
            tokens=tokens,
            where=self.where,
            activated_at=self.activated_at,
        )

    def _range(self, targets: Tensor) -> None:
        low, high = float(targets.min().item()), float(targets.max().item())
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        if len(self.different) <= COUNTED:
            self.different |= set(map(float, targets.unique()[: COUNTED + 1].tolist()))

    def _numbers(self, targets: Tensor, axis: int) -> None:
        """Targets that are numbers, or shares of classes along an axis."""
        if not targets.isfinite().all():
            return
        self.samples += len(targets) if targets.ndim else 1
        self.numbers += targets.numel()
        self._range(targets)
        self.whole = self.whole and bool((targets == targets.round()).all())
        sums = targets.sum(dim=axis) if targets.ndim else targets
        self.sums = min(self.sums[0], sums.min().item()), max(self.sums[1], sums.max().item())
        single = bool(((targets == 0) | (targets == 1)).all()) and bool((sums == 1).all())
        self.one_hot = self.one_hot and single and targets.ndim > 1 and targets.shape[axis] > 1
        low, high = REACH.get(self.activation, (-math.inf, math.inf))
        beyond = (low - targets).clamp(min=0) + (targets - high).clamp(min=0)
        self.outside += (beyond > 0).sum().item()
        self.beyond += beyond.square().sum().item()
        self.total += targets.sum().item()
        self.squares += targets.square().sum().item()

    def _softmax(self, made: Any, outputs: Tensor) -> None:
        """Along which axis a softmax was taken, where nothing has moved the axes since."""
        if operation(made) not in ("SoftmaxBackward", "LogSoftmaxBackward"):
            # A logarithm moves no axis.
            made = made.next_functions[0][0] if operation(made) == "LogBackward" else None
            if operation(made) != "SoftmaxBackward":
                return
        shape = made._saved_result.shape
        if not shape:
            return
        # Kept as a number without a sign.
        axis = made._saved_dim
        axis = axis - 2**64 if axis >= 2**63 else axis
        axis %= len(shape)
        self.along = shape[axis]
        if shape != outputs.shape:
            return
        chosen = 1 if self.function in ("cross-entropy", "negative log-likelihood") or len(shape) == 2 else axis
        chosen = len(shape) - 1 if self.function == "CTC loss" else chosen
        if len(shape) > 1 and axis != chosen and shape[axis] > 1 and shape[chosen] > 1:
            self.axis = axis

    def _cut(self, made: Any, targets: Tensor, counted: Tensor) -> None:
        """For how many samples their own class is 0 behind a ReLU."""
        if operation(made) != "ReluBackward":
            return
        given = made._saved_result
        if given.ndim != targets.ndim + 1 or given.ndim < 2 or given.shape[0] != targets.shape[0]:
            return
        chosen = torch.where(counted, targets, torch.zeros_like(targets)).unsqueeze(1)
        own = given.gather(1, chosen).squeeze(1)[counted]
        self.right += own.numel()
        self.cut += int((own == 0).sum())

    def _exponentials(self, made: Any, outputs: Tensor) -> None:
        """Logarithms of probabilities have exponentials whose sum is 1."""
        if operation(made) in MAPS and outputs.ndim > 1:
            classes = -1 if self.function == "CTC loss" else 1
            self.exponentials.append(torch.logsumexp(outputs.double(), dim=classes).median().exp().item())


def _by_accident(outputs: Tensor, targets: Tensor) -> bool:
    """Whether as many numbers on both sides make more together, though nobody has put in an axis for it."""
    if outputs.ndim == targets.ndim or outputs.numel() != targets.numel() or outputs.numel() < 2:
        return False
    if outputs.grad_fn is None or operation(outputs.grad_fn) == "UnsqueezeBackward":
        return False
    base = targets._base
    if targets.ndim > outputs.ndim and base is not None and base.numel() == targets.numel():
        return False
    return _numbers(outputs.shape, targets.shape) > outputs.numel()


def _numbers(*shapes: torch.Size) -> int:
    try:
        return math.prod(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        return 0


def _shape_of(node: Any) -> tuple[int, ...]:
    """Of what a node made."""
    return tuple(node._input_metadata[0].shape)


def _spread(root: Any) -> Iterator[BroadcastSeen]:
    """Shapes that were spread to each other, and whose numbers then all went into a loss, one by one."""
    level, seen = [root], {root}
    for _ in range(2 * DEPTH):
        further = []
        for node in level:
            found = node.metadata.get(SPREAD)
            if found is not None:
                name, outputs, targets = found
                yield BroadcastSeen(
                    operation=name,
                    outputs=outputs,
                    targets=targets,
                    compared=tuple(torch.broadcast_shapes(outputs, targets)),
                    where=node.metadata.get(LINE, Where()),
                )
                continue
            shape = _shape_of(node)
            for below, _ in node.next_functions:
                if below is not None and below not in seen and (math.prod(shape) == 1 or _shape_of(below) == shape):
                    seen.add(below)
                    further.append(below)
        level = further


def _plain_parts(root: Any) -> set[Any]:
    """The nodes that a loss is a sum of, up to positive factors."""
    level, found = [root], {root}
    for _ in range(DEPTH):
        further = []
        for node in level:
            if operation(node) not in PLAIN:
                continue
            for below, _ in node.next_functions:
                if below is not None and below not in found:
                    found.add(below)
                    further.append(below)
        level = further
    return found
