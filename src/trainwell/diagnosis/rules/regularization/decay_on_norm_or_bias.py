"""What it sees: weight decay on tensors of one dimension: biases, and the weights of norms.

Why it hurts: decay is there to keep a layer's matrix small. A bias has no scale that a matrix could grow into, and a
norm's weight is the scale itself: to pull them to 0 costs fit and buys little. Most networks train as well with it.

Evidence: the groups of each optimizer: how many of the tensors with a weight decay above 0 have one dimension. It is a
convention and not a fault that was seen to cost anything, so it is an info.

Remedy: two groups: matrices and kernels with the decay, everything of one dimension with `weight_decay=0`. Safe.

References: He et al. 2019, Bag of Tricks for Image Classification with Convolutional Neural Networks, section 3.1 ("no
bias decay"); Karpathy 2022, nanoGPT, `configure_optimizers`.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number

LEAST = 1
"""Tensors of one dimension: who leaves them out leaves all of them out."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each optimizer."""
    seen = observation.steps.decay if observation.steps else ()
    return tuple(
        RULE.finding(
            "info",
            f"Weight decay {number(each.decay)} is on {counted(each.vectors, 'tensor')} of one dimension too, of "
            f"{each.parameters:,} that it is on.",
            evidence={"decay": each.decay, "vectors": each.vectors, "parameters": each.parameters},
            cause="The optimizer has all parameters in one group.",
            remedies=(Remedy(text="Put tensors of one dimension into a group of their own, with `weight_decay=0`."),),
            where=each.where,
        )
        for each in seen
        if LEAST <= each.vectors < each.parameters
    )


RULE = Rule(
    code="REG003",
    name="decay-on-norm-or-bias",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
