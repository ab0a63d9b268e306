"""What it sees: a schedule of the learning rate that is stepped after each batch though its period is one of epochs;
one that is stepped once an epoch though its period is one of batches; one that is never stepped.

Why it hurts: stepped too often, the rate is gone within the first epoch, or runs up and down many times in each.
Stepped too rarely, it stays where a warm-up begins. Never stepped, it stays where it is.

Evidence: what was counted: steps of the schedule, steps of its optimizer, batches and passes of the loader, and the
rounds of the loop around it where the source counts a range. A cosine is stepped too often where its period is the
number of those rounds, where the rate has come up again before the first pass is over, or where the schedule takes
several steps for each of the optimizer's and the rate has come up again; a schedule that only lowers the rate, where
half of the passes are yet to come when a thousandth of it or less is left, where its last milestone lies within the
first pass, where it has ended in less than a tenth of the steps seen, or where many of these were taken at a millionth
of the rate. Stepped several times for each optimizer step it is miscounted where a copy of it, which drives nothing,
ends in as many steps as the optimizer is to take. One with an end is stepped too rarely where its period is the number
of all batches, and any where its copy never comes to half of its highest rate as often as it is stepped, and does later
on. One that was not stepped is forgotten where the source does
nothing more with it; else it is an info.

Remedy: step it where its period says: after the batches of an epoch, or after each of them. Safe.

References: PyTorch, torch.optim, "How to adjust learning rate"; Loshchilov and Hutter 2017, SGDR.
"""

import math

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.updates import ScheduleSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number, percent

LEAST = 3
"""Optimizer steps that must have been seen."""

BY_BATCH = 0.9
"""Steps of the schedule a step of the optimizer from which on it is stepped by the batch: a scaler may skip some."""

SHARE = 0.5
"""Of a pass, that a cosine's period is at most: it comes up again before the pass is over."""

LEFT = 1.001e-3
"""Share of the rate that is too little to go on with for half of a training: what decays by design is there at the
end."""

EXACT = 1
"""Batches a pass by which a period may miss the number of all batches and still be it: a last one may be left out."""

PASSES = 3
"""Passes begun, two of them over: one in which nothing is stepped may be a warm-up."""

SEVERAL = 1.5
"""Steps of a schedule for each of its optimizer, from which on they count something else."""

LONG = 10.0
"""Times its length that a schedule is stepped which has an end and lowers the rate: a training that goes on so long has
no schedule."""

IDLE = 0.1
"""Share of the steps that are taken when a millionth of the rate is left: what decays by design is at its end there."""
IDLE_STEPS = 20
"""And so many of them."""

OVER = 0.1
"""Share of the highest rate that is the end of a schedule."""
LOW, FAR = 0.5, 4
"""Share of the highest rate that is never reached; and optimizer steps for each of the schedule's, at least, for it to
be stepped by the epoch."""

FALLING = ("LinearLR", "PolynomialLR")
"""Schedules with an end at which they stay."""

ENDS = ("CosineAnnealingLR", "OneCycleLR")
"""Schedules with an end, by which it can be seen what their period counts."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each schedule."""
    seen = observation.steps.schedules if observation.steps else ()
    return tuple(found for each in seen if each.steps >= LEAST for found in _asked(each))


def _asked(seen: ScheduleSeen) -> tuple[Finding, ...]:
    if seen.stepped == 0:
        return _never(seen)
    if seen.stepped >= BY_BATCH * seen.steps:
        return _cosine_by_batch(seen) or _lowered_by_batch(seen) or _over_early(seen)
    return _by_epoch(seen) or _never_high(seen)


def _cosine_by_batch(seen: ScheduleSeen) -> tuple[Finding, ...]:
    if seen.kind == "CosineAnnealingLR" and seen.stepped >= SEVERAL * seen.steps and seen.turned:
        message = (
            f"`{seen.kind}` with `T_max={seen.period:.0f}` is stepped {seen.stepped} times in {seen.steps} optimizer "
            f"steps: the rate has come down and up again {counted(seen.turned, 'time')}."
        )
        return (_too_often(seen, message),)
    if seen.kind != "CosineAnnealingLR" or not seen.period <= SHARE * seen.a_pass:
        return ()
    in_rounds = seen.rounds > 1 and seen.period == seen.rounds
    if not in_rounds and not seen.turned:
        return ()
    times = f", and the loop around it goes round {seen.rounds} times" if in_rounds else ""
    came = f" It has come up {counted(seen.turned, 'time')} so far." if seen.turned else ""
    message = (
        f"`{seen.kind}` with `T_max={seen.period:.0f}` is stepped after each of {seen.steps} optimizer steps. A pass "
        f"of the loader has {seen.a_pass} of them{times}: the rate goes down and up "
        f"{number(seen.a_pass / (2 * seen.period))} times in each pass.{came}"
    )
    return (_too_often(seen, message),)


def _lowered_by_batch(seen: ScheduleSeen) -> tuple[Finding, ...]:
    if seen.left <= LEFT:
        message = (
            f"`{seen.kind}` is stepped after each of {seen.steps} optimizer steps. A pass of the loader has "
            f"{seen.a_pass} of them and the loop around it goes round {seen.rounds} times: half way, "
            f"{number(seen.left)} of the rate is left."
        )
    elif seen.kind == "MultiStepLR" and seen.passes > 1 and seen.period <= seen.a_pass:
        message = (
            f"`{seen.kind}` is stepped after each of {seen.steps} optimizer steps, and its last milestone is "
            f"{seen.period:.0f}: it is passed within the first pass of the loader, which has {seen.a_pass} of them."
        )
    elif seen.kind in FALLING and seen.lowers and seen.steps >= LONG * seen.period:
        message = (
            f"`{seen.kind}` is stepped after each of {seen.steps} optimizer steps, and ends after {seen.period:.0f} of "
            "them: all later ones are taken at its last rate."
        )
    elif seen.passes > 1 and seen.second <= LEFT:
        message = (
            f"`{seen.kind}` is stepped after each of {seen.steps} optimizer steps, and after the first pass of the "
            f"loader no more than {number(seen.second)} of the rate is left."
        )
    elif seen.idle >= max(IDLE_STEPS, IDLE * seen.steps):
        message = (
            f"`{seen.kind}` is stepped after each of {seen.steps} optimizer steps, and the last {seen.idle} of them "
            "were taken when no more than a millionth of the rate was left."
        )
    else:
        return ()
    return (_too_often(seen, message),)


def _too_often(seen: ScheduleSeen, message: str) -> Finding:
    return RULE.finding(
        "error",
        message,
        evidence=_counts(seen),
        cause="Its period is meant in epochs, and it is stepped by the batch.",
        remedies=(
            Remedy(text="Step it once an epoch, after the loop over the batches."),
            Remedy(text="Or give it a period in batches: epochs times the loader's length."),
        ),
        where=seen.stepped_at,
    )


def _by_epoch(seen: ScheduleSeen) -> tuple[Finding, ...]:
    all_steps = seen.rounds * seen.a_pass
    if seen.kind not in ENDS or seen.passes < 2 or seen.stepped > seen.passes or seen.a_pass < 2 or seen.rounds < 2:
        return ()
    if not abs(seen.period - all_steps) <= EXACT * seen.rounds:
        return ()
    message = (
        f"`{seen.kind}` is made for {seen.period:.0f} steps, as many as {seen.rounds} passes of the loader have, and "
        f"is stepped {counted(seen.stepped, 'time')} in {seen.passes} passes: the training ends when "
        f"{percent(seen.rounds / seen.period)} of it is over."
    )
    return (
        RULE.finding(
            "error",
            message,
            evidence=_counts(seen),
            cause="Its period is meant in batches, and it is stepped once an epoch.",
            remedies=(Remedy(text="Step it after each optimizer step, within the loop over the batches."),),
            where=seen.stepped_at,
        ),
    )


def _over_early(seen: ScheduleSeen) -> tuple[Finding, ...]:
    """Several steps for each of the optimizer's, and made for as many as those."""
    if seen.stepped < SEVERAL * seen.steps or not seen.over <= OVER:
        return ()
    times = seen.stepped / seen.steps
    message = (
        f"`{seen.kind}` is stepped {number(times)} times for each optimizer step. In as many steps as the optimizer is "
        f"to take, it comes to {percent(seen.over)} of its highest rate: here when {percent(1 / times)} of the "
        "training is over."
    )
    return (
        RULE.finding(
            "error",
            message,
            evidence=_counts(seen) | {"over": seen.over},
            cause="Its period is meant in optimizer steps, and gradients of several batches make one of them.",
            remedies=(Remedy(text="Step it right after `optimizer.step()`, and nowhere else."),),
            where=seen.stepped_at,
        ),
    )


def _never_high(seen: ScheduleSeen) -> tuple[Finding, ...]:
    """Stepped so rarely that a warm-up is not over when the training is."""
    if seen.stepped * FAR > seen.steps or not seen.reached <= LOW:
        return ()
    message = (
        f"`{seen.kind}` is stepped {counted(seen.stepped, 'time')} in {seen.steps} optimizer steps, and "
        f"{counted(seen.turns, 'time')} in the whole training: the rate comes to {percent(seen.reached)} of what it "
        "comes to were it stepped after each of them."
    )
    return (
        RULE.finding(
            "error",
            message,
            evidence=_counts(seen) | {"turns": seen.turns, "reached": seen.reached},
            cause="Its warm-up is meant in batches, and it is stepped once an epoch.",
            remedies=(Remedy(text="Step it after each optimizer step, within the loop over the batches."),),
            where=seen.stepped_at,
        ),
    )


def _never(seen: ScheduleSeen) -> tuple[Finding, ...]:
    if seen.others:
        return ()
    if seen.used and seen.passes < PASSES:
        return ()
    passes = f" and {seen.passes} passes of the loader" if seen.passes > 1 else ""
    nothing = ", and the source does nothing more with it" if not seen.used else ""
    return (
        RULE.finding(
            "info" if seen.used else "error",
            f"`{seen.kind}` is made and not stepped in {seen.steps} optimizer steps{passes}{nothing}.",
            evidence=_counts(seen),
            cause="No line calls its `step()`."
            if not seen.used
            else "Its `step()` is not reached, or not in the first passes.",
            remedies=(Remedy(text="Call its `step()` after the loop over the batches, or after each optimizer step."),),
            where=Where(file=seen.made_at.file, line=seen.made_at.line),
        ),
    )


def _counts(seen: ScheduleSeen) -> dict[str, float | int]:
    counts: dict[str, float | int] = {
        "stepped": seen.stepped,
        "optimizer_steps": seen.steps,
        "steps_a_pass": seen.a_pass,
        "passes": seen.passes,
        "rounds": seen.rounds,
    }
    return {**counts, **({} if math.isnan(seen.period) else {"period": seen.period})}


RULE = Rule(
    code="SCH005",
    name="schedule-miscounted",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
