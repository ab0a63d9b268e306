"""What it sees: a training loss that ends above the untouched network's, or that has climbed back most of the way; or
first steps of a script whose loss ends far above where it began.

Why it hurts: the steps lead away from the minimum. It is not overfitting: that lowers the training loss.

Evidence: the training loss in test mode at its start, at its lowest and at its end, against its own jitter. Of a
script: the loss of the last steps beside the first. Some losses grow by design, such as one whose targets grow with the
network, so it is a warning only where the same steps at a lower rate end lower; then it follows from that rate.

Remedy: a lower learning rate, warm-up, clipped gradients. Safe.

References: notes, Choosing Hyperparameters, step 3; Goodfellow et al. 2016, Deep Learning, section 8.3.1.
"""

import itertools
import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.forked import SHORTEST, is_stuck
from trainwell.diagnosis.forked import end as end_of
from trainwell.diagnosis.measures import drop, lowest, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

CLIMBED = 0.5
"""Share of all that the loss came down which it must have climbed again: more than half of the training is undone."""

NOISES = 3.0
"""Jitters by which the end must exceed the lowest point."""

LOWER = 0.3
"""Factor of the next learning rate: half a decade, the usual grid."""


UPHILL = 1
"""Steps of an optimizer that maximizes what is a known loss: each goes the wrong way."""

START = 0.5
"""Share of minus log C by which the first value may miss it and still be the log-likelihood of C classes."""

UNBOUNDED = 3.0
"""Times its first value, below 0, that it has fallen to: further than a likelihood can go that is bounded by 0."""

OVERFLOWING = 1e3
"""Times its first value that a loss is before it is lost: it has grown there, and comes of no single bad number."""

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


def _uphill(steps: Steps) -> tuple[Finding, ...]:
    """Whether the training goes away from what it is for, by a sign."""
    values = steps.values
    maximizing = next((each for each in steps.optimizers if each.maximizes and each.steps), None)
    single = len(steps.optimizers) == 1 and len(values) >= UPHILL
    if maximizing is not None and steps.losses and single and values[0] > 0:
        return (
            RULE.finding(
                "error",
                f"The optimizer maximizes, and what it is given is a {steps.losses[0].function}: the loss goes from "
                f"{number(values[0])} to {number(end_of(values))} in {len(values)} steps.",
                evidence={"start": values[0], "end": end_of(values), "steps": len(values)},
                cause="The optimizer was made with `maximize=True`.",
                remedies=(Remedy(text="Leave out `maximize=True`."),),
                where=steps.optimizer_at if steps.optimizer_at.line is not None else maximizing.where,
            ),
        )
    if steps.likelihood < 2 or len(values) < SHORTEST:
        return ()
    expected = -math.log(steps.likelihood)
    if abs(values[0] - expected) > START * abs(expected) or not end_of(values) < UNBOUNDED * values[0]:
        return ()
    return (
        RULE.finding(
            "error",
            f"The loss starts at {number(values[0])}, the log-likelihood of {steps.likelihood} classes, and falls to "
            f"{number(end_of(values))} in {len(values)} steps: each step makes the right classes less likely.",
            evidence={"start": values[0], "end": end_of(values), "steps": len(values), "classes": steps.likelihood},
            cause="A minus is missing: a cross-entropy is the negative log-likelihood, and never below 0.",
            remedies=(Remedy(text="Put a minus before the log-likelihood, or use `cross_entropy`."),),
            where=steps.likelihood_at,
        ),
    )


def _in_first_steps(steps: Steps) -> tuple[Finding, ...]:
    uphill = _uphill(steps)
    if uphill:
        return uphill
    values = steps.values
    finite = list(itertools.takewhile(math.isfinite, values))
    if 1 < len(finite) < len(values) and finite[0] > 0 and finite[-1] > OVERFLOWING * finite[0]:
        return (
            RULE.finding(
                "error",
                f"The loss grows from {number(values[0])} to {number(finite[-1])} in {len(finite)} steps, and is lost "
                "at the next.",
                evidence={"start": values[0], "end": finite[-1], "steps": len(finite)},
                cause="The steps are too large: the learning rate is too high, or the initialization bad.",
                remedies=(Remedy(text="Lower the learning rate, by tens until the loss falls."),),
            ),
        )
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
