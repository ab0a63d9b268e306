"""A Setup trained to its last epoch, on copies, and measured after each."""

import math
from collections.abc import Iterable
from itertools import islice
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from trainwell.capture.dependence import UntoldError
from trainwell.capture.given import Setup, Training, begin, draws_kept, loader_of
from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import LearningCurves
from trainwell.core.seeds import seeded

FEWEST = 4
"""Epochs: fewer have no shape."""
MOST = 2000
"""Samples of either part that are measured on after each epoch."""


def train_to_the_end(setup: Setup, *, seconds: float) -> LearningCurves:
    """The section `curves`: both losses after each epoch, in test mode.

    Args:
        setup: is left as it is, and so are all generators.
        seconds: that it may take; where the first epoch says that it would take longer, it is given up.
    Returns:
        With an accuracy, where the targets are classes.
    Raises:
        UntoldError: there is nothing to measure on, or no time.
    """
    if setup.val is None:
        raise UntoldError("the Setup has no `val` to measure on")
    if setup.step is not None or hasattr(setup.model, "training_step"):
        raise UntoldError("a step of your own may do what is not known here: its network is not measured by itself")
    if setup.epochs < FEWEST:
        raise UntoldError(f"{setup.epochs} epochs have no shape: it takes {FEWEST}")
    began = perf_counter()
    with draws_kept(setup.train, setup.val), seeded(setup.seed, "to the end"):
        training = begin(setup)
        parts = [_few(loader_of(each, batch_size=setup.batch_size)) for each in (setup.train, setup.val)]
        if any(not isinstance(batch, list | tuple) or len(batch) < 2 for part in parts for batch in part):
            raise UntoldError("only pairs of inputs and targets can be measured on")
        if not all(parts):
            raise UntoldError("`train` or `val` holds no batch")
        start = _measured(training, parts[0])[0]
        points: list[tuple[tuple[float, float], tuple[float, float]]] = []
        rates = []
        loader = loader_of(setup.train, batch_size=setup.batch_size, shuffled_by=setup.seed)
        for epoch in range(setup.epochs):
            for batch in loader:
                training.step(training.model, batch, training.loss, training.optimizer)
                if perf_counter() - began > seconds:
                    raise UntoldError(f"{setup.epochs} epochs take longer than the {seconds:.0f} s that were left")
            points.append((_measured(training, parts[0]), _measured(training, parts[1])))
            rates.append(max(float(group["lr"]) for group in training.optimizer.param_groups))
            wanted = (perf_counter() - began) / (epoch + 1) * setup.epochs
            if wanted > seconds:
                raise UntoldError(f"{setup.epochs} epochs take about {wanted:.0f} s, and {seconds:.0f} s were left")
    at = tuple(float(epoch) for epoch in range(1, setup.epochs + 1))

    def curve(name: str, part: int, number: int) -> Curve:
        values = tuple(point[part][number] for point in points)
        known = not all(map(math.isnan, values))
        label = "loss" if number == 0 else "accuracy"
        return Curve(name=name, x=at if known else (), y=values if known else (), x_label="epoch", y_label=label)

    return LearningCurves(
        trial=0,
        shape="",
        train_loss=curve("training loss", 0, 0),
        validation_loss=curve("validation loss", 1, 0),
        train_metric=curve("training accuracy", 0, 1),
        validation_metric=curve("validation accuracy", 1, 1),
        lr=Curve(name="learning rate", x=at, y=tuple(rates), x_label="epoch", y_label="learning rate"),
        start=start,
        samples=min(sum(len(batch[-1]) for batch in part) for part in parts),
    )


def _few(loader: Iterable[Any]) -> list[Any]:
    """The first batches, of so many samples that may be measured on."""
    first = next(iter(loader), None)
    if not isinstance(first, list | tuple):
        return [] if first is None else [first]
    return list(islice(loader, max(MOST // max(len(first[-1]), 1), 1)))


@torch.no_grad()
def _measured(training: Training, part: list[Any]) -> tuple[float, float]:
    """Mean loss and accuracy in test mode; NaN where the targets are no classes."""
    training.model.eval()
    losses, right, samples, counted = 0.0, 0, 0, 0
    for *inputs, targets in part:
        outputs = training.model(*inputs)
        losses += float(training.loss(outputs, targets)) * len(targets)
        samples += len(targets)
        if isinstance(outputs, Tensor) and outputs.ndim == 2 and targets.ndim == 1 and not targets.is_floating_point():
            right += int((outputs.argmax(dim=1) == targets).sum())
            counted += len(targets)
    training.model.train()
    return losses / samples, right / counted if counted else math.nan
