"""What it sees: input features whose mean is far from zero compared with their spread, where the first layer receives
them.

Why it hurts: the gradients of one unit's weights then share a sign, and the loss is far more sensitive to some
directions than to others: training zigzags. Adam and norms hide much of it.

Evidence: the features' means over their standard deviations (root mean squares of both) on one batch. It is a
convention, not proof of harm: an info. Of a script it is more where the same steps with standardized inputs bring the
loss clearly lower; where the deviations are far off too, that is input-badly-scaled.

Remedy: subtract the training part's mean and divide by its standard deviation. Safe when the same numbers are used
at prediction.

References: notes, Data Preprocessing; LeCun et al. 1998, Efficient BackProp, section 4.3.
"""

import math

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

OFFSET = 1.0
"""Standard deviations: from there on a feature rarely changes its sign (a normal one in 16% of the samples)."""

FAR = 2.0
"""Standard deviations, from which on it is worth a second run of a script: such a feature has one sign in 98 of 100
samples. Pixels in [0, 1] lie at 1 to 2."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the features' means with their spread."""
    seen = observation.initial_loss
    if seen is None or not math.isfinite(seen.input_offset) or seen.input_offset <= OFFSET:
        return ()
    given = observation.steps.input if observation.steps else None
    return (
        RULE.finding(
            "warning" if given is not None and seen.input_offset > FAR else "info",
            f"The input is not centred: its features lie {number(seen.input_offset)} standard deviations from zero "
            "on average.",
            evidence={"offset": seen.input_offset},
            cause="The data is used as it was stored, without subtracting its mean.",
            remedies=(Remedy(text="Subtract the training part's mean and divide by its standard deviation."),),
            where=given.where if given is not None else Where(layer=seen.layers[0].name if seen.layers else None),
        ),
    )


RULE = Rule(
    code="DAT002",
    name="input-not-centered",
    needs=("initial_loss",),
    reads=("steps",),
    find=find,
    confirmed_by=(Fork(changed="standardized input"),),
    page=__doc__ or "",
)
