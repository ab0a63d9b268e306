"""What it sees: weights in bfloat16 or float16 that steps leave bit for bit as they were, although a gradient came to
them.

Why it hurts: between two neighbouring numbers of bfloat16 lies a 128th to a 256th of their size. A change that is less
than half of that is rounded away, at every step again: it does not add up, and the weight never moves.

Evidence: of the weights that got a gradient other than zero, the share that is bit for bit the same after all steps as
before the first, and the share of all single changes that were lost. Weights that move now and then, as with stochastic
rounding, are not counted, nor are weights in float32 whose copies in half precision compute. An optimizer of somebody's
own may keep what rounding takes away, and a rate that is still warming up may grow out of it: both are infos.

Remedy: weights in float32 and half precision in the forward alone, by `torch.autocast`; or master weights or
stochastic rounding in the optimizer. Safe; it takes more memory.

References: Micikevicius et al. 2018, Mixed Precision Training, section 3.1; Zamirai et al. 2020, Revisiting BFloat16
Training.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.updates import HalfSeen, RatesSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import percent

MOST = 0.5
"""Share of the weights that never moved: more of the network stands still than learns. Measured on the digits, 400
steps of AdamW and of SGD at eleven rates, three seeds: above it the validation loss came down 10 to 84% as far as with
weights in float32, below it 88 to 101%."""

LEAST = 10
"""Steps: momentum needs some until its steps have their length."""

RISEN = 1.01
"""Times its first value that the rate is at the last step, and still warming up."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each optimizer with weights in half precision."""
    steps = observation.steps
    if steps is None:
        return ()
    rising = any(_rises(each) for each in steps.rates)
    return tuple(_finding(each, rising=rising) for each in steps.halves if each.steps >= LEAST and each.still > MOST)


def _finding(seen: HalfSeen, *, rising: bool) -> Finding:
    return RULE.finding(
        "error" if seen.plain and not rising else "info",
        f"{percent(seen.still)} of {seen.numbers:,} weights in {seen.kind} are bit for bit what they were {seen.steps} "
        f"steps before, though each got a gradient: {percent(seen.lost)} of all changes were rounded away.",
        evidence={"still": seen.still, "lost": seen.lost, "numbers": seen.numbers, "steps": seen.steps},
        cause=f"A step is smaller than half the distance between neighbouring numbers of {seen.kind}.",
        remedies=(
            Remedy(text=f"Keep the weights in float32, and compute in {seen.kind} under `torch.autocast`."),
            Remedy(text="Use an optimizer with master weights in float32 or with stochastic rounding."),
        ),
        where=seen.where,
    )


def _rises(seen: RatesSeen) -> bool:
    return any(group and group[-1] > RISEN * group[0] for group in seen.groups)


RULE = Rule(
    code="OPT018",
    name="half-precision-update-lost",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
