"""What it sees: losses that fell quickly until the rate was lowered, and have hardly moved since, for much of the
training.

Why it hurts: the rest of the training is spent at a rate that goes nowhere, while the higher one was still doing
well.

Evidence: the fall of both losses over the epochs before the decay; their fall after it; how much of the training
came after it; how much of the starting loss is left on the training samples.

Remedy: a shorter decay tail, so that the rate stays high for longer. Safe.

References: notes, Learning Rate Schedule (step decay); Hägele et al. 2024, Scaling Laws and Compute-Optimal
Training Beyond Fixed Training Durations (a short tail suffices).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import drop, fall, fall_error, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

DECAYED = 0.2
"""Share of the peak rate below which it has decayed: one step of the usual step schedule divides by 5 or 10."""

REST = 1 / 3
"""Share of the training that must lie behind the decay: the tails of cosine and linear schedules are shorter."""

FELL = 0.1
"""Fall over the third before the decay as a share of its first level."""

FLAT = 0.02
"""Share of all that the loss came down that the last third may still bring."""

ERRORS = 3.0
"""Standard errors of the fall before the decay."""

LEFT = 0.1
"""Share of the starting loss that must be left on the training samples."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Before the decay, and after it."""
    curves = observation.curves
    rates = [] if curves is None else [(x, y) for x, y in zip(curves.lr.x, curves.lr.y) if math.isfinite(y)]
    if curves is None or not rates:
        return ()
    peak = max(rate for _, rate in rates)
    if peak <= 0:
        return ()
    peaked = next(x for x, rate in rates if rate == peak)
    kept = max(x for x, rate in rates if rate >= DECAYED * peak)
    held = max((x for x, rate in rates if rate >= 0.9 * peak), default=peaked)
    train, validation = trace(curves.train_loss), trace(curves.validation_loss)
    if train.lost or len(train) < 6 or len(validation) < 6:
        return ()
    start = curves.start if math.isfinite(curves.start) else train.y[0]
    if sum(x > kept for x in train.x) < REST * len(train) or train.level <= LEFT * start:
        return ()
    for seen in (train, validation):
        before = seen.until(sum(x <= held for x in seen.x)).end
        if len(before) < 3 or fall(before) <= max(FELL * abs(before.y[0]), ERRORS * fall_error(before)):
            return ()
        if fall(seen.end) > FLAT * drop(seen, start=curves.start):
            return ()
    last = rates[-1][1]
    return (
        RULE.finding(
            "warning",
            f"Both losses fell until the rate was lowered after {curves.unit} {number(held)} (from {number(peak)} to "
            f"{number(last)}), and stand still at {number(validation.level)} since: decayed too early.",
            evidence={"epoch": held, "peak": peak, "last": last, "train": train.level, "validation": validation.level},
            cause="The rate was lowered while the higher one still brought the loss down.",
            remedies=(Remedy(text="Halve the decay tail.", change={"schedule.decay_fraction*": 0.5}),),
        ),
    )


RULE = Rule(
    code="SCH002",
    name="decayed-too-early",
    needs=("curves",),
    find=find,
    page=__doc__ or "",
)
