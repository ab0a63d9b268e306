"""What it sees: gradients that are clipped before they are there, or after the step; clipped while they are still
multiplied by a loss scale; or clipped at every step to a small part of their length.

Why it hurts: what is clipped too early or too late is the gradient of no step: the one that explodes goes through. A
scale of thousands makes every gradient look too long, so each is cut, and after unscaling next to nothing is left. A
limit far below every norm makes all steps equally long: it is the learning rate, and the rate that was chosen is not.

Evidence: which gradients each call left, and whether the next step was taken along them or along others that a
backward pass made later; whether a GradScaler had scaled them and had not unscaled them; the norm before each call as a
multiple of the limit. A low limit is a warning only for SGD, whose steps are as long as its gradients, where the loss
does not come down, and where the same steps without clipping bring it down. An infinite limit is a way to ask for the
norm and is passed over.

Remedy: `backward()`, then `scaler.unscale_(optimizer)` where there is a scaler, then the clipping, then the step. A
limit near the median norm of the first steps. Safe.

References: Pascanu et al. 2013, On the difficulty of training recurrent neural networks; PyTorch, Automatic Mixed
Precision examples, gradient clipping.
"""

from collections.abc import Sequence

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.updates import ClippingSeen
from trainwell.diagnosis.forked import is_stuck
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

LEAST = 3
"""Steps: a loop that clips at the wrong place does so always, and the first may be another."""

MANY = 10.0
"""Times the limit that the norm is, at every step: a limit that is met now and then limits, and one that lies a decade
below all norms sets the length of every step. Chosen."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each line that clips."""
    steps = observation.steps
    if steps is None:
        return ()
    return tuple(
        found for seen in steps.clipping for found in (_late(seen) or _scaled(seen) or _low(seen, steps.values))
    )


def _late(seen: ClippingSeen) -> tuple[Finding, ...]:
    if seen.late < LEAST or seen.late < seen.steps:
        return ()
    size = "norm" if seen.function == "clip_grad_norm_" else "largest number"
    found = "finds none" if seen.empty == seen.calls else "finds those of the step before"
    return (
        RULE.finding(
            "error",
            f"`{seen.function}` limits no gradient: all {seen.steps} steps are taken along gradients that came after "
            f"it, with a {size} of {number(seen.beyond)} (median) at a limit of {number(seen.limit)}.",
            evidence={"steps": seen.steps, "size": seen.beyond, "limit": seen.limit, "empty": seen.empty},
            cause=f"It is called before `backward()` or after `step()`, where it {found}.",
            remedies=(Remedy(text="Move it between `backward()` and `step()`."),),
            where=seen.where,
        ),
    )


def _scaled(seen: ClippingSeen) -> tuple[Finding, ...]:
    if seen.scaled < LEAST or seen.scaled < seen.calls:
        return ()
    return (
        RULE.finding(
            "error",
            f"`{seen.function}` is given gradients that are still multiplied by the loss scale, {number(seen.scale)}, "
            f"in all {seen.calls} calls: its limit of {number(seen.limit)} is one of "
            f"{number(seen.limit / seen.scale)}.",
            evidence={"calls": seen.calls, "scale": seen.scale, "limit": seen.limit, "ratio": seen.ratio},
            cause="`scaler.unscale_(optimizer)` is not called before it.",
            remedies=(Remedy(text="Call `scaler.unscale_(optimizer)` before it."),),
            where=seen.where,
        ),
    )


def _low(seen: ClippingSeen, values: Sequence[float]) -> tuple[Finding, ...]:
    always = seen.clipped == seen.steps >= LEAST and seen.scaled == 0
    if seen.function != "clip_grad_norm_" or not always or not seen.least >= MANY:
        return ()
    return (
        RULE.finding(
            "warning" if seen.plain and is_stuck(values) else "info",
            f"The gradient is clipped at all {seen.steps} steps, to a norm of {number(seen.limit)}: before, it is "
            f"{number(seen.ratio)} times that (median), and never less than {number(seen.least)} times.",
            evidence={"steps": seen.steps, "limit": seen.limit, "ratio": seen.ratio, "least": seen.least},
            cause="The limit lies so far below every norm that it sets the length of each step."
            if seen.plain
            else "The limit lies far below every norm; an adaptive optimizer makes up for it.",
            remedies=(Remedy(text=f"Raise the limit to about {number(seen.ratio * seen.limit)}, or leave it out."),),
            where=seen.where,
        ),
    )


RULE = Rule(
    code="OPT015",
    name="gradient-clipping-misplaced",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
    confirmed_by=(Fork(changed="no gradient clipping"),),
)
