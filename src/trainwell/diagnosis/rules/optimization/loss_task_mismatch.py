"""What it sees: a loss for another task than the targets are of. Numbers of classes under a squared error, as if class
3 lay between 2 and 4; every output compared with the class number; a cross-entropy whose targets are no shares of
classes; one-hot targets under a squared error or a binary cross-entropy.

Why it hurts: an order is learnt that is not there, and a class between two others is never predicted for certain. A
cross-entropy with targets below 0 falls without end. One-hot targets under the other two losses can be learnt well: an
info, no more.

Evidence: the targets that the loss was given. Ratings and counts are whole numbers too: that class numbers are no
scale is said where it is shown. A simple model is fitted to two thirds of the samples of the first steps, once to
the numbers and once to the classes, and asked about the others: on a scale the numbers do at least as well.

Remedy: as many outputs as classes, and cross-entropy with the classes as whole numbers. It changes the last layer, and
so the shape of what the network returns.

References: notes, Choosing Hyperparameters, step 1; Bishop 2006, Pattern Recognition and Machine Learning, section
4.1.3 (least squares for classification); Hui and Belkin 2020, Evaluation of Neural Architectures Trained with Square
Loss vs Cross-Entropy (one-hot targets under squares do no harm).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import SimpleFits
from trainwell.core.records.seen.losses import ComparisonSeen, LossSeen
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

CERTAIN = 3.0
"""Standard errors by which the classes must do better than the numbers, sample by sample. Measured: digits 12.3, wine
1, iris 0; ratings and counts that were made with noise are below 0."""
HALF = 0.5
"""Share of the numbers' errors that the classes may still make."""
LOWEST = 0.0
"""Share that a class can have."""
MOST_CLASSES = 20
"""Of whole numbers up to more than this nobody asks whether they are classes."""

DIFFERENCES = ("squared error", "Huber loss", "absolute error")
BINARY = ("binary cross-entropy", "binary cross-entropy of probabilities")


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each comparison."""
    steps = observation.steps
    if steps is None:
        return ()
    return tuple(finding for each in steps.comparisons for finding in _found(each, steps))


def _found(seen: ComparisonSeen, steps: Steps) -> tuple[Finding, ...]:
    spread = next((each for each in steps.losses if _alike(each, seen) and _spread(each)), None)
    if seen.function in DIFFERENCES and _class_numbers(seen, columns=spread is not None):
        if spread is not None:
            return (_each_output(seen, spread),) if seen.size == seen.highest + 1 else ()
        return (_numbers(seen, steps.fits),)
    if seen.function == "cross-entropy" and seen.lowest < LOWEST and len(seen.shape) == len(seen.target_shape) > 1:
        return (_no_shares(seen),) if seen.size > 1 else ()
    if seen.function == "cross-entropy" and _several_classes(seen):
        return (_several(seen),)
    return _one_hot(seen) if seen.one_hot and seen.size > 1 else ()


def _alike(loss: LossSeen, seen: ComparisonSeen) -> bool:
    return (loss.where, loss.function) == (seen.where, seen.function)


def _spread(loss: LossSeen) -> bool:
    """One target a sample, and several outputs."""
    one = math.prod(loss.targets[1:]) == 1 and len(loss.targets) == len(loss.outputs) == 2
    return one and loss.outputs[1] > 1 and loss.targets[0] == loss.outputs[0]


def _class_numbers(seen: ComparisonSeen, *, columns: bool) -> bool:
    counted = seen.whole and seen.lowest == 0 and 2 < seen.different == seen.highest + 1 <= MOST_CLASSES
    return counted and (seen.size == 1 or columns)


def _numbers(seen: ComparisonSeen, fits: SimpleFits | None) -> Finding:
    classes = int(seen.highest) + 1
    evidence: dict[str, float] = {"classes": classes}
    message = f"The {seen.function} takes the numbers of {classes} classes, 0 to {classes - 1}, for sizes"
    severity, shown = "info", False
    if fits is not None and fits.classes == classes:
        z = (fits.other_alone - fits.linear_alone) / max(math.sqrt(fits.other_alone + fits.linear_alone), 1.0)
        shown = z > CERTAIN and fits.chosen < HALF * fits.rounded
        evidence |= {"wrong_as_numbers": fits.rounded, "wrong_as_classes": fits.chosen, "samples": fits.samples}
        if shown:
            severity = "warning"
            message += (
                f", and they are none: of {fits.samples} other samples a simple fit of the numbers gets "
                f"{percent(fits.rounded)} wrong, one of the classes {percent(fits.chosen)}"
            )
    if seen.activation in ("sigmoid", "softmax") and seen.highest > 1:
        severity = "error"
        message += f", and the outputs pass a {seen.activation}, which gives nothing above 1"
    if severity == "info":
        message += "; this is right only if they are a scale, as ratings are"
    return RULE.finding(
        "error" if severity == "error" else "warning" if severity == "warning" else "info",
        f"{message}.",
        evidence=evidence,
        cause="The targets say which class, not how much."
        if severity != "info"
        else "The targets are whole numbers without a gap.",
        remedies=(
            Remedy(
                text=f"If they are classes: give the network {classes} outputs and use cross_entropy with whole-number "
                "targets."
            ),
        ),
        where=seen.where,
    )


def _each_output(seen: ComparisonSeen, loss: LossSeen) -> Finding:
    return RULE.finding(
        "error",
        f"The {seen.function} compares each of the {seen.size} outputs with the number of the class, 0 to "
        f"{seen.size - 1}: all of them learn the same.",
        evidence={"classes": seen.size, "outputs": loss.outputs[1]},
        cause="There is an output for each class, and the loss is one for numbers.",
        remedies=(Remedy(text="Use cross_entropy, with the classes as whole numbers of shape (N,)."),),
        where=seen.where,
    )


def _no_shares(seen: ComparisonSeen) -> Finding:
    return RULE.finding(
        "error",
        f"The cross-entropy is given targets from {number(seen.lowest)} to {number(seen.highest)} as shares of classes:"
        " what is below 0 makes it fall without end.",
        evidence={"lowest": seen.lowest, "highest": seen.highest, "sum": seen.largest_sum},
        cause="The targets are numbers to be predicted, and the loss is one for classes.",
        remedies=(Remedy(text="Use the squared error for numbers."),),
        where=seen.where,
    )


def _several_classes(seen: ComparisonSeen) -> bool:
    """Whether the targets are shares that are 0 or 1, of none or several classes a sample."""
    shares = seen.target_shape == seen.shape and len(seen.shape) > 1 and seen.size > 1
    return shares and seen.whole and seen.lowest == 0 and seen.highest == 1 and seen.largest_sum > 1 + HALF


def _several(seen: ComparisonSeen) -> Finding:
    return RULE.finding(
        "error",
        f"The cross-entropy is given samples of {seen.least_sum:.0f} to {seen.largest_sum:.0f} classes at once: its "
        "softmax makes the classes of one sample compete with each other.",
        evidence={"classes": seen.size, "least": seen.least_sum, "most": seen.largest_sum},
        cause="A sample may have several classes, and the loss is one for a choice of one.",
        remedies=(Remedy(text="Use binary_cross_entropy_with_logits: a yes or no for each class."),),
        where=seen.where,
    )


def _one_hot(seen: ComparisonSeen) -> tuple[Finding, ...]:
    if seen.function not in (*DIFFERENCES, *BINARY):
        return ()
    each = "each class as a yes or no of its own" if seen.function in BINARY else "how far each output lies from 0 or 1"
    finding = RULE.finding(
        "info",
        f"Every sample is of one of {seen.size} classes, and the {seen.function} asks {each}.",
        evidence={"classes": seen.size},
        cause="The targets are one-hot; cross-entropy would ask which of the classes it is.",
        remedies=(Remedy(text="Try cross_entropy, with the outputs as they come from the last layer."),),
        where=seen.where,
    )
    return (finding,)


RULE = Rule(
    code="OPT012",
    name="loss-task-mismatch",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
