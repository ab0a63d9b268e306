"""Step 2: can the network learn a few batches by heart?"""

import copy
import math
from collections.abc import Sequence

from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import SmallSample
from trainwell.core.records.trial import Score
from trainwell.schedules import Constant
from trainwell.training.loop import train
from trainwell.training.observe import evaluate
from trainwell.training.setup import Setup

BATCHES = 5
"""Batches of the sample: the notes say 5 to 10."""
EVALUATIONS = 15
"""How often the score is read on the way."""


def small_sample(setup: Setup, *, lrs: Sequence[float], max_steps: int, enough: float) -> SmallSample:
    """Fit about five batches with regularization and augmentation off; the rates are tried in order until one fits.

    Args:
        setup: left as it is; a copy is trained at a constant rate.
        lrs: learning rates to try, best guess first, > 0.
        max_steps: optimizer steps for each rate, >= 1.
        enough: metric at which the sample counts as learnt by heart, in (0, 1].
    Returns:
        The section `small_sample`: the curves of the rate that fitted, or of the best one.
    Source: notes, Choosing Hyperparameters, step 2.
    """
    batches = setup.batches(samples=BATCHES * setup.batch_size, plain=True)
    tried: list[tuple[float, Curve, Curve]] = []
    for lr in lrs:
        loss, metric = _fit(setup, lr, max_steps, enough)
        tried.append((lr, loss, metric))
        if metric.y and max(metric.y) >= enough:
            break
    best = max(range(len(tried)), key=lambda i: max((y for y in tried[i][2].y if math.isfinite(y)), default=-math.inf))
    lr, loss, metric = tried[best]
    return SmallSample(
        samples=len(batches.index),
        lr=lr,
        loss=loss,
        metric=metric,
        attempts=tuple(curve for i, (_, curve, _) in enumerate(tried) if i != best),
    )


def _fit(setup: Setup, lr: float, max_steps: int, enough: float) -> tuple[Curve, Curve]:
    model = copy.deepcopy(setup.model)
    batches = setup.batches(samples=BATCHES * setup.batch_size, plain=True)
    every = max(max_steps // EVALUATIONS, 1)
    steps, losses, read_at, metrics = [], [], [], []
    for record in train(
        model,
        batches,
        loss=setup.loss.plain,
        optimizer=setup.optimizer(model),
        schedule=Constant(peak_lr=lr, warmup_steps=min(10, max_steps - 1)),
        until_step=max_steps,
        seed=setup.seed,
        precision=setup.precision,
        device=setup.device,
    ):
        steps.append(float(record.step))
        losses.append(record.loss.item())
        if not math.isfinite(losses[-1]):
            break
        if record.step % every == 0 or record.step == max_steps:
            found: Score = evaluate(
                model,
                setup.inputs,
                setup.targets,
                batches.index,
                setup.output,
                precision=setup.precision,
                device=setup.device,
            )
            read_at.append(float(record.step))
            metrics.append(found.metric)
            if found.metric >= enough:
                break
    name = f"lr {lr:.2g}"
    label = "accuracy" if setup.output.task == "classification" else "R²"
    return (
        Curve(name=name, x=tuple(steps), y=tuple(losses)),
        Curve(name=name, x=tuple(read_at), y=tuple(metrics), y_label=label),
    )
