"""What it sees: a training loss that ends above the untouched network's, or that has climbed back most of the way; or
first steps of a script whose loss ends far above where it began.

Why it hurts: the steps lead away from the minimum. It is not overfitting: that lowers the training loss.

Evidence: the training loss in test mode at its start, at its lowest and at its end, against its own jitter. Of a
script: the loss of the last steps beside the first. Some losses grow by design, such as one whose targets grow with the
network, so it is a warning only where the same steps at a lower rate end lower; then it follows from that rate.

Remedy: a lower learning rate, warm-up, clipped gradients. Safe.

References: notes, Choosing Hyperparameters, step 3; Goodfellow et al. 2016, Deep Learning, section 8.3.1.
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.forked import end as end_of
from trainwell.diagnosis.forked import is_stuck
from trainwell.diagnosis.measures import drop, lowest, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

CLIMBED = 0.5
"""Share of all that the loss came down which it must have climbed again: more than half of the training is undone."""

NOISES = 3.0
"""Jitters by which the end must exceed the lowest point."""

LOWER = 0.3
"""Factor of the next learning rate: half a decade, the usual grid."""


GROWN = 2.0
"""Times its first value that a script's loss is at the end of its first steps: twice, where batches alone make it
differ by tenths."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the end with the start and with the lowest point."""
    curves = observation.curves
    if curves is None:
        return _in_first_steps(observation.steps) if observation.steps else ()
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


def _in_first_steps(steps: Steps) -> tuple[Finding, ...]:
    values = steps.values
    if not is_stuck(values) or not all(map(math.isfinite, values)) or values[0] <= 0:
        return ()
    last = end_of(values)
    if last <= GROWN * values[0]:
        return ()
    return (
        RULE.finding(
            "warning",
            f"The loss grows from {number(values[0])} to {number(last)} in {len(values)} steps.",
            evidence={"start": values[0], "end": last, "steps": len(values)},
            cause="The steps are too large: the learning rate is too high, or the initialization bad.",
            remedies=(Remedy(text="Lower the learning rate tenfold."),),
        ),
    )


RULE = Rule(
    code="OPT001",
    name="diverging-loss",
    needs=(),
    reads=("steps", "curves"),
    find=find,
    page=__doc__ or "",
    confirmed_by=(Fork(changed="learning rate", factor=0.1), Fork(changed="learning rate", factor=0.01)),
)
