"""What it sees: samples of validation or test whose content stands in the training part too; in a script, samples that
were trained on and are evaluated on a line that speaks of validation or test.

Why it hurts: the network has seen these answers; the score is too good by what it knows by heart.

Evidence: the number of such samples, by content. Copies that all lie on one side of the split flatter nothing: they
are an info. In a script, what a network is given without gradients is compared, number by number, with all that it was
given with them; a line that speaks of training too, and inputs that repeat themselves by nature (few different ones are
possible), prove nothing. Of a graph that is given whole, the nodes are compared whose outputs are picked.

Remedy: keep copies on one side, or leave them out. Safe: the score gets worse and true.

References: Barz and Denzler 2020, Do We Train on Test Data? (CIFAR-10: 3.3% of the test pictures); Kapoor and
Narayanan 2023, Leakage and the Reproducibility Crisis.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import HeldOutSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, percent

ALLOWED = 0
"""Samples on both sides: each one is a known answer."""

SHARE = 0.05
"""Of an evaluation in a script: below, its data may hold copies by nature (3.3% of CIFAR-10's test pictures)."""

NATURAL = 4.0
"""Times as many as those copies must be that the evaluation's own repetitions lead to expect."""

FEWEST = 16
"""Samples of an evaluation."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Copies on both sides of the split, else copies on one side."""
    data = observation.data
    if data is None:
        return tuple(map(_said_of, filter(_overlaps, observation.steps.held_out))) if observation.steps else ()
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


def _overlaps(seen: HeldOutSeen) -> bool:
    if seen.samples < FEWEST or seen.trained <= SHARE * seen.samples:
        return False
    # Two of n samples coincide so often that one of n does with any of those trained on, half as often.
    natural = 2 * seen.repeated / (seen.samples + seen.repeated) * seen.known / seen.samples
    return seen.trained / seen.samples > NATURAL * natural


def _said_of(seen: HeldOutSeen) -> Finding:
    return RULE.finding(
        "warning",
        f"{seen.trained:,} of the {counted(seen.samples, 'node' if seen.nodes else 'sample')} that are evaluated here "
        f"as held-out data ({percent(seen.trained / seen.samples)}) were trained on: the score is too good.",
        evidence={"overlap": seen.trained, "held_out": seen.samples, "repeated": seen.repeated},
        cause="The parts were not made disjoint.",
        remedies=(Remedy(text="Keep what is evaluated out of the training part, with all its copies."),),
        where=seen.where,
    )


RULE = Rule(
    code="DAT006",
    name="train-val-overlap",
    needs=(),
    reads=("data", "look", "steps"),
    find=find,
    page=__doc__ or "",
)
