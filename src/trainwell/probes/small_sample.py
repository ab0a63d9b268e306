"""Step 2: can the network learn a few batches by heart?"""

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import SmallSample
from trainwell.schedules import Constant
from trainwell.training.loop import StepRecord, train
from trainwell.training.observe import evaluate
from trainwell.training.setup import Setup

BATCHES = 5
"""Batches of the sample: the notes say 5 to 10."""
EVALUATIONS = 15
"""How often the score is read on the way, of each `max_steps`."""


def small_sample(
    setup: Setup, *, lrs: Sequence[float], max_steps: int, enough: float, more_steps: int = 0
) -> SmallSample:
    """Fit about five batches with regularization and augmentation off; the rates are tried in order until one fits.

    Where none fits, the best of them goes on: noisy targets are learnt by heart too, but slowly.

    Args:
        setup: left as it is; a copy is trained at a constant rate.
        lrs: learning rates to try, best guess first, > 0.
        max_steps: optimizer steps for each rate, >= 1.
        enough: metric at which the sample counts as learnt by heart, in (0, 1].
        more_steps: optimizer steps that the best rate may take beyond, >= 0.
    Returns:
        The section `small_sample`: the curves of the rate that fitted, or of the best one.
    Source: notes, Choosing Hyperparameters, step 2.
    """
    sample = setup.batches(samples=BATCHES * setup.batch_size, plain=True).index
    tried: list[tuple[float, Curve, Curve]] = []
    best: tuple[int, _Attempt] | None = None
    for place, lr in enumerate(lrs):
        attempt = _begin(setup, lr, max_steps=max_steps, more_steps=more_steps)
        _go_on(attempt, setup, sample, steps=max_steps, every=max(max_steps // EVALUATIONS, 1), enough=enough)
        tried.append(attempt.curves(setup))
        # Only one copy of the network is kept for later.
        if best is None or attempt.reached > best[1].reached:
            best = (place, attempt)
        if attempt.reached >= enough:
            break
    assert best is not None
    place, attempt = best
    if attempt.reached < enough and math.isfinite(attempt.losses[-1]):
        _go_on(attempt, setup, sample, steps=more_steps, every=max(max_steps // EVALUATIONS, 1), enough=enough)
    lr, loss, metric = attempt.curves(setup)
    return SmallSample(
        samples=len(sample),
        lr=lr,
        loss=loss,
        metric=metric,
        attempts=tuple(curve for i, (_, curve, _) in enumerate(tried) if i != place),
    )


@dataclass(kw_only=True)
class _Attempt:
    """One rate: a training that can be stopped and continued, and what was read on the way."""

    lr: float
    model: nn.Module
    records: Iterator[StepRecord]
    losses: list[float] = field(default_factory=list)
    read_at: list[float] = field(default_factory=list)
    metrics: list[float] = field(default_factory=list)

    @property
    def reached(self) -> float:
        return max((metric for metric in self.metrics if math.isfinite(metric)), default=-math.inf)

    def curves(self, setup: Setup) -> tuple[float, Curve, Curve]:
        name = f"lr {self.lr:.2g}"
        label = "accuracy" if setup.output.task == "classification" else "R²"
        steps = tuple(float(step) for step in range(1, len(self.losses) + 1))
        return (
            self.lr,
            Curve(name=name, x=steps, y=tuple(self.losses)),
            Curve(name=name, x=tuple(self.read_at), y=tuple(self.metrics), y_label=label),
        )


def _begin(setup: Setup, lr: float, *, max_steps: int, more_steps: int) -> _Attempt:
    model = copy.deepcopy(setup.model)
    records = train(
        model,
        setup.batches(samples=BATCHES * setup.batch_size, plain=True),
        loss=setup.loss.plain,
        optimizer=setup.optimizer(model),
        schedule=Constant(peak_lr=lr, warmup_steps=min(10, max_steps - 1)),
        until_step=max_steps + more_steps,
        seed=setup.seed,
        precision=setup.precision,
        device=setup.device,
    )
    return _Attempt(lr=lr, model=model, records=records)


def _go_on(attempt: _Attempt, setup: Setup, sample: Tensor, *, steps: int, every: int, enough: float) -> None:
    """Some steps more: until the sample is learnt or the loss is no number."""
    last = len(attempt.losses) + steps
    for record in itertools.islice(attempt.records, steps):
        attempt.losses.append(record.loss.item())
        if not math.isfinite(attempt.losses[-1]):
            return
        if record.step % every == 0 or record.step == last:
            score = evaluate(
                attempt.model,
                setup.inputs,
                setup.targets,
                sample,
                setup.output,
                precision=setup.precision,
                device=setup.device,
            )
            attempt.read_at.append(float(record.step))
            attempt.metrics.append(score.metric)
            if score.metric >= enough:
                return
