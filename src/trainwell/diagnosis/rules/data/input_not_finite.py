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
    steps = observation.steps
    if steps is not None and steps.input_not_finite > ALLOWED:
        when = f" before step {steps.input_step + 1}" if steps.input_step else ""
        return (_finding(steps.input_not_finite, f"in a batch{when} that ", where=steps.input_at),)
    seen = observation.initial_loss
    if seen is None or seen.input_not_finite <= ALLOWED:
        return ()
    return (_finding(seen.input_not_finite, "that ", where=Where(layer=seen.layers[0].name if seen.layers else None)),)


def _finding(share: float, which: str, *, where: Where) -> Finding:
    return RULE.finding(
        "error",
        f"{percent(share)} of the numbers {which}the network receives are NaN or infinite.",
        evidence={"not_finite": share},
        cause="Values are missing in the data, or the preprocessing divides by zero.",
        remedies=(Remedy(text="Fill missing values before the network, and leave constant columns out."),),
        where=where,
    )


RULE = Rule(
    code="DAT001",
    name="input-not-finite",
    needs=(),
    reads=("initial_loss", "steps"),
    find=find,
    page=__doc__ or "",
)
