"""The first step, layer by layer: what the layers of each network put out, and the gradients that came to them."""

import inspect
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from trainwell.anatomy import trace
from trainwell.capture.dependence import Call
from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.expectation import Expected, expected_of
from trainwell.capture.stored import is_dense
from trainwell.core.records.evidence import InitialLoss, LayerStatistic
from trainwell.training.observe import activated_output, input_offset, layer_statistic

MOST_NUMBERS = 250_000
"""Of one layer's outputs, and of one matrix, 1 MB: of more, the first rows stand for all."""


class Starts(Ear):
    """Keeps what the section `initial_loss` is made of, a network each."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.outputs: dict[int, dict[str, list[Tensor]]] = {}
        self.weights: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.spread: dict[int, float] = {}
        self.expected: Expected | None = None
        self._done: set[int] = set()
        self._since: dict[int, int] = {}

    def passed(self, call: Passed) -> None:
        if not call.with_gradients or self._since.setdefault(id(call.network), self.scene.taken) != self.scene.taken:
            return
        name = self.scene.names.get(id(call.module))
        output = _first(call.outputs)
        if output is None or name is None or not output.is_floating_point():
            return
        if call.outermost:
            self.spread.setdefault(id(call.module), output.detach().float().std(correction=0).item())
        mine = self.outputs.setdefault(id(call.network), {})
        if name not in mine:
            mine[name] = [_few(output.detach()).clone()]

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        if self.scene.taken == 0 and self.expected is None and len(roots) == 1:
            self.expected = expected_of(roots[0])

    def stepping(self, optimizer: Optimizer) -> None:
        if id(optimizer) in self._done:
            return
        self._done.add(id(optimizer))
        for group in optimizer.param_groups:
            for each in group["params"]:
                gradient = None if each.grad is None or each.grad.is_sparse else _few(each.grad.detach()).clone()
                self.weights[id(each)] = (_few(each.detach()).clone(), gradient)

    def forget(self) -> None:
        """Everything that was kept."""
        self.outputs.clear()
        self.weights.clear()

    def starts(self, calls: Sequence[Call]) -> tuple[InitialLoss, ...]:
        """The section `initial_loss` of each network of the first step, which is run once more.

        Args:
            calls: of the first step, one a network is enough.
        """
        found = []
        networks: dict[int, Call] = {}
        for call in calls:
            networks.setdefault(id(call.module), call)
        for call in networks.values():
            layers = self._layers(call)
            if not layers:
                continue
            mine = self.expected if len(networks) == 1 else None
            given = next((each for each in call.tensors() if each.is_floating_point() and is_dense(each)), None)
            found.append(
                InitialLoss(
                    measured=mine.measured if mine else math.nan,
                    zero_output=mine.zero_output if mine else math.nan,
                    best_constant=mine.best_constant if mine else math.nan,
                    standard_error=mine.standard_error if mine else 0.0,
                    logit_std=self.spread.get(id(call.module), math.nan),
                    layers=layers,
                    input_offset=math.nan if given is None else input_offset(given),
                )
            )
        return tuple(found)

    def _layers(self, call: Call) -> tuple[LayerStatistic, ...]:
        kept = self.outputs.get(id(call.module), {})
        matrices = dict(call.module.named_parameters(remove_duplicate=False))
        layers = trace(call.module, as_batch(call))
        statistics = []
        for position, layer in enumerate(layers):
            if not layer.is_weighted or not layer.calls or not kept.get(layer.name) or layer.functional:
                continue
            matrix = matrices.get(layer.weights[0]) if layer.weights else None
            weight, gradient = self.weights.get(id(matrix), (None, None))
            found = layer_statistic(
                layer,
                kept[layer.name][0].float(),
                activated_output(layers, position, kept),
                weight=weight,
                gradient=gradient,
            )
            if weight is not None and (gradient is None or (weight.ndim > 1 and weight[0].numel() == 1)):
                # What is frozen yet stays as it is; and of one number each, in half precision, some are the same by
                # chance.
                found = replace(found, identical_units=0.0)
            statistics.append(found)
        return tuple(statistics)


def as_batch(call: Call) -> Any:
    """What a network was called with, as `anatomy.call` takes it."""
    if not call.options:
        return call.args
    return dict(inspect.signature(call.module.forward).bind(*call.args, **call.options).arguments)


def _first(value: Any) -> Tensor | None:
    while isinstance(value, tuple | list) and value:
        value = value[0]
    return value if isinstance(value, Tensor) and value.ndim else None


def _few(values: Tensor) -> Tensor:
    if values.numel() <= MOST_NUMBERS or values.ndim == 0:
        return values
    return values[: max(1, len(values) * MOST_NUMBERS // values.numel())]
