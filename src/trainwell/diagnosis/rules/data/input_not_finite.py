"""What it sees: NaN or infinite numbers in the batch as the first layer of the network receives it.

Why it hurts: one NaN in one sample makes the loss of its batch NaN, and after the step every weight.

Evidence: the share of the batch's numbers that are not finite, behind the preprocessing.

Remedy: fill or leave out missing values before the network; look for a division by a standard deviation of zero in
the preprocessing. Safe.

References: notes, Data Preprocessing; IEEE 754, propagation of NaN.
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import percent

ALLOWED = 0.0
"""Share of numbers: one is enough to lose the training (IEEE 754)."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Count what is not finite."""
    seen = observation.initial_loss
    if seen is None or seen.input_not_finite <= ALLOWED:
        return ()
    return (
        RULE.finding(
            "error",
            f"{percent(seen.input_not_finite)} of the numbers that the network receives are NaN or infinite.",
            evidence={"not_finite": seen.input_not_finite},
            cause="Values are missing in the data, or the preprocessing divides by zero.",
            remedies=(Remedy(text="Fill missing values before the network, and leave constant columns out."),),
            where=Where(layer=seen.layers[0].name if seen.layers else None),
        ),
    )


RULE = Rule(
    code="DAT001",
    name="input-not-finite",
    needs=("initial_loss",),
    find=find,
    page=__doc__ or "",
)
