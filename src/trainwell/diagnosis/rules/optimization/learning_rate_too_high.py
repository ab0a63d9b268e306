"""What it sees: a sweep of the learning rate whose loss never falls and rises or becomes NaN; or a training whose peak
rate lies above the rates at which the sweep's loss falls, and whose loss is noisy, rises or is lost; or first steps
whose loss does not come down, and does at a lower rate.

Why it hurts: each step overshoots the valley that it aims at; the loss stays high, oscillates, or is gone.

Evidence: the sweep's loss against the rate, and the interval in which it falls. A training's rate above the
interval says nothing alone (warm-up, norms and adaptive steps carry a training further than a sweep): its own loss must
show the harm. Of a script: the same steps again, from the same weights on the same batches, at a tenth of its rate, and
at a hundredth where they lead nowhere. Early in a long training a lower rate leads for a while: there, it must halve
the loss. Where several networks work for or against each other, no loss says which training is better: there, how far
each of the first five steps moves the weights, over their size.

Remedy: lower the rate, or widen the sweep downward. Safe.

References: notes, Choosing Hyperparameters, step 3; Smith 2017, Cyclical Learning Rates for Training Neural
Networks, section 3.3 (the range test).
"""

import math
import statistics

from trainwell.core.records.evidence import LearningCurves, LrSweep
from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.forked import are_opposed, confirmation, end, helped, is_stuck
from trainwell.diagnosis.measures import blows_up, drop, trace
from trainwell.diagnosis.places import called_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

NOISY = 0.25
"""A training loss whose jitter exceeds this share of all that it came down does more jumping than learning."""

NARROW = 0.1
"""Factor of the next rates: a decade."""

BELOW = 0.1
"""Share of the first value by which the loss must come down at a lower rate, where it does not come down as it is."""

EARLY = 3.0
"""Times the steps seen that a training is planned for, at most: of a longer one, most is yet to come."""

HALVED = 0.5
"""Share of the loss by which a lower rate must help, where it is early in the training. Measured on healthy scripts: a
tenth of the rate ends at 1.08 times the loss and more."""

WORTH_MORE = 0.01
"""Factor of the rates that are tried beside it: two decades are the usual error."""

THROWN, FIRST = 0.3, 5
"""Of their size that a step moves a network's weights, its median layer in its median step; and of how many first
steps. Around 0.001 is usual, and Adam's first steps move torch's own start of small networks by 0.02 to 0.05."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again at a lower rate; where they lead nowhere, at two."""
    steps = observation.steps
    if steps is None:
        return ()
    lower = Fork(changed="learning rate", factor=NARROW)
    if not is_stuck(steps.values, chance=_chance(observation)):
        return (lower,) if _is_known(steps) else ()
    return (lower, Fork(changed="learning rate", factor=WORTH_MORE))


def find(observation: Observation) -> tuple[Finding, ...]:
    """Read the sweep; then the training's rate against it; then the first steps at lower rates."""
    sweep = observation.lr_sweep
    if sweep is None:
        at = observation.steps.optimizer_at if observation.steps else Where()
        if observation.forks is None:
            return _thrown(observation.steps) if observation.steps else ()
        return _forked(observation.forks, _gain(observation), at) if _may_be_compared(observation) else ()
    return _sweep(sweep) or _training(sweep, observation.curves)


def _chance(observation: Observation) -> float:
    return observation.initial_loss.best_constant if observation.initial_loss else math.nan


def _gain(observation: Observation) -> float:
    """By which share of the loss a lower rate must help: early in a long training, a high one has its time yet."""
    steps = observation.steps
    if steps is None or is_stuck(steps.values, chance=_chance(observation)):
        return BELOW
    return BELOW if 0 < steps.planned <= EARLY * steps.taken else HALVED


def _may_be_compared(observation: Observation) -> bool:
    steps = observation.steps
    return steps is None or _is_known(steps) or is_stuck(steps.values, chance=_chance(observation))


def _is_known(steps: Steps) -> bool:
    """Whether the loss is one that is lower where more is learnt: a policy's is weighted, and goes below 0."""
    return (bool(steps.losses) or steps.is_error) and not any(value < 0 for value in steps.values)


def _forked(forks: Forks, gain: float, at: Where) -> tuple[Finding, ...]:
    lower = [each for each in forks.changed if each.changed == "learning rate" and each.factor < 1]
    better = [each for each in lower if helped(forks, each, gain=gain)]
    if not better:
        return ()
    mildest = max(better, key=lambda each: each.factor)
    first, last = forks.unchanged[0], end(forks.unchanged)
    steps = len(forks.unchanged)
    message = (
        f"In {steps} steps the loss goes from {number(first)} to {number(last)}; the same steps at "
        f"{number(mildest.factor)} times the learning rate bring it to {number(end(mildest.values))}."
    )
    numbers = {"first": first, "last": last, "factor": mildest.factor, "last_at_factor": end(mildest.values)}
    remedy = Remedy(text=f"Multiply the learning rate by {number(mildest.factor)}.")
    cause = "Each step overshoots: the learning rate is too high."
    shown = confirmation(forks, mildest)
    return (
        RULE.finding(
            "warning", message, evidence=numbers, cause=cause, remedies=(remedy,), where=at, confirmed_by=shown
        ),
    )


def _thrown(steps: Steps) -> tuple[Finding, ...]:
    """Of several networks, whose trainings cannot be compared, one whose first steps replace its weights."""
    ratios: dict[int, list[float]] = {}
    for layer in steps.course:
        taken = [each for each, gradient in zip(layer.update, layer.gradient, strict=True) if math.isfinite(gradient)]
        moved = taken[:FIRST]
        # What begins at zero has no size that a first step could be compared with.
        if len(moved) == FIRST and all(map(math.isfinite, moved)):
            ratios.setdefault(layer.network, []).append(statistics.median(moved))
    ratios = {network: found for network, found in ratios.items() if len(found) > 1}
    if not ratios or not are_opposed(steps):
        return ()
    network, furthest = max(
        ((each, statistics.median(found)) for each, found in ratios.items()), key=lambda each: each[1]
    )
    if furthest <= THROWN:
        return ()
    names = [each.name for each in steps.course if each.network == network]
    message = (
        f'Each of the first {FIRST} steps moves the weights of the network with layer "{names[0]}" by '
        f"{number(furthest)} of their size; around 0.001 is usual."
    )
    remedy = Remedy(text="Lower its optimizer's learning rate to a hundredth.")
    cause = "Nothing of what was drawn is left after a few steps: the learning rate is too high."
    numbers = {"ratio": furthest, "layers": len(ratios[network])}
    where = called_at(names[0], steps)
    return (RULE.finding("warning", message, evidence=numbers, cause=cause, remedies=(remedy,), where=where),)


def _sweep(sweep: LrSweep) -> tuple[Finding, ...]:
    if sweep.usable or not sweep.curve.x or not (blows_up(sweep.curve) or blows_up(sweep.smoothed)):
        return ()
    lowest, highest = min(sweep.curve.x), max(sweep.curve.x)
    message = (
        f"Between learning rates {number(lowest)} and {number(highest)} the loss never falls, "
        "and at the upper end it blows up: even the lowest rate tried may be too high."
    )
    return (_finding(message, {"lowest": lowest, "highest": highest}, "The rates tried begin too high."),)


def _training(sweep: LrSweep, curves: LearningCurves | None) -> tuple[Finding, ...]:
    rates = [] if curves is None else [rate for rate in curves.lr.y if math.isfinite(rate)]
    if curves is None or not sweep.usable or not rates or max(rates) <= sweep.interval[1]:
        return ()
    seen = trace(curves.train_loss)
    start = curves.start if math.isfinite(curves.start) else (seen.y[0] if seen.y else math.nan)
    if seen.lost:
        harm = "became NaN or infinite"
    elif seen.y and seen.level > start + 3 * seen.noise:
        harm = "ended above its start"
    elif seen.noise > NOISY * drop(seen, start=curves.start):
        harm = f"jumps by {number(seen.noise)} from epoch to epoch"
    else:
        return ()
    peak, high = max(rates), sweep.interval[1]
    message = (
        f"The training ran at learning rate {number(peak)}, above the {number(high)} at which the loss stops falling, "
        f"and its loss {harm}."
    )
    return (_finding(message, {"lr": peak, "interval_high": high}, "The learning rate is too high."),)


def _finding(message: str, numbers: dict[str, float], cause: str) -> Finding:
    remedy = Remedy(text="Lower the learning rate tenfold.", change={"optimization.lr*": NARROW})
    return RULE.finding("warning", message, evidence=numbers, cause=cause, remedies=(remedy,))


RULE = Rule(
    code="OPT002",
    name="learning-rate-too-high",
    needs=(),
    reads=("lr_sweep", "forks", "curves", "initial_loss", "steps"),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
