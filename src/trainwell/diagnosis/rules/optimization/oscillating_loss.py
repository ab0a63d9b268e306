"""What it sees: a training loss that jumps up and down from epoch to epoch by much of what it has come down.

Why it hurts: the steps are larger than the valley is wide: the loss cannot settle, and where the training happens
to end decides how good the network is.

Evidence: the standard deviation of the training loss around its smooth course over the last third, against all that
the loss came down and against the level it has reached. The validation loss is not asked: a small validation part
jumps by itself.

Remedy: a lower learning rate, or a decay tail; a larger batch also helps. Safe.

References: notes, Learning Rate Schedule; Goodfellow et al. 2016, Deep Learning, section 8.3.1.
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import drop, noise, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

JUMPS = 0.1
"""Jitter as a share of all that the loss came down."""

LEAST_POINTS = 6
"""Epochs in the last half below which jitter and course cannot be told apart."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the jitter with the way down."""
    curves = observation.curves
    if curves is None:
        return ()
    loss = trace(curves.train_loss)
    late = loss.since(len(loss) // 2)
    if loss.lost or len(late) < LEAST_POINTS:
        return ()
    jitter = noise(late.y)
    down = drop(loss, start=curves.start)
    if jitter <= JUMPS * down or jitter <= 0:
        return ()
    rates = [rate for rate in curves.lr.y if math.isfinite(rate)]
    rate = f" at learning rate {number(max(rates))}" if rates else ""
    share = f", {percent(jitter / down)} of all that it came down" if down > jitter else ""
    return (
        RULE.finding(
            "warning",
            f"The training loss jumps by {number(jitter)} from epoch to epoch{rate}{share}: it cannot settle.",
            evidence={"jitter": jitter, "came_down": down, "level": loss.level},
            cause="The learning rate is too high for the end of the training.",
            remedies=(
                Remedy(text="Lower the learning rate to a third.", change={"optimization.lr*": 0.3}),
                Remedy(
                    text="End in a longer decay tail.",
                    change={"schedule.decay": "linear", "schedule.decay_fraction>": 0.5},
                ),
            ),
        ),
    )


RULE = Rule(
    code="OPT013",
    name="oscillating-loss",
    needs=("curves",),
    find=find,
    page=__doc__ or "",
)
