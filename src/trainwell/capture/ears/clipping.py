"""Clipping: which gradients it finds, and whether the step is taken along what it leaves."""

import math
import statistics
import sys
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grad
from torch.optim import SGD, Optimizer

from trainwell.capture.ear import Ear, Scene, Telling
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import ClippingSeen

FOLLOWED = 4
"""Gradients of a call that are followed to the step: its smallest, since all are treated alike."""

Function = Literal["clip_grad_norm_", "clip_grad_value_"]


class Clipping(Ear):
    """Fills `clipping`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.places: dict[tuple[object, ...], _Place] = {}
        self.time = 0
        self.backward_at = 0
        self.stepping_at = 0
        self.scaler: GradScaler | None = None
        self.unscaled: list[Optimizer] = []

    def tellings(self) -> Iterable[Telling]:
        inner, outer = clip_grad, nn.utils
        yield Telling(inner, "_clip_grads_with_norm_", after=self._by_norm)
        yield Telling(outer, "clip_grads_with_norm_", after=self._by_norm)
        # The other function is often given a generator, which nobody else may ask: what it made of it is seen inside.
        yield Telling(inner, "_group_tensors_by_device_and_dtype", before=self._grouped)
        yield Telling(GradScaler, "scale", before=self._scaled)
        yield Telling(GradScaler, "unscale_", after=self._unscaled)
        yield Telling(GradScaler, "update", after=self._updated)

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        self.backward_at = self._now()
        for place in self.places.values():
            if place.pending is not None:
                place.pending.before_backward()

    def stepping(self, optimizer: Optimizer) -> None:
        self.stepping_at = self._now()
        self._check(optimizer)

    def stepped(self, optimizer: Optimizer) -> None:
        if not self.places:
            return
        if self.backward_at > self.stepping_at:
            # A closure has made its gradients within the step.
            self._check(optimizer)
        for place in self.places.values():
            place.step(optimizer)

    def seen(self) -> dict[str, Any]:
        return {"clipping": tuple(each.seen() for each in self.places.values() if each.steps)}

    def leave(self) -> None:
        for place in self.places.values():
            place.pending = None

    def _now(self) -> int:
        self.time += 1
        return self.time

    def _by_norm(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        parameters = args[0] if args else options.get("parameters")
        limit = args[1] if len(args) > 1 else options.get("max_norm", math.inf)
        norm = args[2] if len(args) > 2 else options.get("total_norm", math.nan)
        given = [parameters] if isinstance(parameters, Tensor) else parameters
        if isinstance(given, list | tuple):
            gradients = [each.grad for each in given if each.grad is not None]
            self._clipped("clip_grad_norm_", float(limit), float(norm), gradients, tuple(given))

    def _grouped(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        frame = _clipping_frame()
        if frame is None or frame.f_code.co_name != "clip_grad_value_" or not args or not args[0]:
            return
        gradients = list(args[0][0])
        largest = max((_largest(each) for each in gradients), default=0.0)
        self._clipped("clip_grad_value_", float(frame.f_locals["clip_value"]), largest, gradients, None)

    def _clipped(
        self, function: Function, limit: float, size: float, gradients: list[Tensor], given: tuple[Tensor, ...] | None
    ) -> None:
        # A limit that nothing reaches is a way to ask for the norm.
        if not math.isfinite(limit):
            return
        where = user_line()
        # One line of a library may clip several networks; one that goes through the parameters clips one.
        key = (where, function, id(given[0]) if given is not None and len(given) > 1 else 0)
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = _Place(function, where)
        scale = 1.0 if self.scaler is None or self._is_unscaled(gradients) else self.scaler.get_scale()
        clip = _Clip(gradients, given, time=self._now(), ratio=size / limit if limit > 0 else math.inf)
        place.take(clip, limit=limit, scale=scale)

    def _scaled(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.scaler = args[0] if args[0].is_enabled() else None

    def _unscaled(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        self.unscaled.append(args[1] if len(args) > 1 else options["optimizer"])

    def _updated(self, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        self.scaler, self.unscaled = None, []

    def _is_unscaled(self, gradients: Sequence[Tensor]) -> bool:
        done = {id(each.grad) for optimizer in self.unscaled for each in _parameters(optimizer)}
        return bool(done) and all(id(each) in done for each in gradients)

    def _check(self, optimizer: Optimizer) -> None:
        """At a step: is it taken along what the last clipping left?"""
        if not any(place.pending for place in self.places.values()):
            return
        mine = list(_parameters(optimizer))
        gradients = {id(each.grad): each.grad for each in mine if each.grad is not None}
        for place in self.places.values():
            if place.pending is not None and self._belongs(place, place.pending, optimizer, mine, gradients):
                place.check(place.pending, gradients)

    def _belongs(
        self,
        place: "_Place",
        clip: "_Clip",
        optimizer: Optimizer,
        mine: Sequence[Tensor],
        gradients: dict[int, Tensor],
    ) -> bool:
        """Whether a clipping was meant for a step of this optimizer."""
        if clip.given is not None:
            known = {id(each) for each in mine}
            found = any(id(each) in known for each in clip.given)
        else:
            found = any(id(each) in gradients for each in clip.gradients) or len(self.scene.optimizers) == 1
        if found:
            place.optimizers[id(optimizer)] = optimizer
        return found


class _Clip:
    """One call."""

    def __init__(
        self, gradients: Sequence[Tensor], given: tuple[Tensor, ...] | None, *, time: int, ratio: float
    ) -> None:
        self.gradients = sorted((each for each in gradients if not each.is_sparse), key=Tensor.numel)[:FOLLOWED]
        self.given, self.time, self.ratio = given, time, ratio
        self.late: bool | None = None
        self.versions: list[int] | None = None

    def before_backward(self) -> None:
        """A backward pass begins after it: what it left is as it was left."""
        if self.versions is None:
            self.versions = [each._version for each in self.gradients]

    def is_kept(self, gradients: dict[int, Tensor]) -> bool:
        """Whether what it left is what a step is given."""
        if self.versions is None:
            return True
        return bool(self.gradients) and all(
            gradients.get(id(each)) is each and each._version == version
            for each, version in zip(self.gradients, self.versions, strict=True)
        )


class _Place:
    """A line that clips."""

    def __init__(self, function: Function, where: Where) -> None:
        self.function, self.where = function, where
        self.optimizers: dict[int, Optimizer] = {}
        self.pending: _Clip | None = None
        self.limit, self.scale = math.nan, 1.0
        self.calls, self.empty, self.scaled, self.steps, self.late = 0, 0, 0, 0, 0
        self.ratios: list[float] = []
        self.beyond: list[float] = []
        self._beyond = math.nan

    def take(self, clip: _Clip, *, limit: float, scale: float) -> None:
        """A call has ended."""
        self.pending, self.limit = clip, limit
        self.calls += 1
        self.empty += clip.ratio == 0
        if scale != 1.0:
            self.scaled, self.scale = self.scaled + 1, scale

    def check(self, clip: _Clip, gradients: dict[int, Tensor]) -> None:
        """At a step of its optimizer, and again at its end where a closure made the gradients."""
        clip.late = not clip.is_kept(gradients)
        if clip.late:
            sizes = [_size(each, self.function) for each in gradients.values()]
            self._beyond = math.hypot(*sizes) if self.function == "clip_grad_norm_" else max(sizes, default=0.0)

    def step(self, optimizer: Optimizer) -> None:
        """An optimizer has taken one."""
        if id(optimizer) not in self.optimizers:
            return
        self.steps += 1
        if self.pending is None or self.pending.late is None:
            return
        if self.pending.late:
            self.late += 1
            self.beyond.append(self._beyond)
        else:
            self.ratios.append(self.pending.ratio)
        self.pending = None

    def seen(self) -> ClippingSeen:
        """What became of it."""
        return ClippingSeen(
            function=self.function,
            limit=self.limit,
            calls=self.calls,
            steps=self.steps,
            empty=self.empty,
            late=self.late,
            beyond=statistics.median(self.beyond) if self.beyond else math.nan,
            scaled=self.scaled,
            scale=self.scale,
            clipped=len(self.ratios),
            least=min(self.ratios, default=math.nan),
            ratio=statistics.median(self.ratios) if self.ratios else math.nan,
            plain=all(isinstance(each, SGD) for each in self.optimizers.values()),
            where=self.where,
        )


def _clipping_frame() -> FrameType | None:
    """The function of torch that called what is being told."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != clip_grad.__file__:
        frame = frame.f_back
    return frame


def _parameters(optimizer: Optimizer) -> Iterable[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _size(gradient: Tensor, function: Function) -> float:
    if function == "clip_grad_value_":
        return _largest(gradient)
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return float(torch.linalg.vector_norm(values.detach().float()))


def _largest(gradient: Tensor) -> float:
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    return float(values.detach().abs().max()) if values.numel() else 0.0
