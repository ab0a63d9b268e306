"""How networks are evaluated between their steps, and whether they are given there what they were trained on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.dependence import Call, UntoldError, first_shape, kept, tensors_in
from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.interventions import by_feature, feature_axis
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_dense
from trainwell.core.records.evaluation import EvaluationSeen
from trainwell.core.records.finding import Where

BATCHES = 16
"""In either mode, whose inputs are measured."""
MOST_NUMBERS = 1_000_000
"""Of one batch: of more, samples at equal distances stand for all."""
KEPT = 4
"""Batches in test mode that are kept to be run again."""
MOST_CALLS = 64
"""Without gradients, of one network, that are looked at: an agent is asked at every move."""
CONSTANT = 1e-6
"""Of a feature's mean: a deviation below is what sums in float64 leave of none."""
FEWEST_SAMPLES = 32
"""In test mode: the mean of fewer strays by a fifth of a deviation and more by chance."""

LOSSES: dict[str, Callable[..., Tensor]] = {
    name: getattr(F, name)
    for name in (
        "cross_entropy",
        "nll_loss",
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy",
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
    )
}
"""Functions that compare outputs with targets, and take both first."""
LESS = frozenset({"sub", "__sub__", "rsub", "__rsub__"})
"""Functions by which outputs are compared with targets by hand: whatever is made of the difference, it is to be small.
"""
EQUAL = frozenset({"eq", "__eq__"})
"""Functions by which answers are compared with classes, where no loss is computed."""


class Evaluations(Ear):
    """Knows what networks were given in training, and what they were evaluated on."""

    functions = EQUAL | LESS | LOSSES.keys()

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.networks: dict[int, _Network] = {}
        self._last: _Evaluated | None = None

    def passed(self, call: Passed) -> None:
        if not call.outermost or (call.with_gradients and not call.module.training):
            return
        numbers = next((each for each in tensors_in((call.inputs, call.options)) if _is_numbers(each)), None)
        if numbers is None or not any(True for _ in call.module.parameters()):
            return
        mine = self.networks.get(id(call.module))
        if mine is None:
            mine = self.networks[id(call.module)] = _Network(call.module)
        if call.with_gradients:
            mine.trained.add(numbers.detach())
            return
        self._last, mine.calls = None, mine.calls + 1
        if mine.calls > MOST_CALLS:
            return
        output = call.outputs
        if isinstance(output, Tensor) and output.ndim:
            repeated = Call(
                module=call.module,
                args=kept(tuple(call.inputs)),
                options=kept(dict(call.options)),
                output=first_shape(output),
                where=user_line(),
            )
            self._last = _Evaluated(network=mine, call=repeated, output=output.detach())
        if not call.module.training:
            mine.tested.add(numbers.detach())

    def called(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        last = self._last
        if last is None:
            return
        output, target = last.output, None
        if name in LESS:
            if last.target is None and len(args) == 2:
                for mine, other in (args, args[::-1]):
                    if _is_same(mine, output) and isinstance(other, Tensor) and other.shape == mine.shape:
                        target, last.function, last.shape = other, F.mse_loss, tuple(mine.shape)
        elif name not in EQUAL:
            given = dict(zip(("input", "target"), args, strict=False)) | options
            if _is_same(given.get("input"), output):
                target, last.function = given.get("target"), LOSSES[name]
                last.shape = tuple(given["input"].shape)
                last.options = {key: each for key, each in given.items() if key not in ("input", "target")}
        elif last.target is None and output.ndim == 2 and len(args) == 2:
            answers = output.argmax(dim=1)
            for mine, other in (args, args[::-1]):
                if isinstance(mine, Tensor) and isinstance(other, Tensor) and _holds(mine, answers):
                    target, last.shape = other.flatten().long(), tuple(output.shape)
        if isinstance(target, Tensor):
            last.compare(target.detach().clone())

    def again(self) -> EvaluationSeen:
        """The section `evaluation`, of the first network that was trained and evaluated.

        Raises:
            UntoldError: none was.
        """
        tested = [each for each in self.networks.values() if each.tested.samples >= FEWEST_SAMPLES]
        for mine in tested:
            if mine.trained.samples:
                return mine.compared(mine.trained)
        for mine in tested:
            # A copy, as of averaged weights, is evaluated in the place of the network that is trained.
            original = next(
                (each for each in self.networks.values() if each.trained.samples and each.is_like(mine)), None
            )
            if original is not None and mine.evaluated:
                return mine.compared(original.trained)
        raise UntoldError("no network was evaluated between its first steps")


@dataclass(kw_only=True)
class _Evaluated:
    """A batch without gradients, and what its outputs were compared with."""

    network: "_Network"
    call: Call
    output: Tensor
    function: Callable[..., Tensor] = F.cross_entropy
    shape: tuple[int, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    target: Tensor | None = None

    def compare(self, target: Tensor) -> None:
        """Note what the outputs are compared with. Without test mode, this alone makes it an evaluation."""
        before, self.target = self.target, target
        if before is not None:
            return
        if self.call.module.training:
            self.network.tested.add(self.numbers)
        if len(self.network.evaluated) < KEPT:
            self.network.evaluated.append(self)

    @property
    def numbers(self) -> Tensor:
        """What the network was given."""
        return next(each for each in self.call.tensors() if _is_numbers(each))

    def loss(self, change: Callable[[Tensor], Tensor]) -> float:
        """With other inputs; NaN where nothing was compared, or not with these outputs."""
        made = self.call.again((self.numbers, change(self.numbers))).reshape(self.shape)
        target = self.target
        if target is None:
            return math.nan
        if self.function is F.cross_entropy and not target.is_floating_point() and target.max() >= made.shape[1]:
            return math.nan
        return float(self.function(made, target, **self.options).mean())


class _Network:
    """What one network was given in either mode."""

    def __init__(self, module: nn.Module) -> None:
        self.kind = (type(module), tuple(each.shape for each in module.parameters()))
        self.trained, self.tested = _Statistics(), _Statistics()
        self.evaluated: list[_Evaluated] = []
        self.calls = 0

    def is_like(self, other: "_Network") -> bool:
        """Whether both are of one kind, and all their weights of one shape."""
        return self.kind == other.kind

    def compared(self, trained: "_Statistics") -> EvaluationSeen:
        """Both beside each other, and the evaluation once more on what looks like the training."""
        mean, deviation = trained.moments()
        other_mean, other_deviation = self.tested.moments()
        if mean.shape != other_mean.shape:
            raise UntoldError("the network is given inputs of another shape in test mode")
        varies = deviation > CONSTANT * mean.abs()
        if not varies.any():
            raise UntoldError("the network's inputs do not vary in training")
        offset = ((other_mean - mean).abs() / deviation)[varies].median().item()
        ratio = (other_deviation / deviation)[varies].median().item()
        scale = torch.where(
            other_deviation > CONSTANT * other_mean.abs(), deviation / other_deviation, torch.ones_like(deviation)
        )

        def as_trained(numbers: Tensor) -> Tensor:
            shape = [1] * numbers.ndim
            shape[feature_axis(numbers)] = -1
            moved = (numbers.double() - other_mean.view(shape)) * scale.view(shape) + mean.view(shape)
            return moved.to(numbers.dtype)

        return EvaluationSeen(
            samples=self.tested.samples,
            features=int(varies.sum()),
            offset=offset,
            ratio=ratio,
            loss=_mean_loss(self.evaluated, lambda numbers: numbers),
            loss_as_trained=_mean_loss(self.evaluated, as_trained),
            where=self.tested.where,
        )


class _Statistics:
    """Mean and deviation of each feature, over some batches."""

    def __init__(self) -> None:
        self.batches, self.samples, self.count = 0, 0, 0
        self.sum: Tensor | None = None
        self.squares: Tensor | None = None
        self.where = Where()

    def add(self, numbers: Tensor) -> None:
        """Another batch."""
        if not self.batches:
            self.where = user_line()
        if self.batches == BATCHES or not len(numbers):
            return
        few = numbers[:: max(1, numbers.numel() // MOST_NUMBERS)]
        rows = by_feature(few.double())
        if not rows.isfinite().all() or (self.sum is not None and len(rows) != len(self.sum)):
            return
        self.batches += 1
        self.samples += len(numbers)
        self.count += rows.shape[1]
        added, squared = rows.sum(dim=1), rows.square().sum(dim=1)
        self.sum = added if self.sum is None else self.sum + added
        self.squares = squared if self.squares is None else self.squares + squared

    def moments(self) -> tuple[Tensor, Tensor]:
        """Of each feature."""
        if self.sum is None or self.squares is None:
            raise UntoldError("the network's inputs could not be measured")
        mean = self.sum / self.count
        return mean, (self.squares / self.count - mean.square()).clamp(min=0).sqrt()


def _mean_loss(evaluated: Sequence[_Evaluated], change: Callable[[Tensor], Tensor]) -> float:
    for each in evaluated:
        for module in each.call.module.modules():
            # A module's own `train` may take other arguments.
            module.training = False
    with torch.no_grad():
        losses = [each.loss(change) for each in evaluated]
    return sum(losses) / len(losses) if losses else math.nan


def _is_numbers(value: Any) -> bool:
    return isinstance(value, Tensor) and is_dense(value) and value.is_floating_point() and value.ndim > 1


def _is_same(value: Any, output: Tensor) -> bool:
    """Whether it is these outputs, in whatever shape."""
    return isinstance(value, Tensor) and value.numel() == output.numel() and value.data_ptr() == output.data_ptr()


def _holds(value: Tensor, answers: Tensor) -> bool:
    return value.numel() == answers.numel() and torch.equal(value.flatten().to(answers), answers)
