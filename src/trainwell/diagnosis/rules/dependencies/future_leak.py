"""What it sees: a network that is trained to predict the next position of what it is given, and whose outputs depend on
later positions; or whose targets are its inputs, position by position, where it looks back alone; or a column of whose
inputs is the target.

Why it hurts: the answer stands in the input. The training loss falls far below what is possible, and of new text, where
there is no later position, the network knows nothing.

Evidence: the script's own targets are its inputs, one position on; the later halves of the sequences are exchanged,
and outputs of the first half change. Where the targets are the inputs at the same position, the last position is
exchanged, and its own output alone changes: a network that may look at all of them, as an autoencoder's, is not asked.
A column is compared with the target, both brought to mean 0 and deviation 1, over the samples of the first steps.

Remedy: leave out the column; targets one position on; a causal mask in attention (`is_causal=True`, or minus infinity
above the diagonal); convolutions padded on the left alone; no bidirectional layer. Safe: nothing that may be known is
lost.

References: Vaswani et al. 2017, Attention Is All You Need, section 3.2.3; Karpathy 2019, A Recipe for Training Neural
Networks ("use backprop to chart dependencies").
"""

from trainwell.core.records.dependence import PositionDependence
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import LeakSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, percent

CHANGED = 1e-3
"""Of the outputs' standard deviation: ten times what float32's rounding comes to."""

FEWEST = 32
"""Samples in which a column is the target: in fewer it may be one by chance."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the largest change with rounding."""
    leak = observation.steps.leak if observation.steps else None
    if leak is not None and leak.samples >= FEWEST:
        return (_column(leak),)
    seen = observation.positions
    if seen is None or seen.size <= CHANGED:
        return ()
    if not seen.ahead:
        return (_own(seen),)
    return (
        RULE.finding(
            "error",
            f"The targets are the inputs one position on, and the network sees them: outputs at {seen.changed} of "
            f"{counted(seen.positions, 'position')} change when only later positions are exchanged, by up to "
            f"{percent(seen.size)} of the outputs' standard deviation.",
            evidence={
                "positions": seen.positions,
                "changed": seen.changed,
                "size": seen.size,
                "predicted": seen.predicted,
            },
            cause="Attention without a causal mask, a bidirectional layer, or a convolution that looks ahead.",
            remedies=(
                Remedy(text="Give attention a causal mask: `is_causal=True`, or minus infinity above the diagonal."),
                Remedy(text="Pad convolutions on the left alone, and use no bidirectional layer."),
            ),
            where=seen.where,
        ),
    )


def _own(seen: PositionDependence) -> Finding:
    return RULE.finding(
        "error",
        f"The targets are the inputs themselves, position by position ({percent(seen.predicted)} of them), and each "
        f"output sees its own: the last one changes by up to {percent(seen.size)} of the outputs' standard deviation "
        "when only the last input is exchanged.",
        evidence={"positions": seen.positions, "size": seen.size, "predicted": seen.predicted},
        cause="The targets were not moved on by one position.",
        remedies=(Remedy(text="Take as targets what stands one position on: x[:, 1:] for inputs x[:, :-1]."),),
        where=seen.where,
    )


def _column(seen: LeakSeen) -> Finding:
    return RULE.finding(
        "error",
        f"Column {seen.column} of the {seen.features} input columns is the target, scaled and moved, in all "
        f"{counted(seen.samples, 'sample')} looked at: the answer stands in the input.",
        evidence={"column": seen.column, "features": seen.features, "samples": seen.samples},
        cause="The target's column was not taken out of the features.",
        remedies=(Remedy(text="Drop the target's column from the features."),),
        where=seen.where,
    )


RULE = Rule(
    code="DEP002",
    name="future-leak",
    needs=(),
    reads=("positions", "steps"),
    find=find,
    page=__doc__ or "",
)
