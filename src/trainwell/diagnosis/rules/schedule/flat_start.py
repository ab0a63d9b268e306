"""What it sees: a training loss that stays at its start for the first epochs, behind the warm-up, and falls only then.

Why it hurts: the first epochs are lost; the network first has to grow weights through which a signal passes.

Evidence: the epochs whose training loss lies within the curve's jitter, and within a small share of all that it
will come down, of the untouched network's loss.

Remedy: an initialization for the activation; then a longer warm-up at a higher rate. Safe.

References: notes, Choosing Hyperparameters, step 6 (bad initialization is the suspect); Mishkin and Matas 2016, All
You Need Is a Good Init.
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import drop, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number

EPOCHS = 3
"""Flat epochs at least: one or two are a slow start, not a stuck one."""

SHARE = 0.1
"""Share of the training that they make up at least."""

FLAT = 0.05
"""Share of the whole way down within which a loss has not begun to fall."""

NOISES = 3.0
"""Jitters within which it has not."""

WARM = 0.5
"""Share of the peak rate below which an epoch before the peak belongs to the warm-up."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Count the epochs before the fall."""
    curves = observation.curves
    if curves is None:
        return ()
    loss = trace(curves.train_loss)
    if loss.lost or len(loss) <= EPOCHS:
        return ()
    start = curves.start if math.isfinite(curves.start) else loss.y[0]
    way = drop(loss, start=curves.start)
    near = max(FLAT * way, NOISES * loss.noise)
    flat = next((i for i, y in enumerate(loss.y) if y < start - near), len(loss))
    if flat == len(loss) or way <= 2 * near:
        return ()
    counting = flat - _warming_up(curves.lr.x, curves.lr.y, loss.x[:flat])
    if counting < max(EPOCHS, SHARE * len(loss)):
        return ()
    return (
        RULE.finding(
            "warning",
            f"Training loss is flat at the start for {counted(counting, curves.point)} ({number(start)} to "
            f"{number(loss.y[flat - 1])}), then falls to {number(loss.level)}: bad initialization is the suspect.",
            evidence={"epochs": counting, "start": start, "end": loss.level},
            cause="The initial weights let little signal or gradient through.",
            remedies=(
                Remedy(
                    text="Initialize for the activation (Kaiming's standard deviation for ReLU).",
                    change={"initialization.scheme": "kaiming"},
                ),
                Remedy(text="Raise the learning rate.", change={"optimization.lr*": 3.0}),
            ),
        ),
    )


def _warming_up(positions: tuple[float, ...], rates: tuple[float, ...], flat: tuple[float, ...]) -> int:
    known = [(x, rate) for x, rate in zip(positions, rates) if math.isfinite(rate)]
    if not known:
        return 0
    peak = max(rate for _, rate in known)
    peaked = next(x for x, rate in known if rate == peak)
    low = {x for x, rate in known if x < peaked and rate < WARM * peak}
    return sum(x in low for x in flat)


RULE = Rule(
    code="SCH004",
    name="flat-start",
    needs=("curves",),
    find=find,
    page=__doc__ or "",
)
