"""What it sees: a network one of whose outputs, in test mode, depends on the other samples of the batch.

Why it hurts: a sample's features end in another sample's output. The network learns from a mixture, its loss stays
high, and at prediction the answer depends on who else is asked.

Evidence: a batch of the script's own, a quarter of its samples exchanged for others; outputs of the samples left alone
that change. It is asked only where the samples' axis is known beyond doubt: one output row a sample in the loss, one
tensor in, no layer that looks at the whole batch by design, not the same batch at every step (as in graph networks).

Remedy: `transpose` or `permute` where `view` or `reshape` only renames the axes; `batch_first=True` for recurrent and
attention layers where the batch comes first. Safe: a right network's outputs cannot depend on the batch.

References: Karpathy 2019, A Recipe for Training Neural Networks ("use backprop to chart dependencies").
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, percent

CHANGED = 1e-3
"""Of the outputs' standard deviation: ten times what float32's rounding comes to."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the largest change with rounding."""
    seen = observation.samples
    if seen is None or seen.size <= CHANGED:
        return ()
    return (
        RULE.finding(
            "error",
            f"In test mode the outputs of {seen.changed} of {counted(seen.samples, 'sample')} change when only other "
            f"samples of the batch are exchanged, by up to {percent(seen.size)} of the outputs' standard deviation.",
            evidence={"samples": seen.samples, "changed": seen.changed, "size": seen.size},
            cause="A `view` or `reshape` takes the batch's axis for another, or a layer expects the axes in another "
            "order.",
            remedies=(
                Remedy(text="Use `transpose` or `permute` where `view` or `reshape` is to exchange axes."),
                Remedy(text="Give recurrent and attention layers `batch_first=True` where the batch comes first."),
            ),
            where=seen.where,
        ),
    )


RULE = Rule(
    code="DEP001",
    name="batch-dimension-mixed",
    needs=("samples",),
    find=find,
    page=__doc__ or "",
)
