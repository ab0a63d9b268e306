"""Step 3: the learning rate that makes the loss go down."""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise

from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import LrSweep
from trainwell.schedules import Constant
from trainwell.training.loop import train
from trainwell.training.setup import Setup

SMOOTHED_OVER = 1 / 15
"""Share of the sweep that the exponential average of the noisy batch losses looks back over."""
BLOWN_UP = 4.0
"""The sweep stops where the smoothed loss is this many times its smallest (Smith 2017, fastai's lr_find)."""
SIGNIFICANT = 4.0
"""A fall counts where it exceeds this many standard errors of the smoothed loss: the minimum of a hundred values
that only jitter lies about 2.5 of them below their mean."""
BELOW_MINIMUM = 3.0
"""The rate chosen lies this factor under the one with the smallest loss: there the loss still falls and has room."""


def lr_sweep(setup: Setup, *, low: float, high: float, steps: int) -> LrSweep:
    r"""Raise the rate geometrically from batch to batch, and read where the loss falls.

    .. math:: \eta_s = \eta_\text{low} \, (\eta_\text{high} / \eta_\text{low})^{s / (n - 1)}

    Args:
        setup: left as it is; a copy is trained.
        low: first rate, > 0.
        high: last rate, > low.
        steps: n, optimizer steps, >= 2.
    Returns:
        The section `lr_sweep`, not yet confirmed.
    Source: notes, Choosing Hyperparameters, step 3; Smith 2017 (cyclical learning rates), section 3.3.
    """
    model = copy.deepcopy(setup.model)
    ratio = (high / low) ** (1.0 / (steps - 1))
    reading = SweepReading(steps)
    for record in train(
        model,
        setup.batches(),
        loss=setup.loss,
        optimizer=setup.optimizer(model),
        schedule=lambda step: low * ratio**step,
        until_step=steps,
        seed=setup.seed,
        precision=setup.precision,
        device=setup.device,
    ):
        if reading.add(record.lr, record.loss.item()):
            break
    return reading.sweep()


class SweepReading:
    """A sweep as it goes on: batch losses at rising rates, smoothed, until it blows up.

    Args:
        steps: that it has at most, >= 2.
    """

    def __init__(self, steps: int) -> None:
        self._past = 1.0 - 1.0 / max(steps * SMOOTHED_OVER, 2.0)
        self._average = 0.0
        self._rates: list[float] = []
        self._losses: list[float] = []
        self._smoothed: list[float] = []

    def add(self, rate: float, loss: float) -> bool:
        """The next batch's loss, and whether it is the last that is worth taking.

        Args:
            rate: at which its step was taken, > 0.
            loss: before the step.
        """
        self._rates.append(rate)
        self._losses.append(loss)
        self._average = self._past * self._average + (1 - self._past) * loss
        step = len(self._losses)
        self._smoothed.append(self._average / (1 - self._past**step))
        return not math.isfinite(loss) or (step > 10 and self._smoothed[-1] > BLOWN_UP * min(self._smoothed))

    def sweep(self) -> LrSweep:
        """The section `lr_sweep`, not yet confirmed."""
        chosen, interval, usable = read_sweep(self._rates, self._losses, self._smoothed)
        rates = tuple(self._rates)
        return LrSweep(
            curve=Curve(name="batch loss", x=rates, y=tuple(self._losses), x_label="learning rate"),
            smoothed=Curve(name="smoothed", x=rates, y=tuple(self._smoothed), x_label="learning rate"),
            lr=chosen,
            interval=interval,
            usable=usable,
        )


def read_sweep(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float]
) -> tuple[float, tuple[float, float], bool]:
    """The rate to train at, the interval in which the loss falls, and whether it falls at all.

    Args:
        rates: learning rates, rising.
        losses: batch loss at each.
        smoothed: the same, smoothed.
    Returns:
        A rate `BELOW_MINIMUM` under the one with the smallest loss, the rates between which the loss goes from a tenth
        to all of its fall, and whether the fall is significant.
    """
    finite = [value for value in smoothed if math.isfinite(value)]
    if len(finite) < 3:
        return rates[0], (rates[0], rates[0]), False
    # The first values are averages of few batches.
    begin = sum(finite[: max(len(finite) // 10, 1)]) / max(len(finite) // 10, 1)
    least = min(range(len(finite)), key=lambda i: finite[i])
    fall = begin - finite[least]
    usable = fall > SIGNIFICANT * smoothed_error(losses[: least + 1])
    first = next((i for i in range(least + 1) if begin - finite[i] >= 0.1 * fall), least)
    chosen = max(rates[least] / BELOW_MINIMUM, rates[first])
    return chosen, (rates[first], rates[least]), usable and fall > 0


def smoothed_error(losses: Sequence[float]) -> float:
    r"""Standard error of an average over a fifteenth of some batch losses.

    The batches' own spread is read from neighbours, :math:`\sigma^2 = \tfrac12 \overline{(l_{i+1} - l_i)^2}`, which a
    slow fall does not touch.
    """
    finite = [value for value in losses if math.isfinite(value)]
    if len(finite) < 3:
        return math.inf
    spread = sum((b - a) ** 2 for a, b in pairwise(finite)) / (2 * (len(finite) - 1))
    return math.sqrt(spread / max(len(losses) * SMOOTHED_OVER, 1.0))


def confirm(setup: Setup, sweep: LrSweep, *, lrs: Sequence[float], steps: int) -> LrSweep:
    """Train shortly at several rates and keep the one after which the loss is lowest.

    Args:
        setup: left as it is.
        sweep: what the sweep said.
        lrs: rates to try, > 0.
        steps: optimizer steps for each; the notes say about 100.
    Returns:
        The sweep with its confirmations and the rate they chose.
    """
    curves = []
    ends = []
    for lr in lrs:
        model = copy.deepcopy(setup.model)
        losses = [
            record.loss.item()
            for record in train(
                model,
                setup.batches(),
                loss=setup.loss,
                optimizer=setup.optimizer(model),
                schedule=Constant(peak_lr=lr, warmup_steps=min(10, steps - 1)),
                until_step=steps,
                seed=setup.seed,
                precision=setup.precision,
                device=setup.device,
            )
        ]
        tail = losses[-max(len(losses) // 5, 1) :]
        end = sum(tail) / len(tail)
        ends.append(end if math.isfinite(end) else math.inf)
        curves.append(Curve(name=f"lr {lr:.2g}", x=tuple(float(i + 1) for i in range(len(losses))), y=tuple(losses)))
    best = min(range(len(lrs)), key=lambda i: ends[i])
    begins = [curve.y[0] for curve in curves if math.isfinite(curve.y[0])]
    error = smoothed_error(curves[best].y) if math.isfinite(ends[best]) else math.inf
    falls = bool(begins) and sum(begins) / len(begins) - ends[best] > SIGNIFICANT * error
    return LrSweep(
        curve=sweep.curve,
        smoothed=sweep.smoothed,
        lr=lrs[best],
        interval=sweep.interval,
        usable=falls or (sweep.usable and math.isfinite(ends[best])),
        confirmations=tuple(curves),
    )
