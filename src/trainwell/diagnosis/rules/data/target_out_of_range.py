"""What it sees: a class that validation or test asks for and training never shows; a regression target that is
constant or not finite on the training part.

Why it hurts: an answer that was never shown cannot be learnt, and every sample of that class is a sure mistake; a
constant target leaves nothing to learn.

Evidence: the samples of each class in each part; the standard deviation of each target.

Remedy: split anew, so that each class is in each part, or leave the class out; look at the target column. Safe.

References: notes, Choosing Hyperparameters (a check before step 1); Kohavi 1995, A Study of Cross-Validation
(stratification).
"""

import math

from trainwell.core.records.data import DataRecord
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

LEAST = 1
"""Samples of a class that training must show: with none it cannot be learnt."""

NAMED = 3
"""Names in the message; the rest is counted."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Classes without training samples; targets without spread."""
    data = observation.data
    if data is None:
        return ()
    return _constant_targets(data) if data.task == "regression" else _unseen_classes(data)


def _unseen_classes(data: DataRecord) -> tuple[Finding, ...]:
    train = data.class_counts.get("train", ())
    held_out = [counts for part, counts in data.class_counts.items() if part != "train"]
    elsewhere = [sum(counts) for counts in zip(*held_out)]
    unseen = [i for i, (shown, asked) in enumerate(zip(train, elsewhere)) if shown < LEAST <= asked]
    if not unseen:
        return ()
    lost = sum(elsewhere[i] for i in unseen)
    return (
        RULE.finding(
            "error",
            f"{_named([data.output.names[i] for i in unseen], 'class', 'classes')} of validation and test "
            f"{'has' if len(unseen) == 1 else 'have'} no training sample: {counted(lost, 'sample')} "
            "cannot be answered.",
            evidence={"classes": len(unseen), "samples": lost},
            cause="The parts were split without regard to the classes.",
            remedies=(Remedy(text="Split anew with every class in every part, or leave these classes out."),),
        ),
    )


def _constant_targets(data: DataRecord) -> tuple[Finding, ...]:
    names = data.output.names
    bad = [name for name, std in zip(names, data.output.stds) if not math.isfinite(std) or std <= 0]
    if not bad:
        return ()
    return (
        RULE.finding(
            "error",
            f"{_named(bad, 'target', 'targets')} {'is' if len(bad) == 1 else 'are'} constant or not finite on the "
            "training part: there is nothing to learn.",
            evidence={"targets": len(bad)},
            cause="The column was filled with one value, or holds NaN or infinite values.",
            remedies=(Remedy(text="Choose another target, or mend the column."),),
        ),
    )


def _named(names: list[str], noun: str, plural: str) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:NAMED])
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{(noun if len(names) == 1 else plural).capitalize()} {shown}{more}"


RULE = Rule(
    code="DAT004",
    name="target-out-of-range",
    needs=("data",),
    find=find,
    page=__doc__ or "",
)
