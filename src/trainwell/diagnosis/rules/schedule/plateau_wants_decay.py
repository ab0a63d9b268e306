"""What it sees: a validation loss that is flat over the last third while the rate is constant, and a training loss
that no longer falls either but jumps from epoch to epoch around a level it does not get below.

Why it hurts: the steps are too large for the valley they have come to; a lower rate goes on falling.

Evidence: the fall of both losses over the last third against their jitter, the jitter of the training loss as a
share of its level (a training that has arrived does not jump), the rate over the same epochs. Where the training loss
is that of other batches at each point, it jumps by chance, and nothing is said.

Remedy: a decay tail. Safe at the end of a training.

References: notes, Learning Rate Schedule; He et al. 2016, Deep Residual Learning (the rate is divided when the
error plateaus).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import constant_rate, drop, fall, fall_error, noise, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

FLAT = 0.02
"""Share of all that the loss came down which it may still lose or gain over the last third."""

ERRORS = 2.0
"""Standard errors of the fall below which it is nothing."""

JUMPS = 0.03
"""Jitter of the training loss as a share of its level. Measured on digits with wrong labels or too few units,
constant rate against the same training with a linear tail: in all 11 trainings (of 24) in which the rule spoke,
the tail lowered the validation loss, by 4 to 26%."""

LEFT = 0.05
"""Share of the starting loss that must be left on the training samples: below, there is nothing to gain."""

LEAST_POINTS = 5
"""Epochs in the last third: fewer show neither a plateau nor its jitter."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Flat, jumping, at a constant rate."""
    curves = observation.curves
    if curves is None or curves.of_batches:
        # The mean of a few batches jumps by chance.
        return ()
    train, validation = trace(curves.train_loss), trace(curves.validation_loss)
    end = validation.end
    if train.lost or len(end) < LEAST_POINTS or len(train) < LEAST_POINTS:
        return ()
    if not constant_rate(curves.lr, end.x[0], end.x[-1]):
        return ()
    for seen in (train, validation):
        down = drop(seen, start=curves.start)
        if abs(fall(seen.end)) > max(FLAT * down, ERRORS * fall_error(seen.end)):
            return ()
    start = curves.start if math.isfinite(curves.start) else train.y[0]
    jitter = noise(train.end.y)
    if train.level <= LEFT * start or jitter <= JUMPS * train.level:
        return ()
    rates = [rate for x, rate in zip(curves.lr.x, curves.lr.y) if x >= end.x[0] and math.isfinite(rate)]
    at = f" {number(max(rates))}" if rates else ""
    return (
        RULE.finding(
            "warning",
            f"Validation loss is flat over the last {number(end.x[-1] - end.x[0])} {curves.unit}s at the constant "
            f"rate{at}, and the training loss jumps by {percent(jitter / train.level)} of its level: "
            "a lower rate is wanted.",
            evidence={"fall": fall(end), "jitter": jitter, "level": train.level},
            cause="The steps are too large for the valley that the training has reached.",
            remedies=(
                Remedy(
                    text="End in a decay tail over half of the training.",
                    change={"schedule.decay": "linear", "schedule.decay_fraction>": 0.5},
                ),
            ),
        ),
    )


RULE = Rule(
    code="SCH001",
    name="plateau-wants-decay",
    needs=("curves",),
    find=find,
    page=__doc__ or "",
)
