"""What torch does while a script trains: losses, gradients that optimizers are given, inputs."""

import functools
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from trainwell.capture.losses import LAYER, LINE, losses_of
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.steps import GradientsSeen, LossSeen, Steps

FOLLOWED = 4
"""Parameters of an optimizer whose gradients are followed: its smallest, since all are treated alike."""
ALIKE = 1e-3
"""Two gradients are the same where what one leaves of the other is less than this share of it: float32's rounding over
thousands of sums, and bfloat16's of one."""
APART = 0.05
"""Two gradients differ where what one leaves of the other is more than this share of it."""


class Listener:
    """Hears what a script does with torch, and changes nothing of it.

    Args:
        after_step: is told how many optimizer steps were taken, after each.
    """

    def __init__(self, after_step: Callable[[int], None]) -> None:
        self.after_step = after_step
        self.taken = 0
        self.values: list[float] = []
        self.losses: dict[tuple[object, ...], LossSeen] = {}
        self.optimizers: dict[int, _Followed] = {}
        self.input_not_finite, self.input_step, self.input_at = 0.0, 0, Where()
        self.not_finite_at = Where()
        self.troubles: list[str] = []
        self._value = math.nan
        self._depth = 0
        self._names: dict[int, str] = {}

    def heard(self) -> Steps:
        """Everything so far, as the section `steps`."""
        return Steps(
            taken=self.taken,
            values=tuple(self.values),
            losses=tuple(self.losses.values()),
            gradients=tuple(each.seen() for each in self.optimizers.values()),
            input_not_finite=self.input_not_finite,
            input_step=self.input_step,
            input_at=self.input_at,
            not_finite_at=self.not_finite_at,
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this is entered, everything is heard."""
        backward = torch.autograd.backward

        @functools.wraps(backward)
        def heard_backward(tensors: Any, *args: Any, **options: Any) -> Any:
            self._undisturbed(self._backward, tensors)
            return backward(tensors, *args, **options)

        handles = [
            nn.modules.module.register_module_forward_pre_hook(self._before_module),
            nn.modules.module.register_module_forward_hook(self._after_module, always_call=True),
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        torch.autograd.backward = heard_backward
        try:
            with _Lines():
                yield
        finally:
            torch.autograd.backward = backward
            for handle in handles:
                handle.remove()
            for followed in self.optimizers.values():
                followed.leave()

    def _before_module(self, module: nn.Module, inputs: Any) -> None:
        if self._depth == 0:
            self._undisturbed(self._input, module, inputs)
        self._depth += 1

    def _after_module(self, module: nn.Module, _inputs: Any, outputs: Any) -> None:
        self._depth = max(self._depth - 1, 0)
        node: Any = outputs.grad_fn if isinstance(outputs, Tensor) else None
        if node is not None:
            node.metadata.setdefault(LAYER, self._names.get(id(module)) or None)

    def _input(self, module: nn.Module, inputs: Any) -> None:
        for name, each in module.named_modules():
            # A module in two networks keeps the name by which it was called first.
            self._names.setdefault(id(each), name)
        if self.input_not_finite or not isinstance(inputs, tuple) or not any(True for _ in module.parameters()):
            return
        numbers = [each for each in inputs if isinstance(each, Tensor) and each.is_floating_point() and each.numel()]
        shares = [(~each.detach().isfinite()).double().mean().item() for each in numbers]
        if any(shares):
            self.input_not_finite, self.input_step, self.input_at = max(shares), self.taken, user_line()

    def _backward(self, tensors: Any) -> None:
        for each in (tensors,) if isinstance(tensors, Tensor) else tuple(tensors):
            if each.grad_fn is None:
                continue
            if each.numel() == 1:
                self._value = each.detach().float().item()
                if not math.isfinite(self._value) and self.not_finite_at.line is None:
                    self.not_finite_at = user_line()
            for loss in losses_of(each.grad_fn, step=self.taken):
                key = (loss.where, loss.function, loss.activation, loss.compared == loss.outputs)
                self.losses.setdefault(key, loss)

    def _before_step(self, optimizer: Optimizer, _args: Any, _options: Any) -> None:
        if id(optimizer) not in self.optimizers:
            self.optimizers[id(optimizer)] = _Followed(optimizer, where=user_line())

    def _after_step(self, optimizer: Optimizer, _args: Any, _options: Any) -> None:
        self.taken += 1
        self._undisturbed(self.optimizers[id(optimizer)].compare)
        self.values.append(self._value)
        self.after_step(self.taken)

    def _undisturbed(self, work: Callable[..., None], *given: Any) -> None:
        """Observe without a trace: no graph, and no error of ours reaches the user's code; it is told instead."""
        try:
            with torch.no_grad(), torch._C.DisableTorchFunction():
                work(*given)
        except Exception as error:  # whatever it is, the script goes on
            said = f"{work.__name__.strip('_')}: {type(error).__name__}: {error}".splitlines()[0]
            if said not in self.troubles:
                self.troubles.append(said)


class _Followed:
    """Some parameters of an optimizer: is the gradient of the step before still in what the next step is given?"""

    def __init__(self, optimizer: Optimizer, *, where: Where) -> None:
        given = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.parameters = sorted((each for each in given if each.requires_grad), key=Tensor.numel)[:FOLLOWED]
        self.where = where
        self.before: list[Tensor | None] = [None] * len(self.parameters)
        self.incoming: list[Tensor | None] = [None] * len(self.parameters)
        self.shares: list[float] = []
        self.told = 0
        self.handles = [
            each.register_hook(functools.partial(self._incoming, place)) for place, each in enumerate(self.parameters)
        ]

    def _incoming(self, place: int, gradient: Tensor) -> None:
        if gradient.is_sparse:
            return
        before = self.incoming[place]
        self.incoming[place] = gradient.detach().clone() if before is None else before + gradient.detach()

    def compare(self) -> None:
        """After a step: what it was given, beside what came in since the step before."""
        found = [
            _left_over(parameter.grad, old=old, new=new)
            for parameter, old, new in zip(self.parameters, self.before, self.incoming, strict=True)
        ]
        told = [share for share in found if share is not None]
        if told:
            self.told += 1
            if all(told):
                self.shares.append(statistics.median(told))
        for place, parameter in enumerate(self.parameters):
            grad = parameter.grad
            self.before[place] = None if grad is None or grad.is_sparse else grad.detach().clone()
            self.incoming[place] = None

    def seen(self) -> GradientsSeen:
        """How often it was."""
        share = statistics.median(self.shares) if self.shares else 0.0
        return GradientsSeen(steps=self.told, kept=len(self.shares), share=share, where=self.where)

    def leave(self) -> None:
        """Take the hooks off the parameters."""
        for handle in self.handles:
            handle.remove()


def _left_over(given: Tensor | None, *, old: Tensor | None, new: Tensor | None) -> float | None:
    """Share of a gradient that the step before left in it; 0 where it was cleared, None where it cannot be told.

    Up to a factor, since clipping and unscaling have changed its length.
    """
    if given is None or old is None or new is None or given.is_sparse or old.norm() == 0 or new.norm() == 0:
        return None
    from_new, from_both = _rest(given, new), _rest(given, old + new)
    if from_both < ALIKE and from_new > APART:
        return float(old.norm() / (old + new).norm().clamp(min=1e-30))
    return 0.0 if from_new < ALIKE and from_both > APART else None


def _rest(given: Tensor, other: Tensor) -> float:
    """What is left of a gradient beside the nearest multiple of another, as a share of it."""
    flat, along = given.detach().double().flatten(), other.double().flatten()
    along = along / along.norm().clamp(min=1e-300)
    return float((flat - (flat @ along) * along).norm() / flat.norm().clamp(min=1e-300))


class _Lines(TorchFunctionMode):
    """Leaves at each node of autograd's graph the user's line that made it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        node: Any = found.grad_fn if isinstance(found, Tensor) else None
        if node is not None and LINE not in node.metadata:
            node.metadata[LINE] = user_line(sys._getframe(1))
        return found
