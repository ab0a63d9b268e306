"""What torch does while a script trains: losses, gradients that optimizers are given, inputs."""

import functools
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from trainwell.capture.dependence import (
    Call,
    UntoldError,
    first_shape,
    kept,
    position_dependence,
    sample_dependence,
)
from trainwell.capture.interventions import by_feature
from trainwell.capture.losses import LAYER, LINE, losses_of, targets_of
from trainwell.capture.source import user_line
from trainwell.core.records.dependence import PositionDependence, SampleDependence
from trainwell.core.records.finding import Where
from trainwell.core.records.steps import GradientsSeen, InputSeen, LayerSeen, LossSeen, Steps

FOLLOWED = 4
"""Parameters of an optimizer whose gradients are followed: its smallest, since all are treated alike."""
ALIKE = 1e-3
"""Two gradients are the same where what one leaves of the other is less than this share of it: float32's rounding over
thousands of sums, and bfloat16's of one."""
APART = 0.05
"""Two gradients differ where what one leaves of the other is more than this share of it."""
MOST_CALLS = 4
"""Calls of networks in the first step that are kept: of a GAN there are three."""


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
        self.layers: dict[int, _Layer] = {}
        self.calls: list[Call] = []
        self.input: InputSeen | None = None
        self._value = math.nan
        self._depth = 0
        self._deaf = False
        self._names: dict[int, str] = {}
        self._networks: dict[int, int] = {}
        self._network = 0
        self._called: set[tuple[int, bool]] = set()

    def heard(self) -> Steps:
        """Everything so far, as the section `steps`."""
        return Steps(
            taken=self.taken,
            values=tuple(self.values),
            losses=tuple(self.losses.values()),
            gradients=tuple(each.seen() for each in self.optimizers.values()),
            layers=tuple(each.seen(self._given()) for each in self.layers.values()),
            networks=len(self._called),
            input=self.input,
            input_not_finite=self.input_not_finite,
            input_step=self.input_step,
            input_at=self.input_at,
            not_finite_at=self.not_finite_at,
        )

    def depend(self) -> tuple[SampleDependence | None, PositionDependence | None, dict[str, str]]:
        """Which outputs of the networks of the first step depend on which inputs, and why where it cannot be told.

        The networks are left in test mode: nobody is to train them any more.
        """
        self._deaf = True
        reasons: dict[str, str] = {}
        samples: SampleDependence | None = None
        positions: PositionDependence | None = None
        try:
            samples = sample_dependence(self.calls, list(self.losses.values()))
        except Exception as error:  # the network is the user's and may raise anything
            reasons["samples"] = _why(error)
        try:
            positions = position_dependence(self.calls)
        except Exception as error:  # likewise
            reasons["positions"] = _why(error)
        return samples, positions, reasons

    def _given(self) -> set[int]:
        """Parameters that optimizers have which took a step."""
        groups = (group for followed in self.optimizers.values() for group in followed.optimizer.param_groups)
        return {id(parameter) for group in groups for parameter in group["params"]}

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
            nn.modules.module.register_module_forward_hook(self._after_module, with_kwargs=True, always_call=True),
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
        if self._deaf:
            return
        if self._depth == 0:
            self._network = self._networks.setdefault(id(module), len(self._networks))
            self._undisturbed(self._input, module, inputs)
        if module._parameters and id(module) not in self.layers and torch.is_grad_enabled():
            self._undisturbed(self._layer, module)
        self._depth += 1

    def _after_module(self, module: nn.Module, inputs: Any, *rest: Any) -> None:
        if self._deaf:
            return
        # Where the module raised, torch gives no keywords.
        options, outputs = rest if len(rest) > 1 else ({}, rest[0])
        self._depth = max(self._depth - 1, 0)
        node: Any = outputs.grad_fn if isinstance(outputs, Tensor) else None
        if node is not None:
            node.metadata.setdefault(LAYER, self._names.get(id(module)) or None)
        if self._depth == 0 and self.taken < 2 and module.training:
            self._undisturbed(self._call, module, inputs, options, outputs, torch.is_grad_enabled())

    def _layer(self, module: nn.Module) -> None:
        own = [each for each in module._parameters.values() if each is not None]
        if own:
            name = self._names.get(id(module))
            self.layers[id(module)] = _Layer(module, own, name=name, network=self._network, where=user_line())

    def _call(self, module: nn.Module, inputs: Any, options: Any, outputs: Any, with_gradients: bool) -> None:
        if not any(True for _ in module.parameters()):
            return
        if self.taken == 0:
            self._called.add((id(module), with_gradients))
        if not with_gradients:
            return
        if self.taken == 0 and len(self.calls) < MOST_CALLS:
            self.input = self.input or _input_seen(inputs)
            self.calls.append(
                Call(
                    module=module,
                    args=kept(tuple(inputs)),
                    options=kept(dict(options)),
                    output=first_shape(outputs),
                    where=user_line(),
                )
            )
        elif self.taken == 1:
            for call in self.calls:
                then, now = call.tensors(), [each for each in inputs if isinstance(each, Tensor)]
                call.repeated |= call.module is module and bool(now) and bool(then) and torch.equal(now[0], then[0])

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
            if self.taken == 0:
                for call in self.calls:
                    call.targets.extend(kept(targets) for targets in targets_of(each.grad_fn))
            for loss in losses_of(each.grad_fn, step=self.taken):
                key = (loss.where, loss.function, loss.activation, loss.compared == loss.outputs)
                self.losses.setdefault(key, loss)

    def _before_step(self, optimizer: Optimizer, _args: Any, _options: Any) -> None:
        if id(optimizer) not in self.optimizers:
            self.optimizers[id(optimizer)] = _Followed(optimizer, where=user_line())
        for layer in self.layers.values():
            layer.look()

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


class _Layer:
    """A module with weights, and whether they learn."""

    def __init__(
        self, module: nn.Module, own: Sequence[Tensor], *, name: str | None, network: int, where: Where
    ) -> None:
        self.module, self.own, self.name, self.network, self.where = module, own, name, network, where
        self.reached = False

    def look(self) -> None:
        """Before a step: has a gradient come?"""
        self.reached = self.reached or any(each.grad is not None for each in self.own)

    def seen(self, given: set[int]) -> LayerSeen:
        """What became of it."""
        return LayerSeen(
            name=self.name or "",
            kind=type(self.module).__name__,
            weights=sum(each.numel() for each in self.own),
            network=self.network,
            registered=self.name is not None,
            given=any(id(each) in given for each in self.own),
            trainable=any(each.requires_grad for each in self.own),
            reached=self.reached,
            where=self.where,
        )


class _Followed:
    """Some parameters of an optimizer: is the gradient of the step before still in what the next step is given?"""

    def __init__(self, optimizer: Optimizer, *, where: Where) -> None:
        self.optimizer = optimizer
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


def _input_seen(inputs: Any) -> InputSeen | None:
    numbers = next((each for each in inputs if isinstance(each, Tensor) and each.is_floating_point()), None)
    if numbers is None or numbers.ndim < 2 or len(numbers) < 2:
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


def _why(error: Exception) -> str:
    if isinstance(error, UntoldError):
        return str(error)
    return f"in test mode the network raised {type(error).__name__}: {error}".splitlines()[0]


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
