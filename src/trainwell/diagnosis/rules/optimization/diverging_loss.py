"""What it sees: a training loss that ends above the untouched network's, or that has climbed back most of the way.

Why it hurts: the steps lead away from the minimum. It is not overfitting: that lowers the training loss.

Evidence: the training loss in test mode at its start, at its lowest and at its end, against its own jitter.

Remedy: a lower learning rate, warm-up, clipped gradients. Safe.

References: notes, Choosing Hyperparameters, step 3; Goodfellow et al. 2016, Deep Learning, section 8.3.1.
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import drop, lowest, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

CLIMBED = 0.5
"""Share of all that the loss came down which it must have climbed again: more than half of the training is undone."""

NOISES = 3.0
"""Jitters by which the end must exceed the lowest point."""

LOWER = 0.3
"""Factor of the next learning rate: half a decade, the usual grid."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the end with the start and with the lowest point."""
    curves = observation.curves
    if curves is None:
        return ()
    loss = trace(curves.train_loss)
    if loss.lost or len(loss) < 2:
        return ()
    start = curves.start if math.isfinite(curves.start) else loss.y[0]
    end = loss.level
    at, bottom = lowest(loss)
    climb = end - bottom
    if (
        climb <= max(NOISES * loss.noise, CLIMBED * drop(loss, start=curves.start))
        and end <= start + NOISES * loss.noise
    ):
        return ()
    rates = [rate for rate in curves.lr.y if math.isfinite(rate)]
    rate = f" at learning rate {number(max(rates))}" if rates else ""
    lowest_said = f", {number(bottom)} at its lowest (epoch {number(loss.x[at])})" if bottom < start else ""
    return (
        RULE.finding(
            "error",
            f"The training loss grows{rate}: {number(start)} at the start{lowest_said}, {number(end)} at the end.",
            evidence={"start": start, "lowest": bottom, "end": end, "noise": loss.noise},
            cause="The steps are too large: the learning rate is too high, or the initialization bad.",
            remedies=(
                Remedy(text="Lower the learning rate to a third.", change={"optimization.lr*": LOWER}),
                Remedy(
                    text="Clip the gradient's norm and warm up.",
                    change={"optimization.clip": 1.0, "schedule.warmup_fraction>": 0.1},
                ),
            ),
        ),
    )


RULE = Rule(
    code="OPT001",
    name="diverging-loss",
    needs=("curves",),
    find=find,
    page=__doc__ or "",
)
