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
with tables of embeddings that deviate by 0.02; the latter too where a loss is written by hand, and starts at half with
those.

Remedy: initialize the output layer with standard deviation 1/sqrt(fan_in) or smaller. Safe: it changes nothing but
the start, and a smaller output layer only brings the start nearer to the expectation.

References: notes, Choosing Hyperparameters, step 1; Karpathy 2019, A Recipe for Training Neural Networks ("verify
loss @ init"); Zhang et al. 2019, Fixup Initialization (zero output layer).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import SHORTEST, confirmation, end, helped, is_alike
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

LOUD, FALLS = 0.5, 2.0
"""Deviation of embeddings from which on smaller ones are tried where a loss is written by hand; and times that it must
start above where it comes to, and above where it starts with those."""

SMALLER = Fork(changed="embeddings of deviation 0.02")

ERRORS = 3.0
"""Standard errors of the measured loss."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the start with zero output and with the best constant."""
    seen = observation.initial_loss
    if seen is None or not math.isfinite(seen.measured):
        return _with_smaller_tables(observation)
    excess = seen.measured - seen.zero_output
    missing = seen.best_constant - seen.measured
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
    """A script's steps again with smaller embeddings, where what its loss should start at cannot be told."""
    return (SMALLER,) if _may_start_too_high(observation) else ()


def _may_start_too_high(observation: Observation) -> bool:
    """Whether tables of embeddings are as torch draws them, and the loss comes down to half and less."""
    seen, steps = observation.initial_loss, observation.steps
    if seen is None or steps is None or math.isfinite(seen.measured) or len(steps.values) < SHORTEST:
        return False
    tables = [each for each in seen.layers if each.kind in ("Embedding", "EmbeddingBag") and each.weight_std > LOUD]
    return bool(tables) and steps.values[0] > FALLS * end(steps.values) > 0


def _with_smaller_tables(observation: Observation) -> tuple[Finding, ...]:
    steps, forks = observation.steps, observation.forks
    if steps is None or forks is None or not _may_start_too_high(observation):
        return ()
    made = next((each for each in forks.changed if is_alike(each, SMALLER)), None)
    if made is None or not helped(forks, made) or not made.values[0] < steps.values[0] / FALLS:
        return ()
    return (
        RULE.finding(
            "warning",
            f"The untouched network's loss is {number(steps.values[0])}, but {number(made.values[0])} with embeddings "
            f"of deviation 0.02; from there, {len(made.values)} steps come to {number(end(made.values))} in place of "
            f"{number(end(steps.values))}.",
            evidence={
                "measured": steps.values[0],
                "with_small_tables": made.values[0],
                "end": end(steps.values),
                "end_with_small_tables": end(made.values),
            },
            cause="The embeddings deviate by 1, as torch draws them, and their products by the root of their width.",
            remedies=(Remedy(text="Draw the embeddings with a standard deviation of 0.02, or of 1/width."),),
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
    confirmed_by=(Fork(changed="redrawn weights"), SMALLER),
)
