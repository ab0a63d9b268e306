"""What it sees: a network that does not learn a few batches by heart, with regularization and augmentation off.

Why it hurts: a network that cannot fit 1,000 samples will not learn from 100,000; whatever keeps it from learning
is found faster here than in a long training.

Evidence: the training metric by step. Fitted is 99%: a sample that stands twice with two labels cannot be fitted,
and nothing more is lost than such pairs. If the loss does not fall, the learning rate is too low or the
initialization bad; if it becomes NaN or infinite, the rate is too high or the initialization bad (the notes' step
2). Falling is judged against the curve's own noise and its start. If it falls and stops short, the rate, the number
of steps or the network's size is the suspect. If nine tenths of the loss are gone and it still falls, only steps were
missing, and that is said without alarm: noisy targets (most regression) are learnt by heart last and slowly.

Remedy: another learning rate; then another initialization; then a wider network. Safe: all are undone by hand.

References: notes, Choosing Hyperparameters, step 2; Karpathy 2019, A Recipe for Training Neural Networks ("overfit
one batch").
"""

import math

from trainwell.core.records.evidence import SmallSample
from trainwell.core.records.finding import Finding, Remedy, Severity
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import Trace, drop, fall, fall_error, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number, percent

FITTED = 0.99
"""Training accuracy or R² that counts as learnt by heart (the notes: about 100%)."""

FALLS = 0.1
"""Share of its start by which a loss must come down to be called falling: one step from zero output to the class
shares takes off less on any but very unequal classes."""

LEFT = 0.1
"""Share of its start to which a loss that still falls must have come for steps alone to be missing: in regression the
network has nine tenths of the variance by then, so rate and initialization are right."""

ERRORS = 3.0
"""Noises by which a fall must exceed the curve's jitter."""

FASTER, SLOWER = 3.0, 0.3
"""Factors of the learning rate to try next: about half a decade, the usual grid."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Judge how far the small sample was learnt, and by what it failed."""
    seen = observation.small_sample
    if seen is None:
        return ()
    reached = max((y for y in seen.metric.y if math.isfinite(y)), default=-math.inf)
    loss = trace(seen.loss)
    # A curve that ends in NaN was not fitted, whatever it reached before.
    broken = not loss.y or not math.isfinite(seen.loss.y[-1])
    if reached >= FITTED and not broken:
        return ()
    start = loss.y[0] if loss.y else math.nan
    tried = len(seen.attempts) + 1
    rates = f"at learning rate {number(seen.lr)}" + (
        f" ({tried - 1} other {'rate was' if tried == 2 else 'rates were'} tried before)" if tried > 1 else ""
    )
    severity: Severity = "error"
    remedies: tuple[Remedy, ...]
    if broken:
        message = (
            f"Learning {counted(seen.samples, 'sample')} by heart failed {rates}: the loss became NaN or infinite."
        )
        cause = "The learning rate is too high, or the initialization is bad."
        remedies = (_rate("Lower the learning rate.", SLOWER), _INITIALIZE)
    elif drop(loss) <= max(FALLS * abs(start), ERRORS * loss.noise):
        message = (
            f"Learning {counted(seen.samples, 'sample')} by heart failed {rates}: the loss does not fall "
            f"({number(start)} at the start, {number(min(loss.y))} at its lowest)."
        )
        cause = "The learning rate is too low, or the initialization is bad."
        remedies = (_rate("Raise the learning rate.", FASTER), _INITIALIZE)
    else:
        severity, message, cause, remedies = _short(seen, loss, reached, rates)
    evidence = {
        "samples": seen.samples,
        "lr": seen.lr,
        "reached": reached,
        "start": start,
        "end": loss.level,
        "attempts": tried,
    }
    return (RULE.finding(severity, message, evidence=evidence, cause=cause, remedies=remedies),)


def _short(seen: SmallSample, loss: Trace, reached: float, rates: str) -> tuple[Severity, str, str, tuple[Remedy, ...]]:
    """The loss fell, and the sample is not learnt: what is said, its cause, what to do."""
    accuracy = seen.metric.y_label.casefold() == "accuracy"
    start = loss.y[0]
    falls = fall(loss.end) > ERRORS * fall_error(loss.end) > 0
    unfinished = falls and loss.level <= LEFT * abs(start)
    only = "" if unfinished else " only"
    learnt = (
        f"Of {counted(seen.samples, 'sample')}, the network learnt{only} {percent(max(0.0, reached))} by heart"
        if accuracy
        else f"On {counted(seen.samples, 'sample')} to learn by heart, the network reached{only} "
        f"{seen.metric.y_label} {number(reached)}"
    )
    fell = f"{learnt} {rates}: the loss fell from {number(start)} to {number(loss.level)} and"
    wider = Remedy(text="Take a wider network.", change={"architecture.width*": 2})
    if unfinished:
        cause = "It was given too few steps to learn the last of it, which is mostly noise. Nothing has to be changed."
        return "info", f"{fell} was still falling when the steps ran out.", cause, ()
    if falls:
        cause = "It was given too few steps, or too low a rate."
        return "warning", f"{fell} was still falling.", cause, (_rate("Raise the learning rate.", FASTER), wider)
    small = "The network is too small" if accuracy else "The network is too small to learn noise in the targets"
    cause = f"{small}, equal samples carry different targets, or the learning rate is off."
    return "warning", f"{fell} stopped there.", cause, (_rate("Lower the learning rate.", SLOWER), wider)


def _rate(text: str, factor: float) -> Remedy:
    return Remedy(text=text, change={"optimization.lr*": factor})


_INITIALIZE = Remedy(
    text="Initialize the weights for their activation (Kaiming's for ReLU).",
    change={"initialization.scheme": "kaiming"},
)

RULE = Rule(
    code="OPT010",
    name="cannot-overfit-small-sample",
    needs=("small_sample",),
    find=find,
    page=__doc__ or "",
)
