"""Batch norms: what they normalize over, what they knew before the first step, and whether they stay where they are."""

import math
import statistics
from collections import deque
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.networks import NormSeen

MOST = 1000
"""Calls whose numbers a channel are kept."""
FEW_SAMPLES = 4
"""In a batch, up to which it is asked whether their numbers are independent."""
APART = 4
"""Calls between two batches that are compared: of those right after each other, one may be made of the other."""
BATCHES = (8, 64)
"""Pairs of batches that are compared, at least and at most: of later ones, weights have moved between them."""
COMPARED = 64
"""Numbers of the layer before that are compared with what they were: who moves a layer moves them all."""


class Norms(Ear):
    """Fills `norms`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.norms: dict[int, _Norm] = {}
        self.before: nn.Module | None = None

    def entered(self, module: nn.Module, inputs: Any) -> None:
        if len(self.scene.inside) == 1:
            self.before = None
        if isinstance(module, _BatchNorm):
            given = inputs[0] if inputs else None
            lazy = module.running_mean is not None and is_lazy(module.running_mean)
            if isinstance(given, Tensor) and given.ndim > 1 and given.numel() and not lazy:
                norm = self.norms.get(id(module)) or self._made(module, given)
                norm.look(given, before=self.before)
        elif any(each is not None for each in module._parameters.values()):
            self.before = module

    def seen(self) -> dict[str, Any]:
        return {"norms": tuple(each.seen() for each in self.norms.values())}

    def _made(self, module: _BatchNorm, given: Tensor) -> "_Norm":
        network = self.scene.network
        norm = self.norms[id(module)] = _Norm(
            module,
            given,
            name=self.scene.names.get(id(module)) or "",
            network=network,
            first=all(each.network != network for each in self.norms.values()),
            before=self.before,
            where=user_line(),
        )
        return norm


class _Norm:
    """One batch norm."""

    def __init__(
        self,
        module: _BatchNorm,
        given: Tensor,
        *,
        name: str,
        network: int,
        first: bool,
        before: nn.Module | None,
        where: Where,
    ) -> None:
        self.module, self.name, self.network, self.first, self.where = module, name, network, first, where
        self.values: list[float] = []
        self.samples: list[int] = []
        self.calls = 0
        self.means: deque[Tensor] = deque(maxlen=APART)
        self.between: list[Tensor] = []
        self.within: list[Tensor] = []
        self.frozen = True
        self.weights = [(each, each.detach().clone()) for each in _own(module)]
        self.weights += [] if before is None else [(each, _few(each).clone()) for each in _own(before)]
        self.mean, self.deviation = self._statistics()
        self.offset, self.scale = math.nan, math.nan
        if first and self.mean is not None and self.deviation is not None:
            self.offset, self.scale = _compared(given, self.mean, self.deviation)

    def look(self, given: Tensor, *, before: nn.Module | None) -> None:
        """At each call."""
        if not self.module.training:
            return
        self.calls += 1
        if len(self.values) < MOST:
            self.values.append(given.numel() / given.shape[1])
            self.samples.append(len(given))
            if len(given) <= FEW_SAMPLES:
                self._compare(given.detach().float())
        weights = [*_own(self.module), *([] if before is None else _own(before))]
        self.frozen = self.frozen and not given.requires_grad and not any(each.requires_grad for each in weights)

    def seen(self) -> NormSeen:
        """What became of it."""
        frozen = self.frozen and bool(_own(self.module)) and bool(self.values)
        return NormSeen(
            name=self.name,
            network=self.network,
            first=self.first,
            calls=self.calls,
            values=statistics.median(self.values) if self.values else 0.0,
            samples=float(statistics.median(self.samples)) if self.samples else 0.0,
            trained=self.mean is not None,
            offset=self.offset,
            scale=self.scale,
            frozen=frozen and all(torch.equal(_few(now, len(then)), then) for now, then in self.weights),
            moved=self._moved(),
            independent=self._independent(),
            where=self.where,
        )

    def _compare(self, given: Tensor) -> None:
        """Keep how far the channels' means are from those of another batch, and how far numbers are from each other."""
        axes = [0, *range(2, given.ndim)]
        mean = given.mean(dim=axes)
        self.within.append(given.var(dim=axes, correction=0).double())
        if len(self.means) == APART and len(self.between) < BATCHES[1]:
            self.between.append((mean - self.means[0]).square().double() / 2)
        self.means.append(mean)

    def _independent(self) -> float:
        if len(self.between) < BATCHES[0]:
            return math.nan
        # A jump of the weights is one pair's, and of a square of normal numbers the median is 0.455 of the mean.
        between = torch.stack(self.between).median(dim=0).values / 0.455
        within = torch.stack(self.within).mean(dim=0)
        # The variance of all numbers is that within batches and that between them.
        found = ((within + between) / between)[between > 0]
        samples = statistics.median(self.samples)
        return max(found.median().item(), samples) if len(found) else math.inf

    def _statistics(self) -> tuple[Tensor | None, Tensor | None]:
        """Running mean and deviation, where they are others than those of a new norm."""
        mean, variance = self.module.running_mean, self.module.running_var
        if mean is None or variance is None or (bool((mean == 0).all()) and bool((variance == 1).all())):
            return None, None
        return mean.detach().double().clone(), (variance.detach().double() + self.module.eps).sqrt()

    def _moved(self) -> float:
        if self.mean is None or self.deviation is None or self.module.running_mean is None:
            return 0.0
        now = self.module.running_mean.detach().double()
        return ((now - self.mean).abs() / self.deviation).median().item()


def _own(module: nn.Module) -> list[Tensor]:
    return [each for each in module._parameters.values() if each is not None and not is_lazy(each)]


def _few(weight: Tensor, count: int = COMPARED) -> Tensor:
    return weight.detach().flatten()[:count]


def _compared(given: Tensor, mean: Tensor, deviation: Tensor) -> tuple[float, float]:
    """How far a batch lies from running statistics, and how much wider or narrower it is."""
    rows = given.detach().double().transpose(0, 1).flatten(1)
    if not bool(rows.isfinite().all()) or rows.shape[1] < 2:
        return math.nan, math.nan
    offset = (rows.mean(dim=1) - mean).abs() / deviation
    return offset.median().item(), (rows.std(dim=1) / deviation).median().item()
