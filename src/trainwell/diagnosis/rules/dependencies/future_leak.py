"""What it sees: a network that is trained to predict the next position of what it is given, and whose outputs depend on
later positions.

Why it hurts: the answer stands in the input. The training loss falls far below what is possible, and of new text, where
there is no later position, the network knows nothing.

Evidence: the script's own targets are its inputs, one position on; the later halves of the sequences are exchanged,
and outputs of the first half change.

Remedy: a causal mask in attention (`is_causal=True`, or minus infinity above the diagonal); convolutions padded on the
left alone; no bidirectional layer. Safe: nothing that may be known is lost.

References: Vaswani et al. 2017, Attention Is All You Need, section 3.2.3; Karpathy 2019, A Recipe for Training Neural
Networks ("use backprop to chart dependencies").
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, percent

CHANGED = 1e-3
"""Of the outputs' standard deviation: ten times what float32's rounding comes to."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the largest change with rounding."""
    seen = observation.positions
    if seen is None or seen.size <= CHANGED:
        return ()
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


RULE = Rule(
    code="DEP002",
    name="future-leak",
    needs=("positions",),
    find=find,
    page=__doc__ or "",
)
