"""What it sees: the loss of the untouched network lies above what an output of zero would cost, or below the floor of
chance.

Why it hurts: the first steps only unlearn what the initialization claims to know (the hockey stick at the start of
the curve); where the loss starts below chance, the network has seen the answers or the loss is not the one that was
meant.

Evidence: the user's own loss at constant output zero (log C, log 2, the mean of squared targets) is the
expectation, the loss of the best constant output (the entropy of the class shares, the target's variance) the floor
of chance; the start passes between the two. Outputs of variance s² explain about s²/2 of the excess of a cross-
entropy, and s² of the excess of a squared error. The excess is compared with the expectation itself and with the
standard error of the measurement. Of a script, a twentieth less loss after the same steps with weights drawn anew, or
with tables of embeddings that deviate by 0.02. Where a loss is written by hand and its expectation is not known, these
are tried if the tables or the output layer begin large, and told if the loss then starts at two thirds, and ends a
tenth lower. Where numbers are predicted that lie far from 0 or apart, outputs in their units must halve it.

Remedy: initialize the output layer with standard deviation 1/sqrt(fan_in) or smaller. Safe: it changes nothing but
the start, and a smaller output layer only brings the start nearer to the expectation.

References: notes, Choosing Hyperparameters, step 1; Karpathy 2019, A Recipe for Training Neural Networks ("verify
loss @ init"); Zhang et al. 2019, Fixup Initialization (zero output layer).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import SHORTEST, are_opposed, confirmation, end, helped, is_alike
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

TOLERANCE = 1.0
"""Excess over the expectation, as a share of it. Measured on digits (two hidden layers, best of three rates):
outputs with a standard deviation of 2 start at 3.7 in place of 2.3 and cost nothing; from 3.6 (loss 5.5, an
excess of 1.4) on the validation loss is worse, at 6.6 more than twice as high."""

BELOW = 0.1
"""Share of the floor of chance below which a loss has used knowledge: a network that knows nothing never gets
below it but by the batch's luck, which the standard error bounds."""

EXPLAINED = 0.5
"""Share of the excess that the outputs' spread must account for to be named as its cause."""

GAIN = 0.05
"""Share of the loss by which another training must come down further: that it starts too high is a fact, and how much
of that a few hundred steps make good is what is asked."""

LOUD, FALLS, HIGHER = 0.5, 2.0, 1.5
"""Deviation of embeddings from which on smaller ones are tried where a loss is written by hand; times that it must
start above where it comes to; and times that it must start above where it starts with smaller weights."""
LOUDER = 3.0
"""Times that the output layer's weights make what they are given as large, from which on others are tried there. What
keeps the size is 1, and Kaiming's for ReLU 1.4."""

FAR, WIDE = 4.0, 100.0
"""Times that zero costs more than the best constant answer, from which on the targets' mean lies far from 0; and what
the latter costs where they lie far apart: a deviation of 10. From there on, outputs in their units are tried."""
HALVED = 0.5
"""Share of the loss by which these must help: a mean that is learnt within the first steps is no harm."""
IN_UNITS = Fork(changed="outputs in the units of the targets")

SMALLER, REDRAWN = Fork(changed="embeddings of deviation 0.02"), Fork(changed="redrawn weights")

ERRORS = 3.0
"""Standard errors of the measured loss."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the start with zero output and with the best constant."""
    seen = observation.initial_loss
    if seen is None or not math.isfinite(seen.measured):
        return _with_smaller(observation)
    excess = seen.measured - seen.zero_output
    missing = seen.best_constant - seen.measured
    if far := _in_units(observation):
        return far
    numbers = {
        "measured": seen.measured,
        "zero_output": seen.zero_output,
        "best_constant": seen.best_constant,
        "logit_std": seen.logit_std,
    }
    noise = ERRORS * seen.standard_error
    if excess > max(TOLERANCE * abs(seen.zero_output), noise):
        explained = seen.logit_std**2 * (1.0 if _is_regression(observation) else 0.5)
        spread = explained >= EXPLAINED * excess
        cause = (
            f"The outputs are spread with standard deviation {number(seen.logit_std)}, where 0 was expected; "
            "that is enough to explain it."
            if spread
            else f"The outputs' spread (standard deviation {number(seen.logit_std)}) explains only about "
            f"{number(explained)} of it: look at the loss and at the targets."
        )
        remedies = (
            Remedy(text="Initialize the output layer with zeros, or with a standard deviation below 1/sqrt(fan_in)."),
            Remedy(
                text="Initialize all layers for their activation (Kaiming's for ReLU).",
                change={"initialization.scheme": "kaiming"},
            ),
        )
        message = (
            f"The untouched network's loss is {number(seen.measured)}, but a network that knows nothing "
            f"starts at {number(seen.zero_output)}."
        )
        evidence = numbers | {"excess": excess, "explained": explained}
        return (RULE.finding("warning", message, evidence=evidence, cause=cause, remedies=remedies),)
    if missing > max(BELOW * abs(seen.best_constant), noise):
        message = (
            f"The untouched network's loss is {number(seen.measured)}, below the {number(seen.best_constant)} that the "
            "best constant answer reaches: it knows something before it was trained."
        )
        cause = (
            "The weights were trained before, the input holds the target, or the loss is not the one that was meant."
        )
        return (RULE.finding("info", message, evidence=numbers | {"excess": -missing}, cause=cause),)
    return ()


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's steps again with smaller weights, where what its loss should start at cannot be told; or in units."""
    return (*_smaller(observation), *((IN_UNITS,) if _are_far(observation) else ()))


def _are_far(observation: Observation) -> bool:
    """Whether numbers are to be predicted that lie far from 0, or apart, for outputs that begin within 1 of 0."""
    seen, steps = observation.initial_loss, observation.steps
    if seen is None or steps is None or not _is_regression(observation) or not seen.best_constant > 0:
        return False
    if are_opposed(steps):
        # Targets that a network makes are in its own units.
        return False
    return seen.zero_output > FAR * seen.best_constant or seen.best_constant > WIDE


def _in_units(observation: Observation) -> tuple[Finding, ...]:
    """What the same steps come to with outputs that begin where the targets are."""
    seen, forks = observation.initial_loss, observation.forks
    if seen is None or forks is None or not _are_far(observation):
        return ()
    made = next((each for each in forks.changed if is_alike(each, IN_UNITS)), None)
    if made is None or not helped(forks, made, gain=HALVED):
        return ()
    return (
        RULE.finding(
            "warning",
            f"The untouched network's loss is {number(seen.measured)}, and the best constant answer costs "
            f"{number(seen.best_constant)}: the outputs begin far from the targets. With outputs in the targets' units "
            f"{len(made.values)} steps come to {number(end(made.values))} in place of {number(end(forks.unchanged))}.",
            evidence={
                "measured": seen.measured,
                "best_constant": seen.best_constant,
                "end": end(forks.unchanged),
                "end_in_units": end(made.values),
            },
            cause="The targets are in the units in which they were stored; usual steps do not get there.",
            remedies=(
                Remedy(text="Subtract the training targets' mean and divide by their deviation; undo both to predict."),
                Remedy(text="Or set the output layer's bias to the targets' mean."),
            ),
            confirmed_by=confirmation(forks, made),
        ),
    )


def _smaller(observation: Observation) -> tuple[Fork, ...]:
    """What may begin too large, where the loss comes down to half and less: tables as torch draws them, or outputs."""
    seen, steps = observation.initial_loss, observation.steps
    if seen is None or steps is None or math.isfinite(seen.measured) or len(steps.values) < SHORTEST:
        return ()
    if not steps.values[0] > FALLS * end(steps.values) > 0:
        return ()
    tables = [each for each in seen.layers if each.kind in ("Embedding", "EmbeddingBag") and each.weight_std > LOUD]
    last = seen.layers[-1]
    loud = not last.normalized and last.fan_in > 1 and last.weight_std * math.sqrt(last.fan_in) > LOUDER
    return (SMALLER,) * bool(tables) + (REDRAWN,) * loud


def _with_smaller(observation: Observation) -> tuple[Finding, ...]:
    """What a script's own loss starts at with smaller weights, and comes to."""
    steps, forks = observation.steps, observation.forks
    if steps is None or forks is None:
        return ()
    wanted = _smaller(observation)
    tried = [each for each in forks.changed if any(is_alike(each, other) for other in wanted)]
    lower = [each for each in tried if helped(forks, each) and each.values[0] < steps.values[0] / HIGHER]
    if not lower:
        return ()
    made = lower[0]
    tables = is_alike(made, SMALLER)
    means = "with embeddings of deviation 0.02" if tables else "with weights drawn anew"
    cause = "The embeddings deviate by 1, as torch draws them, and their products by the root of their width."
    remedy = "Draw the embeddings with a standard deviation of 0.02, or of 1/width."
    if not tables:
        cause = "The output layer's weights are too large."
        remedy = "Initialize the output layer with zeros, or with a standard deviation below 1/sqrt(fan_in)."
    return (
        RULE.finding(
            "warning",
            f"The untouched network's loss is {number(steps.values[0])}, but {number(made.values[0])} {means}; "
            f"from there, {len(made.values)} steps come to {number(end(made.values))} in place of "
            f"{number(end(steps.values))}.",
            evidence={
                "measured": steps.values[0],
                "with_smaller": made.values[0],
                "end": end(steps.values),
                "end_with_smaller": end(made.values),
            },
            cause=cause,
            remedies=(Remedy(text=remedy),),
            confirmed_by=confirmation(forks, made),
        ),
    )


def _is_regression(observation: Observation) -> bool:
    if observation.data is not None:
        return observation.data.task == "regression"
    losses = observation.steps.losses if observation.steps else ()
    return any(each.function == "squared error" for each in losses)


RULE = Rule(
    code="INI004",
    name="initial-loss-off",
    needs=("initial_loss",),
    reads=("data", "steps", "forks"),
    find=find,
    tries=tries,
    page=__doc__ or "",
    gain=GAIN,
    confirmed_by=(REDRAWN, SMALLER),
)
