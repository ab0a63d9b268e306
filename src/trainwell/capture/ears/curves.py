"""The losses of a whole training: of its steps, and of what is evaluated between them."""

import functools
import inspect
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainwell.capture.dependence import UntoldError
from trainwell.capture.ear import Ear, Scene, Telling
from trainwell.capture.ears.evaluations import LOSSES
from trainwell.capture.source import user_line
from trainwell.capture.syntax import Places, is_said_held_out, own_frames, places_of
from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import LearningCurves
from trainwell.core.records.finding import Where

PLACES = {name: tuple(inspect.signature(own).parameters) for name, own in LOSSES.items()}
"""Of loss functions, the arguments by place."""
CLASSES = ("cross_entropy", "nll_loss")
"""Of these, the ones that answers are right or wrong for."""
FEWEST = 4
"""Evaluations: fewer have no shape."""


class Curves(Ear):
    """Fills `tested`, and knows the losses of steps and of evaluations, from the first step to the last.

    Sums stay where they are computed: nobody waits for a number before the end.
    """

    throughout = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.lines: dict[Where, _Sum] = {}
        self.held_out: dict[Places, list[_Evaluation]] = {}
        self.trained: dict[Places, list[_Evaluation]] = {}
        self._said: dict[Places, bool | None] = {}
        self._told: dict[str, Any] = {}

    def tellings(self) -> Iterable[Telling]:
        yield Telling(torch.jit, "script", before=self._let_go, after=self._take)
        # Where a function mode is in force, torch calls its own functions by their names once more.
        for name in LOSSES:
            yield Telling(functional, name, after=functools.partial(self._compared, name), once=True)

    def seen(self) -> dict[str, Any]:
        last = max(self.held_out.values(), key=len, default=[])
        return {"tested": last[-1].loss if last else math.nan}

    def curves(self) -> LearningCurves:
        """What became of the training and of what it was evaluated on.

        Raises:
            UntoldError: there were fewer than four evaluations, or several losses.
        """
        if self.scene.stepped > 1:
            raise UntoldError("several optimizers take steps: of several trainings, or of several networks")
        if len(self.lines) != 1:
            raise UntoldError("the steps compare outputs with targets on several lines, or on none that is known")
        mine = max(self.held_out.values(), key=len, default=[])
        # What was evaluated before the first step, or since the last, has no steps of its own.
        points = [each for each, before in zip(mine, [None, *mine]) if each.steps > (before.steps if before else 0)]
        if len(points) < FEWEST:
            raise UntoldError(f"held-out data was evaluated {len(points)} times between steps, and a shape takes four")
        at = tuple(float(each.taken) for each in points)
        again = next((each for each in self.trained.values() if {one.taken for one in each} >= set(at)), None)
        beside = [each for each in again or () if each.taken in at]
        steps = self._between(points)
        return LearningCurves(
            trial=0,
            shape="",
            train_loss=Curve(name="training loss", x=at, y=tuple(each.loss for each in beside) if beside else steps),
            validation_loss=Curve(name="validation loss", x=at, y=tuple(each.loss for each in points)),
            train_metric=_accuracy("training accuracy", beside),
            validation_metric=_accuracy("validation accuracy", points),
            lr=Curve(name="learning rate", x=at, y=tuple(each.rate for each in points), y_label="learning rate"),
            samples=min(each.seen.samples for each in (*points, *beside)),
            unit="step",
            of_batches=not beside,
        )

    def _let_go(self, _args: Any, _options: Any) -> None:
        """torch.jit reads functions' sources, and is to find torch's own; where it raises, no more is heard."""
        self._told = {name: getattr(functional, name) for name in LOSSES}
        for name, own in LOSSES.items():
            setattr(functional, name, own)

    def _take(self, _args: Any, _options: Any, _found: Any) -> None:
        for name, told in self._told.items():
            setattr(functional, name, told)

    def _between(self, points: "list[_Evaluation]") -> tuple[float, ...]:
        """Mean loss of the steps before each evaluation, since the last."""
        before, found = _Sum(), []
        for each in points:
            found.append(float(each.trained - before.total) / (each.steps - before.samples))
            before = _Sum(total=each.trained, samples=each.steps)
        return tuple(found)

    def _compared(self, name: str, args: tuple[Any, ...], options: dict[str, Any], found: Any) -> None:
        if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
            # What is computed while a graph is captured becomes a part of it.
            return
        given = dict(zip(PLACES[name], args, strict=False)) | options
        target = given.get("target")
        if not isinstance(found, Tensor) or not isinstance(target, Tensor) or not target.numel():
            return
        value = found.detach()
        if value.ndim:
            value = value.mean()
        elif given.get("reduction") == "sum":
            value = value / target.numel()
        if found.requires_grad:
            line = self.lines.setdefault(user_line(), _Sum())
            line.add(value, 1)
        elif self.scene.taken:
            self._evaluated(name, value, given.get("input"), target)

    def _evaluated(self, name: str, value: Tensor, outputs: Any, target: Tensor) -> None:
        frames = own_frames(sys._getframe(1))
        key = places_of(frames)
        if key not in self._said:
            self._said[key] = is_said_held_out(frames)
        if self._said[key] is None or len(self.lines) != 1:
            return
        mine = (self.held_out if self._said[key] else self.trained).setdefault(key, [])
        if not mine or mine[-1].taken != self.scene.taken:
            line = next(iter(self.lines.values()))
            mine.append(_Evaluation(self.scene.taken, trained=line.total, steps=line.samples, rate=self._rate()))
        samples = len(target) if target.ndim else 1
        mine[-1].seen.add(value * samples, samples)
        if name in CLASSES and isinstance(outputs, Tensor) and outputs.ndim == 2 and target.ndim == 1:
            mine[-1].right.add((outputs.argmax(dim=1) == target).sum(), samples)

    def _rate(self) -> float:
        optimizers = list(self.scene.optimizers.values())
        return max(float(group["lr"]) for group in optimizers[0].param_groups) if len(optimizers) == 1 else math.nan


@dataclass
class _Sum:
    """Of values, over so many samples."""

    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    samples: int = 0

    def add(self, value: Tensor, samples: int) -> None:
        """Some more; a new tensor, since an older one may be kept."""
        self.total = value.float() + self.total.to(value.device)
        self.samples += samples


@dataclass
class _Evaluation:
    """What is evaluated on one line between two steps.

    Attributes:
        taken: optimizer steps before.
        trained: sum of the losses of all batches before.
        steps: how many these were.
        rate: the optimizer's.
        seen: losses.
        right: answers.
    """

    taken: int
    trained: Tensor
    steps: int
    rate: float
    seen: _Sum = field(default_factory=_Sum)
    right: _Sum = field(default_factory=_Sum)

    @property
    def loss(self) -> float:
        """Mean over the samples."""
        return float(self.seen.total) / self.seen.samples


def _accuracy(name: str, points: Iterable[_Evaluation]) -> Curve:
    known = [each for each in points if each.right.samples]
    shares = tuple(float(each.right.total) / each.right.samples for each in known)
    return Curve(name=name, x=tuple(float(each.taken) for each in known), y=shares, y_label="accuracy")
