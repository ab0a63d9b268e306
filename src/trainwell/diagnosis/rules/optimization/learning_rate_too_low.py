"""What it sees: a sweep of the learning rate in which the loss never comes down and never blows up, or still falls at
the highest rate tried; or a training whose peak rate lies below the rates at which the sweep's loss begins to fall.

Why it hurts: the network moves, but too little: the budget ends before it has arrived.

Evidence: the sweep's loss against the rate, and the interval between whose ends it falls. A training's rate is
compared with that interval; its own curve must still be falling at the end, else the rate did no harm and nothing
is said.

Remedy: raise the rate, or widen the sweep upward. Safe while the loss stays finite.

References: notes, Choosing Hyperparameters, step 3; Smith 2017, Cyclical Learning Rates for Training Neural
Networks, section 3.3 (the range test).
"""

import math

from trainwell.core.records.evidence import LearningCurves, LrSweep
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import blows_up, fall, fall_error, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

AT_EDGE = 0.9
"""The smoothed loss is lowest above this share of the highest rate tried: within the last point or two of a sweep."""

BELOW = 1 / 3
"""A training's rate below this share of the sweep's interval is outside it: half a decade, the width of its
smoothing."""

ERRORS = 3.0
"""Standard errors by which a curve must still fall."""

WIDEN = 10.0
"""Factor of the next rates: a decade."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Read the sweep; then the training's rate against it."""
    sweep = observation.lr_sweep
    if sweep is None:
        return ()
    return _sweep(sweep) or _training(sweep, observation.curves)


def _sweep(sweep: LrSweep) -> tuple[Finding, ...]:
    seen = trace(sweep.smoothed)
    if len(seen) < 2 or blows_up(sweep.curve) or blows_up(sweep.smoothed):
        return ()
    highest = max(seen.x)
    best = min(zip(seen.y, seen.x))[1]
    if sweep.usable and best < AT_EDGE * highest:
        return ()
    message = (
        f"The loss still falls at the highest learning rate tried, {number(highest)}: the best rate lies above."
        if sweep.usable
        else f"The loss fell at no learning rate up to {number(highest)}, and blew up at none: all are too low."
    )
    return (
        _finding(
            message,
            {"highest": highest, "lowest_loss_at": best, "lr": sweep.lr},
            "The rates that were tried end too early.",
        ),
    )


def _training(sweep: LrSweep, curves: LearningCurves | None) -> tuple[Finding, ...]:
    rates = [] if curves is None else [rate for rate in curves.lr.y if math.isfinite(rate)]
    if curves is None or not sweep.usable or not rates or max(rates) >= BELOW * sweep.interval[0]:
        return ()
    end = trace(curves.train_loss).end
    if fall(end) <= ERRORS * fall_error(end) or fall(end) <= 0:
        return ()
    peak, low = max(rates), sweep.interval[0]
    message = (
        f"The training ran at learning rate {number(peak)}, but the loss falls only from {number(low)} on, "
        "and it was still falling when the training ended."
    )
    return (_finding(message, {"lr": peak, "interval_low": low}, "The learning rate is too low."),)


def _finding(message: str, numbers: dict[str, float], cause: str) -> Finding:
    remedy = Remedy(text="Raise the learning rate tenfold.", change={"optimization.lr*": WIDEN})
    return RULE.finding("warning", message, evidence=numbers, cause=cause, remedies=(remedy,))


RULE = Rule(
    code="OPT003",
    name="learning-rate-too-low",
    needs=("lr_sweep",),
    reads=("curves",),
    find=find,
    page=__doc__ or "",
)
