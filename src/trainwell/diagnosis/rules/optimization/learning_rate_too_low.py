"""What it sees: a sweep of the learning rate in which the loss never comes down and never blows up, or still falls at
the highest rate tried; or a training whose peak rate lies below the rates at which the sweep's loss begins to fall; or
first steps whose loss does not come down, and does at a higher rate.

Why it hurts: the network moves, but too little: the budget ends before it has arrived.

Evidence: the sweep's loss against the rate, and the interval between whose ends it falls. A training's rate is
compared with that interval; its own curve must still be falling at the end, else the rate did no harm and nothing
is said. Of a script: the same steps again, from the same weights on the same batches, at ten to a thousand times its
rate, and at a tenth of it, beside which the loss's own way down is measured: it must be so short that all steps that
the source's loops come to bring the loss nowhere. A rate that still warms up is not judged; where a lower rate helps
too, the rate is too high; weights that come from elsewhere are meant to move little.

Remedy: raise the rate, or widen the sweep upward. Safe while the loss stays finite.

References: notes, Choosing Hyperparameters, step 3; Smith 2017, Cyclical Learning Rates for Training Neural
Networks, section 3.3 (the range test).
"""

import math
from collections.abc import Sequence

from trainwell.core.records.evidence import LearningCurves, LrSweep
from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.updates import RatesSeen
from trainwell.diagnosis.forked import SHORTEST, confirmation, end, helped
from trainwell.diagnosis.measures import blows_up, fall, fall_error, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

AT_EDGE = 0.9
"""The smoothed loss is lowest above this share of the highest rate tried: within the last point or two of a sweep."""

BELOW = 1 / 3
"""A training's rate below this share of the sweep's interval is outside it: half a decade, the width of its
smoothing."""

ERRORS = 3.0
"""Standard errors by which a curve must still fall."""

WIDEN = 10.0
"""Factor of the next rates: a decade."""

HIGHER = (10.0, 100.0, 1000.0)
"""Factors of the rates that are tried beside a script's: within the first steps, a rate shows what it can do a decade
or so below the best one, not two."""

LOWER = 0.1
"""Factor of the rate beside which the loss's own way down is measured, on the same batches; it must not help."""

DOWN = 0.1
"""Share of its first value by which the loss must come down in all steps of a script at the speed of its first: less is
no training, whatever the script is for. And by which it must not come down at the lower rate."""

FURTHER, TIMES = 0.05, 2.0
"""Share of its first value by which the loss must come down in the first steps at a higher rate, on the same batches
from the same weights; and how many times as far as in all steps at the script's own."""

PLANNED = 10_000
"""Steps of a script whose source does not say how many it takes: more than most that are tried out take."""

MOST_DOWN = 0.2
"""Share of its first value by which a loss may have come down where it is worth other runs to see whether its rate is
too low."""

STEADY = 1e-3
"""Share of a rate by which its last third may exceed what it was before, and still not be warming up."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again at higher rates, where at theirs they lead nowhere."""
    steps = observation.steps
    if steps is None or not _is_flat(steps.values) or not steps.rates or not all(map(_is_steady, steps.rates)):
        return ()
    # What was learnt elsewhere is meant to move little, and the first steps do not say how much of it is lost.
    if steps.loaded is not None:
        return ()
    lower = next((each for each in _rates_tried(observation.forks) if each.factor == LOWER), None)
    if observation.forks is None or lower is None:
        return (Fork(changed="learning rate", factor=LOWER),)
    if helped(observation.forks, lower, gain=DOWN):
        return ()
    return tuple(Fork(changed="learning rate", factor=factor) for factor in HIGHER)


def _rates_tried(forks: Forks | None) -> tuple[Fork, ...]:
    return () if forks is None else tuple(each for each in forks.changed if each.changed == "learning rate")


def find(observation: Observation) -> tuple[Finding, ...]:
    """Read the sweep; then the training's rate against it; then the first steps at higher rates."""
    sweep = observation.lr_sweep
    if sweep is None:
        steps, forks = observation.steps, observation.forks
        return (
            _forked(forks, steps.planned or PLANNED, steps.optimizer_at)
            if steps and forks and tries(observation)
            else ()
        )
    return _sweep(sweep) or _training(sweep, observation.curves)


def _is_flat(values: Sequence[float]) -> bool:
    """Whether a loss has hardly come down."""
    if len(values) < SHORTEST or not math.isfinite(values[0]):
        return False
    return end(values) > values[0] - MOST_DOWN * abs(values[0])


def _is_steady(rates: RatesSeen) -> bool:
    """Whether it is not still warming up: what decays was higher before."""
    return all(max(group) <= (1 + STEADY) * max(group[: -len(group) // 3]) for group in rates.groups if len(group) > 2)


def _forked(forks: Forks, planned: int, at: Where) -> tuple[Finding, ...]:
    tried = {each.factor: each for each in _rates_tried(forks)}
    higher = [each for each in tried.values() if each.factor > 1]
    first, last = forks.unchanged[0], end(forks.unchanged)
    if LOWER not in tried or not higher or helped(forks, tried[LOWER], gain=DOWN):
        return ()
    # What hardly moves shows what the batches are: later ones may be harder than the first.
    still, best = end(tried[LOWER].values), min(higher, key=lambda each: end(each.values))
    there = end(best.values)
    if not all(map(math.isfinite, (still, last, there))):
        return ()
    expected = max(still - last, 0.0) / (1 - LOWER) / abs(first) * planned / len(forks.unchanged)
    further = (still - there) / abs(first)
    if not (expected < DOWN and further > max(FURTHER, TIMES * expected)):
        return ()
    message = (
        f"In {len(forks.unchanged)} steps the loss goes from {number(first)} to {number(last)}; at this speed "
        f"{planned:,} steps bring it down by {percent(expected)}. At {number(best.factor)} times the learning rate the "
        f"same steps bring it to {number(there)}."
    )
    numbers = {
        "first": first,
        "last": last,
        "factor": best.factor,
        "last_at_factor": there,
        "planned": planned,
        "expected": expected,
    }
    remedy = Remedy(text=f"Multiply the learning rate by {number(best.factor)}.")
    cause = "Each step is too short: the learning rate is too low."
    shown = confirmation(forks, best)
    return (
        RULE.finding(
            "warning", message, evidence=numbers, cause=cause, remedies=(remedy,), where=at, confirmed_by=shown
        ),
    )


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
    needs=(),
    reads=("lr_sweep", "steps", "forks", "curves"),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
