"""The networks of the first step: what they were given, and what their outputs were compared with."""

from typing import Any

from torch import Tensor, nn

from trainwell.capture.dependence import Call, first_shape, kept
from trainwell.capture.ear import Ear, Passed, Scene
from trainwell.capture.interventions import by_feature
from trainwell.capture.losses import targets_of
from trainwell.capture.source import user_line
from trainwell.capture.stored import is_dense, is_same, stored
from trainwell.core.records.finding import Where
from trainwell.core.records.steps import InputSeen

MOST_CALLS = 4
"""Calls of networks in the first step that are kept: of a GAN there are three."""


class Networks(Ear):
    """Fills `networks`, `input`, `input_not_finite`, `input_step` and `input_at`; keeps the calls themselves."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.calls: list[Call] = []
        self.input: InputSeen | None = None
        self.not_finite, self.not_finite_step, self.not_finite_at = 0.0, 0, Where()
        self._called: set[tuple[int, bool]] = set()

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) > 1 or self.not_finite or not isinstance(inputs, tuple) or not _learns(module):
            return
        given = [stored(each.detach())[-1] for each in inputs if isinstance(each, Tensor)]
        numbers = [each for each in given if each.is_floating_point() and each.numel()]
        shares = [(~each.isfinite()).double().mean().item() for each in numbers]
        if any(shares):
            self.not_finite, self.not_finite_step, self.not_finite_at = max(shares), self.scene.taken, user_line()

    def passed(self, call: Passed) -> None:
        if not call.outermost or self.scene.taken > 1 or not _learns(call.module):
            return
        wanted = call.with_gradients and any(each.requires_grad for each in call.module.parameters())
        if not call.module.training and not wanted:
            return
        if self.scene.taken == 0:
            self._called.add((id(call.module), call.with_gradients))
        if not call.with_gradients:
            return
        if self.scene.taken == 0 and len(self.calls) < MOST_CALLS:
            self.input = self.input or _input_seen(call.inputs)
            self.calls.append(
                Call(
                    module=call.module,
                    args=kept(tuple(call.inputs)),
                    options=kept(dict(call.options)),
                    output=first_shape(call.outputs),
                    where=user_line(),
                )
            )
        elif self.scene.taken == 1:
            for each in self.calls:
                then, now = each.tensors(), [value for value in call.inputs if isinstance(value, Tensor)]
                each.repeated |= each.module is call.module and bool(now) and bool(then) and is_same(now[0], then[0])

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        if self.scene.taken:
            return
        for root in roots:
            for call in self.calls:
                call.targets.extend(kept(targets) for targets in targets_of(root.grad_fn))

    def seen(self) -> dict[str, Any]:
        return {
            "networks": len(self._called),
            "input": self.input,
            "input_not_finite": self.not_finite,
            "input_step": self.not_finite_step,
            "input_at": self.not_finite_at,
        }


def _learns(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _input_seen(inputs: Any) -> InputSeen | None:
    numbers = next((each for each in inputs if isinstance(each, Tensor) and each.is_floating_point()), None)
    if numbers is None or not is_dense(numbers) or numbers.ndim < 2 or len(numbers) < 2:
        return None
    rows = by_feature(numbers.detach().double())
    deviations = rows.std(dim=1, correction=0)
    if not rows.isfinite().all() or not (deviations > 0).any():
        return None
    return InputSeen(
        features=len(rows),
        smallest=deviations[deviations > 0].min().item(),
        largest=rows.square().mean(dim=1).sqrt().max().item(),
        where=user_line(),
    )
