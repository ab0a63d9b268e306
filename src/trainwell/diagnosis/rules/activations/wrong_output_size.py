"""What it sees: outputs whose number does not fit the loss. A cross-entropy or a softmax over a single output; a
cross-entropy over the samples of a batch, since there is no axis of classes; or outputs for many more classes than
occur.

Why it hurts: a softmax over one number is always 1, so its cross-entropy is always 0 and nothing is learnt. Over the
samples, one sample's gain is another's loss. Outputs for classes that never occur must all be learnt to be small first.

Evidence: shapes of outputs and targets where they are compared; the highest class that occurred in the first steps, in
how many samples. That the other classes were missed by chance is ruled out first, and nothing is said of words, most of
which are rare. Whether the idle outputs cost anything, the same steps show with those outputs left out.

Remedy: two outputs for two classes under cross-entropy, or one output under binary cross-entropy on logits; as many
outputs as there are classes. Safe.

References: PyTorch, CrossEntropyLoss (shapes) and BCEWithLogitsLoss; notes, Choosing Hyperparameters, step 1 (the first
loss should be log C).
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.losses import ComparisonSeen, RefusedSeen
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.forked import SHORTEST, confirmation, end, helped
from trainwell.diagnosis.freshness import share_new
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number

ONE = 1
"""Numbers that a softmax is taken over, at most, for its outputs to be always 1."""
OFF = 0.01
"""By how much the sum of a sample's shares may differ from 1: rounding."""
MORE = 3.0
"""Times as many outputs as classes that occur, from which on it is told. Padding to a round number stays below."""
FAR_MORE = 20.0
"""Times as many, from which on it is tried out: 1,000 outputs for a few dozen classes, as of a network that was made
for others. Networks that are shown their classes one task after another stay below."""
SURE = 6.0
"""Times as many, from which on it is told where no others can come: five tasks of two classes, one after another, stay
below."""
OFTEN = 1000
"""Samples a class that occurs, and no class below the highest is missing: of words, most of which are rare, there are
always some."""
CHANCE = 1e-6
"""That samples of equally frequent classes leave out the rest."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again without the outputs for classes that do not occur."""
    steps = observation.steps
    idle = [] if steps is None else [each for each in steps.comparisons if _idle(each, FAR_MORE) and not each.tokens]
    return (Fork(changed="fewer outputs", factor=idle[0].highest + 1),) if idle else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """What is always the same; then what never occurs."""
    steps = observation.steps
    if steps is None:
        return ()
    weighed = tuple(_weighed(each) for each in steps.refused if each.why == "weights")
    exact = weighed + tuple(finding for each in steps.comparisons for finding in _exact(each))
    return exact or _never(steps, observation.forks)


def _exact(seen: ComparisonSeen) -> tuple[Finding, ...]:
    classes = seen.function == "cross-entropy"
    if classes and seen.size == ONE:
        message = (
            f"The cross-entropy is taken over a single output (shape {_shape(seen.shape)}): the softmax of one number "
            "is 1, and the loss is 0, whatever the network does."
        )
    elif 0 < seen.along <= ONE:
        message = (
            f"The {seen.activation or 'softmax'} before the {seen.function} is taken over a single number: it is "
            "always 1, whatever the network does."
        )
    elif classes and len(seen.shape) == 1 and seen.target_shape == seen.shape and _no_shares(seen):
        message = (
            f"The cross-entropy takes outputs of shape {_shape(seen.shape)} for one sample of {seen.size} classes: the "
            "samples of a batch compete with each other, and their targets add up to "
            f"{number(seen.largest_sum)}, not 1."
        )
    else:
        return ()
    finding = RULE.finding(
        "error",
        message,
        evidence={"size": seen.size, "along": seen.along, "lowest": seen.lowest, "highest": seen.highest},
        cause="One output a sample is a number or a yes or no, and the loss is one for a choice of several classes.",
        remedies=(
            Remedy(text="For yes or no: give the output as it is to binary_cross_entropy_with_logits."),
            Remedy(text="For classes: as many outputs as classes. For numbers: the squared error."),
        ),
        where=seen.activated_at if not classes and seen.activated_at.line is not None else seen.where,
    )
    return (finding,)


def _weighed(seen: RefusedSeen) -> Finding:
    outputs = seen.outputs[min(1, len(seen.outputs) - 1)]
    return RULE.finding(
        "error",
        f"The {seen.function} is given weights for {counted(seen.weights, 'class', 'classes')} and "
        f"{counted(outputs, 'output')}, and torch raises.",
        evidence={"outputs": outputs, "classes": seen.weights},
        cause="The last layer was made for other classes than the loss function.",
        remedies=(Remedy(text=f"Give the last layer {seen.weights} outputs, if these are all the classes there are."),),
        where=seen.where,
    )


def _no_shares(seen: ComparisonSeen) -> bool:
    return max(abs(seen.least_sum - 1), abs(seen.largest_sum - 1)) > OFF


def _idle(seen: ComparisonSeen, times: float) -> bool:
    """Whether there are so many times as many outputs as classes occur, and not by chance."""
    occurring = seen.highest + 1
    if seen.function not in ("cross-entropy", "negative log-likelihood") or not seen.different:
        return False
    if seen.target_shape == seen.shape or seen.size < times * occurring:
        return False
    return bool((occurring / seen.size) ** seen.samples < CHANCE)


def _never(steps: Steps, forks: Forks | None) -> tuple[Finding, ...]:
    idle = [each for each in steps.comparisons if _idle(each, MORE) and (not each.tokens or _often(each))]
    if not idle:
        return ()
    seen = idle[0]
    occurring = int(seen.highest) + 1
    tried = [] if forks is None else [each for each in forks.changed if each.changed == "fewer outputs"]
    shown = [each for each in tried if forks is not None and helped(forks, each)]
    whole = seen.size >= SURE * occurring and (_came_again(steps) or _often(seen))
    costs = ""
    if whole:
        costs = ", and each below it occurs often" if _often(seen) else ", and all of them came more than once"
    if forks is not None and shown:
        costs = (
            f"; without the others {len(forks.unchanged)} steps bring the loss to {number(end(shown[0].values))} where "
            f"it is {number(end(forks.unchanged))} now"
        )
    finding = RULE.finding(
        "warning" if shown or whole else "info",
        f"The network has {counted(seen.size, 'output')}, but no class above {occurring - 1} occurs in "
        f"{counted(seen.samples, 'sample')}{costs}.",
        evidence={"outputs": seen.size, "classes": occurring, "samples": seen.samples},
        cause="The last layer was made for other classes, or these come later.",
        remedies=(Remedy(text=f"Give the last layer {occurring} outputs, if these are all the classes there are."),),
        where=seen.where,
        confirmed_by=confirmation(forks, shown[0]) if forks is not None and shown else None,
    )
    return (finding,)


def _often(seen: ComparisonSeen) -> bool:
    return seen.different == seen.highest + 1 and seen.samples >= OFTEN * seen.different


def _came_again(steps: Steps) -> bool:
    """Whether the last third of the steps brought no sample that was not trained on before: these are all there are."""
    return len(steps.samples) >= SHORTEST and share_new(steps) == 0


def _shape(sizes: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


RULE = Rule(
    code="ACT007",
    name="wrong-output-size",
    needs=("steps",),
    reads=("forks",),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
