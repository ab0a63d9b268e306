"""What it sees: a class with many times the training samples of another.

Why it hurts: always naming the largest class already scores well, so accuracy flatters; the small classes get few
of the gradients. Many such data sets are learnt well nevertheless: an info.

Evidence: the training samples of the largest and the smallest class, and what naming the largest alone would score.

Remedy: read the figures of each class beside the accuracy; oversample the small classes if their recall matters
more. Oversampling shifts the predicted probabilities.

References: Buda et al. 2018, A Systematic Study of the Class Imbalance Problem in Convolutional Neural Networks.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

RATIO = 10.0
"""Largest to smallest class: where Buda et al. 2018 (figure 4) begin to see a loss on their harder data."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the largest class with the smallest that is there."""
    counts = observation.data.class_counts.get("train", ()) if observation.data else ()
    there = [count for count in counts if count > 0]
    if observation.data is None or len(there) < 2 or max(there) < RATIO * min(there):
        return ()
    names = observation.data.output.names
    large, small = names[counts.index(max(there))], names[counts.index(min(there))]
    share = max(there) / sum(there)
    return (
        RULE.finding(
            "info",
            f'The classes are unequal: "{large}" has {max(there):,} training samples, "{small}" {min(there):,}; '
            f'always answering "{large}" would be right for {percent(share)}.',
            evidence={"largest": max(there), "smallest": min(there), "ratio": max(there) / min(there), "share": share},
            cause=f"The data holds {number(max(there) / min(there))} times as many samples of one class as of another.",
            remedies=(Remedy(text="Read each class's recall, not the accuracy alone."),),
        ),
    )


RULE = Rule(
    code="DAT005",
    name="class-imbalance",
    needs=("data",),
    find=find,
    page=__doc__ or "",
)
