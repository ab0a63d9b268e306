"""What the claims' experiments share: a plain network, and a training of it by the product's own loop."""

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainwell.activations import ACTIVATIONS
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization, Regularization
from trainwell.core.records.layout import OutputLayout
from trainwell.core.records.trial import Score
from trainwell.core.seeds import generator
from trainwell.initialization import initialize
from trainwell.lecture.datasets import Split
from trainwell.lecture.figures.initialization import blank_linear
from trainwell.schedules import Constant
from trainwell.training.batches import Batches, Change
from trainwell.training.loop import StepRecord, train
from trainwell.training.objective import Objective
from trainwell.training.observe import evaluate
from trainwell.training.optimizer import build_optimizer

TUNING_SEEDS = (1000, 1001, 1002)
"""Learning rates are chosen on these, and nothing else is reported of them."""


def layout(classes: int) -> OutputLayout:
    """What a classifier of so many classes returns."""
    return OutputLayout(task="classification", size=classes, names=tuple(map(str, range(classes))))


def network(
    widths: Sequence[int],
    activation: str,
    *,
    seed: int,
    scheme: str = "",
    gain: float | None = None,
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Linear layers with an activation between each two, initialized as the activation's row says.

    Args:
        widths: of the inputs, the hidden layers and the outputs.
        activation: a name of `ACTIVATIONS`.
        seed: of the weights.
        scheme: a name of the initialization's table; empty: the activation's.
        gain: of the weights; None: the activation's.
        dropout: probability to drop a hidden unit (the kind that goes with the activation); 0: no layer for it.
        batch_norm: before each activation.
    Returns:
        The network.
    """
    row = ACTIVATIONS[activation]
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths[:-1]):
        layers.append(blank_linear(inputs, outputs))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(row.make())
        if dropout > 0:
            layers.append(nn.AlphaDropout(dropout) if row.dropout == "alpha_dropout" else nn.Dropout(dropout))
    model = nn.Sequential(*layers, blank_linear(widths[-2], widths[-1]))
    draw = generator(seed, "weights")
    initialize(model, scheme or row.scheme, gain=row.gain if gain is None else gain, generator=draw)
    return model


def training(
    model: nn.Module,
    split: Split,
    *,
    lr: float,
    steps: int,
    seed: int,
    batch_size: int = 64,
    optimizer: Literal["sgd", "adamw"] = "sgd",
    weight_decay: float = 0.0,
    label_smoothing: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    change: Change | None = None,
) -> Iterator[StepRecord]:
    """Train in place by the one loop.

    Args:
        model: samples -> logits; its parameters that require a gradient are trained.
        split: the data.
        lr: learning rate, > 0.
        steps: optimizer steps, >= 1.
        seed: of the batches' order and of what the model draws.
        batch_size: samples a step.
        optimizer: sgd (Nesterov, momentum 0.9) or adamw.
        weight_decay: L2; decoupled with adamw.
        label_smoothing: share of the target spread over all classes.
        schedule: step -> rate; None: `lr` throughout.
        change: augmentation of a batch.
    Returns:
        A record a step.
    """
    point = Hyperparameters(
        architecture=Architecture(name="own"),
        regularization=Regularization(weight_decay=weight_decay),
        optimization=Optimization(optimizer=optimizer, lr=lr, batch_size=batch_size),
    )
    batches = Batches(
        inputs=split.inputs,
        targets=split.targets,
        index=split.train,
        batch_size=batch_size,
        seed=seed,
        change=change,
    )
    return train(
        model,
        batches,
        loss=Objective(output=layout(split.classes), label_smoothing=label_smoothing),
        optimizer=build_optimizer(model, point),
        schedule=schedule or Constant(peak_lr=lr),
        until_step=steps,
        seed=seed,
    )


def fit(model: nn.Module, split: Split, **options: Any) -> float:
    """`training` to its end; the mean loss of its last tenth in nats, NaN if it diverged."""
    losses = torch.stack([record.loss for record in training(model, split, **options)])
    return float(losses[-max(1, len(losses) // 10) :].mean())


def steps_to(target: float, model: nn.Module, split: Split, *, steps: int, **options: Any) -> int:
    """Steps until the mean loss of ten batches is at most `target` nats; `steps` if it never is."""
    last: deque[float] = deque(maxlen=10)
    for record in training(model, split, steps=steps, **options):
        last.append(float(record.loss))
        if len(last) == 10 and sum(last) / 10 <= target:
            return record.step
    return steps


def measure(model: nn.Module, split: Split, index: Tensor | None = None) -> Score:
    """Loss in nats and accuracy in test mode.

    Args:
        model: the network.
        split: the data.
        index: samples; None: the test part.
    """
    return evaluate(model, split.inputs, split.targets, split.test if index is None else index, layout(split.classes))


def inner(split: Split) -> Split:
    """The training part alone, its last fifth to measure on: for choosing without a look at the test part."""
    size = len(split.train) * 4 // 5
    return Split(inputs=split.inputs, targets=split.targets, train=split.train[:size], test=split.train[size:])


def best_lr(loss: Callable[[float, int], float], lrs: Sequence[float]) -> float:
    """The rate with the lowest mean loss over `TUNING_SEEDS`; one rate needs no trial.

    Args:
        loss: (rate, seed) -> loss; NaN counts as worst.
        lrs: rates to try.
    """

    def mean(lr: float) -> float:
        total = sum(loss(lr, seed) for seed in TUNING_SEEDS)
        return math.inf if math.isnan(total) else total

    return lrs[0] if len(lrs) == 1 else min(lrs, key=mean)


def points(ours: Score, theirs: Score) -> float:
    """Accuracy gained, in percentage points."""
    return 100.0 * (ours.metric - theirs.metric)


def mean(values: Sequence[float]) -> float:
    """The mean."""
    return sum(values) / len(values)
