"""What it sees: samples of validation or test whose content stands in the training part too.

Why it hurts: the network has seen these answers; the score is too good by what it knows by heart.

Evidence: the number of such samples, by content. Copies that all lie on one side of the split flatter nothing: they
are an info.

Remedy: keep copies on one side, or leave them out. Safe: the score gets worse and true.

References: Barz and Denzler 2020, Do We Train on Test Data? (CIFAR-10: 3.3% of the test pictures); Kapoor and
Narayanan 2023, Leakage and the Reproducibility Crisis.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, percent

ALLOWED = 0
"""Samples on both sides: each one is a known answer."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Copies on both sides of the split, else copies on one side."""
    data = observation.data
    if data is None:
        return ()
    overlap = observation.look.overlap if observation.look else 0
    held = sum(size for part, size in data.sizes.items() if part != "train")
    if overlap > ALLOWED:
        share = overlap / held if held else 1.0
        return (
            RULE.finding(
                "warning",
                f"{counted(overlap, 'sample')} of validation and test ({percent(share)}) "
                f"{'stands' if overlap == 1 else 'stand'} in the training part too: the score is too good.",
                evidence={"overlap": overlap, "held_out": held},
                cause="The parts were made without looking for copies.",
                remedies=(Remedy(text="Keep all copies of a sample on one side of the split."),),
            ),
        )
    if data.duplicates:
        return (
            RULE.finding(
                "info",
                f"{counted(data.duplicates, 'sample')} of {data.samples:,} "
                f"{'repeats' if data.duplicates == 1 else 'repeat'} another one; "
                "all copies of a sample lie on one side of the split.",
                evidence={"duplicates": data.duplicates, "samples": data.samples},
                cause="The data holds copies.",
            ),
        )
    return ()


RULE = Rule(
    code="DAT006",
    name="train-val-overlap",
    needs=("data",),
    reads=("look",),
    find=find,
    page=__doc__ or "",
)
