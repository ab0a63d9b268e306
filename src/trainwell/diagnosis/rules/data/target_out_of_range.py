"""What it sees: a class that validation or test asks for and training never shows; a regression target that is
constant or not finite on the training part. In a script: classes for which the network has no output, where torch
raises; targets of a binary cross-entropy below 0 or above 1; and targets that are NaN or infinite where the loss is.

Why it hurts: an answer that was never shown cannot be learnt, and every sample of that class is a sure mistake; a
constant target leaves nothing to learn. With a target of 2, or of -1, binary cross-entropy has no lowest value: the
further the output is from zero the lower it gets, without end, and torch does not say so. One NaN makes the loss of its
batch NaN, and after the step every weight.

Evidence: the samples of each class in each part; the standard deviation of each target; the smallest and the largest
number that the loss function was given, and how many are outside.

Remedy: split anew, so that each class is in each part, or leave the class out; look at the target column. Turn labels
such as -1 and 1, or 1 and 2, into 0 and 1; scale pictures to [0, 1], or compare them by their squared error. Safe.

References: notes, Choosing Hyperparameters (a check before step 1); Kohavi 1995, A Study of Cross-Validation
(stratification); PyTorch, BCEWithLogitsLoss ("targets between 0 and 1"); Salimans et al. 2016, Improved Techniques for
Training GANs (one-sided label smoothing, which strays by less).
"""

import math

from trainwell.core.records.data import DataRecord
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.losses import RefusedSeen, TargetsSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number, percent

LEAST = 1
"""Samples of a class that training must show: with none it cannot be learnt."""

ALLOWED = 0.0
"""Share of the classes that may have no output, where torch raised: it does so at the first."""

OUTSIDE = 0.25
"""Below 0 or above 1, from which on a target is none of a yes or no: adversarial trainings that blur their labels on
purpose go to 1.2 (the customary 0.7 to 1.2), and the nearest mistakes, such as 2 for 1 or -1 for 0, lie 1 outside."""

MISSING = 0.0
"""Share of a batch's targets that may be NaN or infinite where the loss is: one is enough to lose it (IEEE 754)."""

NAMED = 3
"""Names in the message; the rest is counted."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Classes without training samples; targets without spread; what a script's loss functions were given."""
    data = observation.data
    if data is None:
        steps = observation.steps
        return (*_refused(steps.refused), *_as_given(steps.targets)) if steps else ()
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


def _as_given(seen: tuple[TargetsSeen, ...]) -> tuple[Finding, ...]:
    found = []
    for each in seen:
        if each.classes and each.outside > ALLOWED:
            found.append(_no_output(each))
        elif each.not_finite > MISSING:
            found.append(_not_finite(each))
        elif each.function == "binary cross-entropy" and not -OUTSIDE <= each.lowest <= each.highest <= 1 + OUTSIDE:
            found.append(_no_share(each))
    return tuple(found)


def _refused(seen: tuple[RefusedSeen, ...]) -> tuple[Finding, ...]:
    """Types and shapes that torch raises at."""
    return tuple(_unfit(each) for each in seen if each.why in ("type", "shape"))


def _unfit(seen: RefusedSeen) -> Finding:
    classes = seen.function in ("cross-entropy", "negative log-likelihood")
    if seen.why == "type":
        wanted = "class numbers of type int64" if classes else "numbers with a fraction, of the outputs' type"
        message = f"The {seen.function} is given targets of type {seen.types[1]}, but wants {wanted}, and torch raises."
        cause = "The targets were made with another type than the loss function's."
        remedy = "Convert the targets: `targets.long()`." if classes else "Convert the targets: `targets.float()`."
    else:
        message = (
            f"The {seen.function} is given outputs of shape {_shape(seen.outputs)} and targets of shape "
            f"{_shape(seen.targets)}, which do not fit, and torch raises."
        )
        cause = "An axis is missing or too many on one side, or the axes stand in another order."
        remedy = "Bring both to shapes that the loss function takes."
        if classes:
            remedy = "Give outputs of shape (samples, classes, ...) and targets of shape (samples, ...)."
    return RULE.finding(
        "error",
        message,
        evidence={"axes_of_outputs": len(seen.outputs), "axes_of_targets": len(seen.targets)},
        cause=cause,
        remedies=(Remedy(text=remedy),),
        where=seen.where,
    )


def _shape(sizes: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def _no_output(seen: TargetsSeen) -> Finding:
    when = f" at step {seen.step + 1}" if seen.step else ""
    return RULE.finding(
        "error",
        f"The {seen.function} is given classes from {seen.lowest:.0f} to {seen.highest:.0f}{when}, but "
        f"there are {counted(seen.classes, 'output')}: classes go from 0 to {seen.classes - 1}, and torch raises.",
        evidence={
            "lowest": seen.lowest,
            "highest": seen.highest,
            "classes": seen.classes,
            "outside": seen.outside,
            "numbers": seen.numbers,
        },
        cause="The classes are not numbered from 0, or the network has too few outputs.",
        remedies=(
            Remedy(text=f"Number the classes from 0, or give the last layer {seen.highest + 1:.0f} outputs."),
            Remedy(text="Mark what is to be passed over by the `ignore_index` of the loss function."),
        ),
        where=seen.where,
    )


def _not_finite(seen: TargetsSeen) -> Finding:
    when = f" before step {seen.step + 1}" if seen.step else ""
    return RULE.finding(
        "error",
        f"{percent(seen.not_finite)} of the targets in a batch{when} are NaN or infinite, and the {seen.function} "
        "with them.",
        evidence={"not_finite": seen.not_finite, "step": seen.step},
        cause="Values are missing in the data, or targets were divided by zero.",
        remedies=(Remedy(text="Leave out samples without a target, or mask them before the loss is computed."),),
        where=seen.where,
    )


def _no_share(seen: TargetsSeen) -> Finding:
    return RULE.finding(
        "error",
        f"The targets of the binary cross-entropy go from {number(seen.lowest)} to {number(seen.highest)}, and "
        f"{percent(seen.outside)} of them are below 0 or above 1: of these there is no lowest loss.",
        evidence={
            "lowest": seen.lowest,
            "highest": seen.highest,
            "outside": seen.outside,
            "numbers": seen.numbers,
        },
        cause="The labels are numbered otherwise than 0 and 1, or the values compared are not scaled to [0, 1].",
        remedies=(Remedy(text="Make the targets 0 and 1, or shares between; compare other values by `mse_loss`."),),
        where=seen.where,
    )


def _named(names: list[str], noun: str, plural: str) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:NAMED])
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{(noun if len(names) == 1 else plural).capitalize()} {shown}{more}"


RULE = Rule(
    code="DAT004",
    name="target-out-of-range",
    needs=(),
    reads=("data", "steps"),
    find=find,
    page=__doc__ or "",
)
