"""Functions of torch that compute something else while a mode is entered, whoever calls them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trainwell.capture.maps import PRODUCTS
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where

DIFFERENCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
"""Functions that compare outputs with targets number by number."""


class Narrowed(TorchFunctionMode):
    """Cross-entropies over the first classes alone.

    Args:
        classes: how many.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if getattr(func, "__name__", "") in ("cross_entropy", "log_softmax") and options.get("weight") is None:
            given = args[0] if args else options.pop("input")
            axis = min(1, given.ndim - 1)
            if given.shape[axis] > self.classes:
                given = given.narrow(axis, 0, self.classes)
            args = (given, *args[1:])
        return func(*args, **options)


class Alike(TorchFunctionMode):
    """Cross-entropies without weights get n / (C n_c) for class c, of the samples so far: n, C classes, n_c of c."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options, name = dict(kwargs or {}), getattr(func, "__name__", "")
        own = [*args[2:], options.get("weight"), options.get("pos_weight")]
        if name in ("cross_entropy", "binary_cross_entropy_with_logits") and all(each is None for each in own):
            outputs, labels = (args[0] if args else options["input"]), (args[1] if len(args) > 1 else options["target"])
            if name == "cross_entropy" and outputs.ndim == 2 and labels.ndim == 1 and not labels.is_floating_point():
                options["weight"] = self._weights(labels, outputs.shape[1]).to(outputs)
                args = args[:2]
            elif name != "cross_entropy" and outputs.ndim and outputs.numel() == len(outputs):
                absent, present = self._weights(labels.detach().flatten().long(), 2).to(outputs)
                options["weight"] = torch.where(labels > 0, present, absent)
                args = args[:2]
        return func(*args, **options)

    def _weights(self, labels: Tensor, classes: int) -> Tensor:
        known = labels[(labels >= 0) & (labels < classes)].cpu()
        counts = self.counts.setdefault(classes, torch.zeros(classes, dtype=torch.long))
        if torch.is_grad_enabled():
            counts += torch.bincount(known, minlength=classes)
        return counts.sum().clamp(min=1) / (classes * counts.clamp(min=1))


class InUnits(TorchFunctionMode):
    """Differences are taken of outputs that are multiplied by the targets' first deviation and moved by their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.units: dict[int, tuple[float, float]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if getattr(func, "__name__", "") in DIFFERENCES:
            outputs = args[0] if args else options.pop("input")
            targets = args[1] if len(args) > 1 else options.pop("target")
            if targets.is_floating_point() and outputs.numel() == targets.numel():
                mean, deviation = self._units(targets)
                outputs = outputs * deviation + mean
            args = (outputs, targets, *args[2:])
        return func(*args, **options)

    def _units(self, targets: Tensor) -> tuple[float, float]:
        size = targets[0].numel() if targets.ndim else 1
        if size not in self.units:
            deviation = targets.detach().float().std(correction=0).item()
            self.units[size] = targets.detach().float().mean().item(), deviation if deviation > 0 else 1.0
        return self.units[size]


class Between(TorchFunctionMode):
    """Products with some parameters pass a ReLU.

    Args:
        names: id of a parameter -> its dotted name; kept up to date by who enters this.
        chosen: names of those parameters.
    """

    def __init__(self, names: Mapping[int, str], chosen: Sequence[str]) -> None:
        super().__init__()
        self.names, self.chosen = names, frozenset(chosen)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        product = getattr(func, "__name__", "") in PRODUCTS and len(args) > 1
        return torch.relu(found) if product and self.names.get(id(args[1])) in self.chosen else found


class Gently(TorchFunctionMode):
    """What a network gives a sigmoid or a tangent is divided by its deviation at the first call, where that is above 1.

    Args:
        inside: modules that are being called, the outermost first; kept up to date by who enters this.
    """

    def __init__(self, inside: list[nn.Module]) -> None:
        super().__init__()
        self.inside = inside
        self.factors: dict[tuple[int, Where], float] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("tanh", "sigmoid") and self.inside and args:
            given = args[0]
            key = id(self.inside[-1]), user_line()
            if key not in self.factors:
                deviation = given.detach().float().std(correction=0).item()
                self.factors[key] = 1 / deviation if math.isfinite(deviation) and deviation > 1 else 1.0
            args = (given * self.factors[key], *args[1:])
        return func(*args, **(kwargs or {}))
