"""What it sees: sequences of different lengths that are filled up to one length, and a loss that counts the filling as
if it had to be learnt.

Why it hurts: what fills up is predicted without fail after a few steps. The mean over all positions then falls with the
share of the filling and not with what was learnt, long rows weigh less than short ones, and a loss of two data sets or
batch sizes cannot be compared.

Evidence: rows whose targets end in the same class or number, where the inputs end in the same value, too, which stands
nowhere else in any row; ends of different lengths; a class that is neither the `ignore_index` of the loss function nor
of weight zero; a loss function that takes the mean or the sum itself. What is masked before or after is not taken for
it.

Remedy: `ignore_index=` that class, or fill targets up with -100, which is ignored by default; of numbers, take the mean
over the positions that are there. Safe; where the class has a meaning inside rows as well, use -100.

References: PyTorch, CrossEntropyLoss (ignore_index); Rush 2018, The Annotated Transformer (padding_idx in the loss).
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.losses import PaddingSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

SHARE = 0.05
"""Of the targets that must be counted padding: below, the mean is that of what is to be learnt, but for a twentieth."""

BATCHES = 2
"""That must end so: one may by chance."""

CLASSES = ("cross-entropy", "negative log-likelihood")
"""Functions that are given classes."""

MOST = 0.5
"""Share of the batches that could be looked at, at least, that must end so; those of rows of one length do not."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each line that compares outputs with classes."""
    seen = observation.steps.padding if observation.steps else ()
    return tuple(
        RULE.finding(
            "error",
            f"{percent(each.counted / each.targets)} of the targets in the loss are padding: rows end in "
            f"{_named(each)} over {each.shortest} to {each.longest} positions, where the inputs are filled up, and the "
            "loss counts it.",
            evidence={
                "share": each.counted / each.targets,
                "padded": each.padded,
                "targets": each.targets,
                "batches": each.batches,
                "value": each.value,
                "longest": each.longest,
            },
            cause="The loss function is not told what stands for padding.",
            remedies=_remedies(each),
            where=each.where,
        )
        for each in seen
        if each.batches >= max(BATCHES, MOST * each.looked) and each.counted >= SHARE * each.targets > 0
    )


def _named(seen: PaddingSeen) -> str:
    return f"class {seen.value:.0f}" if seen.function in CLASSES else number(seen.value)


def _remedies(seen: PaddingSeen) -> tuple[Remedy, ...]:
    if seen.function not in CLASSES:
        return (Remedy(text='Take the loss with `reduction="none"`, and the mean over the positions that are there.'),)
    return (
        Remedy(text=f"Give the loss function `ignore_index={seen.value:.0f}`."),
        Remedy(text="Fill the targets up with -100, which the loss ignores."),
    )


RULE = Rule(
    code="DAT011",
    name="padding-counted-in-loss",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
