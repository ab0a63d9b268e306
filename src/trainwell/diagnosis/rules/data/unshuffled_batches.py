"""What it sees: a training whose samples come sorted by class: first many batches of one class, then many of another.

Why it hurts: the gradient of a batch is to stand for that of the whole data. Each of these pulls towards one class
alone, so the network learns to name the class of the day and forgets the one before; batch norm takes its statistics
from one class at a time.

Evidence: the labels that the loss function is given, in the order in which they come: their runs of one class, beside
the number of runs that the same labels have in a random order; the batches of a single class. Where the steps see one
class alone and the loader reads its dataset in order, samples further on are asked for their class. A loader that
shuffles is silent, whatever comes; so are labels drawn in short runs on purpose, as many of each class in each batch.

Remedy: `DataLoader(..., shuffle=True)` for training, or draw the samples by `torch.randperm` anew in each epoch. Safe;
of a time series, shuffle the windows after they were cut.

References: Bottou 2012, Stochastic Gradient Descent Tricks ("randomly shuffle the training examples"); Bengio 2012,
Practical Recommendations for Gradient-Based Training of Deep Architectures; Barton and David 1957, Multiple runs.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.loading import FurtherLabels
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import LabelsSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number, percent

FEWEST_BATCHES = 4
"""Of fewer, three or more classes must come in one run each: two classes may take turns on purpose."""

RUNS = 2.0
"""Runs for each class, at most: sorted labels have one, two sorted files read one after the other have two. Alternate
batches of one class, as real and made-up samples of a GAN, have one for each batch."""

MANY = 3
"""Classes, and batches: over as many, classes that come in one run each are sorted, wherever the batches end."""

A_BATCH = 0.75
"""Runs for each batch, at most: below 1, some runs go on from batch to batch, which no design within a batch does."""

WHOLE = 0.5
"""Share of the batches, at least, that hold a single class."""

BEYOND_CHANCE = 6.0
"""Standard deviations below the number of runs in a random order: chance comes there once in a billion trainings."""

FEWEST_SAMPLES = 64
"""That all are of one class: with a quarter of other classes, chance comes there once in a hundred million times."""

OTHERS = 0.25
"""Share of the samples further on, at least, that belong to other classes: with fewer, the data may be so unequal."""


ORDERS = ("sequential", "stream")
"""In which a loader goes through its dataset as it is."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each line that compares outputs with classes."""
    steps = observation.steps
    # Several optimizers may work against each other, and the labels of each be ones or zeros, by design.
    plain = steps is not None and len(steps.gradients) == 1
    seen = steps.labels if steps else ()
    fitting = [each for each in seen if each.order in (("sequential", "stream", "") if plain else ORDERS)]
    sorted_ = [_sorted(each) for each in fitting if _is_sorted(each)]
    further = observation.further_labels
    if not sorted_ and further is not None:
        sorted_ = [_one_class(each, further) for each in fitting if _is_first_class(each, further)]
    return tuple(sorted_[:1])


def _is_sorted(seen: LabelsSeen) -> bool:
    if seen.classes < 2 or not seen.expected_runs - seen.runs >= BEYOND_CHANCE * seen.deviation > 0:
        return False
    if seen.runs == seen.classes and seen.classes >= MANY and seen.batches >= MANY:
        return True
    return (
        seen.batches >= FEWEST_BATCHES
        and seen.filling >= 2
        and seen.runs <= RUNS * seen.classes
        and seen.runs <= A_BATCH * seen.batches
        and seen.whole >= WHOLE * seen.batches
    )


def _is_first_class(seen: LabelsSeen, further: FurtherLabels) -> bool:
    return (
        seen.classes == 1
        and seen.order == "sequential"
        and seen.batches >= FEWEST_BATCHES
        and seen.samples >= FEWEST_SAMPLES
        and further.others >= OTHERS * further.asked > 0
    )


def _sorted(seen: LabelsSeen) -> Finding:
    return _finding(
        seen,
        f"The samples come sorted by class: {seen.samples:,} labels of {seen.classes} classes make "
        f"{counted(seen.runs, 'run')}, in a random order about {number(seen.expected_runs)}; {seen.whole} of "
        f"{counted(seen.batches, 'batch', 'batches')} {'holds' if seen.whole == 1 else 'hold'} a single class.",
        {
            "samples": seen.samples,
            "classes": seen.classes,
            "runs": seen.runs,
            "expected_runs": seen.expected_runs,
            "batches": seen.batches,
            "whole": seen.whole,
        },
    )


def _one_class(seen: LabelsSeen, further: FurtherLabels) -> Finding:
    return _finding(
        seen,
        f"The samples come sorted by class: all {seen.samples:,} labels of the first "
        f"{counted(seen.batches, 'batch', 'batches')} are of one class, and {percent(further.others / further.asked)} "
        f"of {further.asked} samples from the rest of the {further.samples:,} are of others.",
        {
            "samples": seen.samples,
            "batches": seen.batches,
            "asked": further.asked,
            "others": further.others,
            "dataset": further.samples,
        },
    )


def _finding(seen: LabelsSeen, message: str, numbers: dict[str, float | int]) -> Finding:
    text, cause = {
        "sequential": ("Make this loader with `shuffle=True`.", "The loader reads its dataset in order, by class."),
        "stream": (
            "Shuffle the samples before they are written, or in a large buffer while they are read.",
            "The dataset is a stream, and yields one class after the other.",
        ),
        "": (
            "Draw the samples of each epoch in a new random order: `torch.randperm(len(inputs))`.",
            "The batches are cut from data that is sorted by class.",
        ),
    }[seen.order]
    where = seen.loaded_at if seen.loaded_at.line is not None else seen.where
    remedy = Remedy(text=text)
    return RULE.finding("error", message, evidence=numbers, cause=cause, remedies=(remedy,), where=where)


RULE = Rule(
    code="DAT008",
    name="unshuffled-batches",
    needs=("steps",),
    reads=("further_labels",),
    find=find,
    page=__doc__ or "",
)
