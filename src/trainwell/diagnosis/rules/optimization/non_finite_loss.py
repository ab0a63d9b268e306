"""What it sees: a loss that is NaN or infinite: of the untouched network, from some step or from some epoch on.

Why it hurts: from that step on every weight is NaN; nothing that follows is a training.

Evidence: the untouched network's loss; the first step or epoch whose training loss is not finite.

Remedy: a lower learning rate with warm-up; clipped gradients; if the untouched network is concerned, look at the
inputs and at the loss (the logarithm of 0, a division by 0). Safe.

References: notes, Choosing Hyperparameters, step 2 ("Inf or NaN: learning rate too high or bad initialization").
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

LOWER = 0.3
"""Factor of the next learning rate: half a decade, the usual grid."""

CLIP = 1.0
"""Norm of the gradient: what most published trainings clip at."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """The steps where they were heard; else the start, then the curve."""
    start, curves = observation.initial_loss, observation.curves
    if observation.steps is not None:
        return _at_a_step(observation.steps)
    if start is not None and not math.isfinite(start.measured):
        return (
            RULE.finding(
                "error",
                f"The untouched network's loss is {number(start.measured)}.",
                evidence={"measured": start.measured},
                cause="The inputs are not finite, the weights are far too large, or the loss divides by 0.",
                remedies=(Remedy(text="Look at the inputs, then at the loss, then at the initial weights."),),
            ),
        )
    if curves is None:
        return ()
    curve = curves.train_loss
    lost = next(((x, y) for x, y in zip(curve.x, curve.y) if not math.isfinite(y)), None)
    if lost is None:
        return ()
    before = [y for x, y in zip(curve.x, curve.y) if x < lost[0]]
    rates = [rate for rate in curves.lr.y if math.isfinite(rate)]
    at = f" at learning rate {number(max(rates))}" if rates else ""
    came_from = f" (it was {number(before[-1])} before)" if before else ""
    return (
        RULE.finding(
            "error",
            f"The training loss is {number(lost[1])} from epoch {number(lost[0])} on{at}{came_from}.",
            evidence={"epoch": lost[0], "lr": max(rates, default=math.nan)},
            cause="The steps are too large: the learning rate is too high, or the initialization bad.",
            remedies=(
                Remedy(text="Lower the learning rate to a third.", change={"optimization.lr*": LOWER}),
                Remedy(
                    text="Clip the gradient's norm and warm up.",
                    change={"optimization.clip": CLIP, "schedule.warmup_fraction>": 0.1},
                ),
            ),
        ),
    )


def _at_a_step(steps: Steps) -> tuple[Finding, ...]:
    lost = next((place for place, value in enumerate(steps.values) if not math.isfinite(value)), None)
    if lost is None:
        return ()
    before = f" (it was {number(steps.values[lost - 1])} before)" if lost else ""
    remedies = (
        Remedy(text="Lower the learning rate to a third.", change={"optimization.lr*": LOWER}),
        Remedy(text="Look at the loss: the logarithm of 0, a division by 0, the root of 0."),
    )
    return (
        RULE.finding(
            "error",
            f"The loss is {number(steps.values[lost])} at step {lost + 1}{before}.",
            evidence={"step": lost + 1},
            cause="The steps are too large, or the loss is not defined for what it was given."
            if lost
            else "The inputs are not finite, the weights are far too large, or the loss is not defined there.",
            remedies=remedies if lost else remedies[::-1],
            where=steps.not_finite_at,
        ),
    )


RULE = Rule(
    code="OPT014",
    name="non-finite-loss",
    needs=(),
    reads=("initial_loss", "steps", "curves"),
    find=find,
    page=__doc__ or "",
)
