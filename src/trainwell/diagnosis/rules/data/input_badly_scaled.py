"""What it sees: input features that are large, or whose scales lie far apart, and a training that comes down much
further once each of them has mean 0 and deviation 1.

Why it hurts: the largest features decide the outputs and the gradients alone. A rate at which their weights can learn
is too low for all the others, and the rate that suits the others throws theirs about.

Evidence: the scales of the first batch's features; the same steps again, from the same weights on the same batches,
with the inputs standardized by that batch. Scales alone are no fault: a norm or an adaptive optimizer may bear them.
Where several networks work for or against each other, no other training can be compared, and deviations in the hundreds
are told as they are.

Remedy: subtract the training part's mean of each feature and divide by its standard deviation. Safe when the same
numbers are used at prediction.

References: notes, Data Preprocessing; LeCun et al. 1998, Efficient BackProp, section 4.3.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import InputSeen
from trainwell.diagnosis.forked import GAIN, are_opposed, confirmation, end, helped
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

LARGE = 10.0
"""Standard deviation of a feature from which on it is worth a second run: ten times what initializations assume."""

CERTAIN = 300.0
"""Deviation of a feature, from which on it is told where no other training can be compared: pixels from 0 to 255, which
people leave as they are, deviate by 128 at most."""

APART = 100.0
"""Times that one feature's scale is another's, likewise: steps of one rate reach both in ten thousand times as many."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again with standardized inputs, where their scales are far from 1 or from each other."""
    seen = observation.steps.input if observation.steps else None
    far = seen is not None and (seen.widest > LARGE or seen.widest > APART * seen.smallest)
    return (Fork(changed="standardized input"),) if far else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the training with the one whose inputs were standardized, and with those at lower rates."""
    forks, steps = observation.forks, observation.steps
    if steps is None or steps.input is None or not tries(observation):
        return ()
    if forks is None:
        return _incomparable(steps.input) if are_opposed(steps) else ()
    scaled = next((each for each in forks.changed if each.changed == "standardized input"), None)
    if scaled is None or not helped(forks, scaled, gain=GAIN):
        return ()
    others = [end(each.values) for each in forks.changed if each.changed == "learning rate"]
    first, last, better = forks.unchanged[0], end(forks.unchanged), end(scaled.values)
    if others and min(others) < better - GAIN * abs(better):
        return ()
    seen = steps.input
    apart = f" to {number(seen.largest)}" if seen.features > 1 else ""
    return (
        RULE.finding(
            "warning",
            f"The input's features have scales of {number(seen.smallest)}{apart}, and the loss goes from "
            f"{number(first)} to {number(last)} in {len(forks.unchanged)} steps; the same steps with standardized "
            f"inputs bring it to {number(better)}.",
            evidence={
                "smallest": seen.smallest,
                "largest": seen.largest,
                "first": first,
                "last": last,
                "last_standardized": better,
            },
            cause="The data is used in the units in which it was stored.",
            remedies=(
                Remedy(
                    text="Subtract the training part's mean of each feature and divide by its standard deviation.",
                ),
            ),
            where=seen.where,
            confirmed_by=confirmation(forks, scaled),
        ),
    )


def _incomparable(seen: InputSeen) -> tuple[Finding, ...]:
    """What stands by itself."""
    if not seen.widest > CERTAIN:
        return ()
    return (
        RULE.finding(
            "warning",
            f"The input's features have deviations of up to {number(seen.widest)}; weights are drawn for numbers "
            "around 1.",
            evidence={"smallest": seen.smallest, "largest": seen.largest, "widest": seen.widest},
            cause="The data is used in the units in which it was stored.",
            remedies=(Remedy(text="Subtract each feature's mean and divide by its standard deviation."),),
            where=seen.where,
        ),
    )


RULE = Rule(
    code="DAT003",
    name="input-badly-scaled",
    needs=("steps",),
    reads=("forks",),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
