"""Weights in half precision: which of them a step changes, and which it rounds back to what they were."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainwell.capture.ear import Ear, Scene
from trainwell.capture.source import user_line
from trainwell.core.records.finding import Where
from trainwell.core.records.seen.updates import HalfSeen

TYPES = (torch.bfloat16, torch.float16)
MOST_OF_ONE, MOST = 65_536, 4_194_304
"""Numbers of one tensor, and of all of an optimizer, that are looked at."""

STEPS = 30
"""In which weights must move: what the rule's share was measured over."""


class Halves(Ear):
    """Fills `halves`."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.followed: dict[int, _Followed] = {}

    def stepping(self, optimizer: Optimizer) -> None:
        mine = self.followed.get(id(optimizer))
        if mine is None:
            mine = self.followed[id(optimizer)] = _Followed(optimizer, where=user_line())
        mine.before()

    def stepped(self, optimizer: Optimizer) -> None:
        self.followed[id(optimizer)].after()

    def seen(self) -> dict[str, Any]:
        return {"halves": tuple(each.seen() for each in self.followed.values() if each.weights)}


class _Followed:
    """Weights of an optimizer that are in half precision."""

    def __init__(self, optimizer: Optimizer, *, where: Where) -> None:
        self.where = where
        # An optimizer of somebody's own may keep what rounding takes away, and give it back later.
        self.plain = type(optimizer).__module__.startswith("torch.optim")
        self.weights: list[_Weight] = []
        self.kind, self.steps = "", 0
        left = MOST
        for group in optimizer.param_groups:
            for each in group["params"]:
                if each.dtype in TYPES and each.requires_grad and each.numel() <= left:
                    self.weights.append(_Weight(each))
                    self.kind = str(each.dtype).removeprefix("torch.")
                    left -= min(each.numel(), MOST_OF_ONE)

    def before(self) -> None:
        if self.steps < STEPS:
            for each in self.weights:
                each.before()

    def after(self) -> None:
        if self.steps == STEPS:
            return
        self.steps += 1
        for each in self.weights:
            each.after()

    def seen(self) -> HalfSeen:
        """How many moved."""
        asked = sum(int(each.asked.sum()) for each in self.weights)
        still = sum(int((each.asked & ~each.moved).sum()) for each in self.weights)
        wanted, lost = sum(each.wanted for each in self.weights), sum(each.lost for each in self.weights)
        return HalfSeen(
            kind=self.kind,
            steps=self.steps,
            numbers=asked,
            still=still / asked if asked else 0.0,
            lost=lost / wanted if wanted else 0.0,
            plain=self.plain,
            where=self.where,
        )


class _Weight:
    """One of them, or its first part."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.start = _part(weight).clone()
        self.asked = torch.zeros_like(self.start, dtype=torch.bool)
        self.moved = torch.zeros_like(self.start, dtype=torch.bool)
        self.wanted, self.lost = 0, 0
        self._before = self.start

    def before(self) -> None:
        self._before = _part(self.weight).clone()

    def after(self) -> None:
        gradient = self.weight.grad
        if gradient is None or gradient.is_sparse:
            return
        asked, now = _part(gradient) != 0, _part(self.weight)
        self.asked |= asked
        # Against the start, since steps between may not have been heard.
        self.moved |= (now != self.start) | (now != self._before)
        self.wanted += int(asked.sum())
        self.lost += int((asked & (now == self._before)).sum())


def _part(weight: Tensor) -> Tensor:
    return weight.detach().flatten()[:MOST_OF_ONE]
