"""What it sees: an activation between the network's outputs and the loss that does not go with it. A softmax or sigmoid
before a loss that takes it itself; a squashing function or a ReLU on the outputs of a cross-entropy; one before a
difference whose targets it cannot reach; a softmax along the wrong axis; or none where logarithms of probabilities are
wanted.

Why it hurts: cross-entropy takes what it is given for logits. Squashed between 0 and 1 they can hardly differ: with C
classes the loss cannot fall below log(1 + (C - 1)/e), the gradients pass two slopes, and learning is slow and stops
early. Behind a ReLU, a class whose output is 0 gets no gradient from the samples that are its own. What targets lie
outside an activation's range is never reached. Without the logarithm, or on plain outputs, the negative
log-likelihood falls without end the wrong way.

Evidence: autograd's graph: the activation is the operation right before the loss, views aside. For a ReLU, the share of
samples whose own class it cuts off; for a difference, how much of the targets' variance lies out of reach; for a
softmax, its axis; for the negative log-likelihood, the sum of what should be probabilities. A second log-softmax
changes nothing and is not told.

Remedy: give the loss the outputs without the activation; take the softmax or sigmoid only where probabilities are
wanted. Safe: the network's predictions keep their order.

References: notes, Activation Functions; PyTorch, CrossEntropyLoss ("expected to contain the unnormalized logits") and
NLLLoss ("the input is expected to contain log-probabilities").
"""

import math

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.losses import ComparisonSeen, LossSeen, TwiceSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

ALLOWED = 0
"""Losses that are given activated outputs: the graph is exact, one is a fault."""
UNREACHABLE = 0.05
"""Share of the targets' variance that lies where the activation cannot reach: what is lost for certain. A twentieth is
what a few outliers come to; standardized targets behind a sigmoid lose half."""
CUT = 0.0
"""Share of the samples whose own class a ReLU cuts off: half at the start. One that cuts off none does nothing."""
OFF = 0.1
"""By how much a sum that should be 1 may differ from it: smoothing and rounding are far below."""

TWICE = {
    ("cross-entropy", "softmax"): "takes the softmax itself",
    ("cross-entropy", "sigmoid"): "wants outputs of any size",
    ("cross-entropy", "tanh"): "wants outputs of any size",
    ("binary cross-entropy", "sigmoid"): "takes the sigmoid itself",
    ("binary cross-entropy", "softmax"): "takes a sigmoid itself",
    ("binary cross-entropy", "tanh"): "takes the sigmoid itself and wants outputs of any size",
    ("binary cross-entropy", "ReLU"): "takes the sigmoid itself and never falls below one half for outputs above 0",
    ("negative log-likelihood", "softmax"): "wants the logarithms of probabilities",
    ("CTC loss", "softmax"): "wants the logarithms of probabilities",
}
"""Loss and activation that do not go together, and why."""
LOGARITHMS = ("negative log-likelihood", "CTC loss")
"""Losses that want logarithms of probabilities."""
WIDTH = {"softmax": 1.0, "sigmoid": 1.0, "tanh": 2.0}
"""By how much two outputs of an activation can differ."""
RANGE = {"softmax": "0 to 1", "log-softmax": "below 0", "sigmoid": "0 to 1", "tanh": "-1 to 1", "ReLU": "0 and more"}
"""What an activation can give, in words."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Losses that were given activated outputs."""
    steps = observation.steps
    if steps is None:
        return ()
    twice = [_twice(each) for each in steps.losses if (each.function, each.activation) in TWICE]
    found = (*twice, *(finding for each in steps.comparisons for finding in _compared(each)))
    found = found or tuple(_logarithm(each, len(steps.twice)) for each in steps.twice[:1])
    return found if len(found) > ALLOWED else ()


def _twice(seen: LossSeen) -> Finding:
    why = TWICE[seen.function, seen.activation]
    classes = seen.outputs[1] if len(seen.outputs) > 1 else 0
    width = WIDTH.get(seen.activation, math.inf)
    bounded = seen.function == "cross-entropy" and classes > 1
    least = math.log1p((classes - 1) * math.exp(-width)) if bounded else math.nan
    bound = f" With {classes} classes it cannot fall below {number(least)}." if math.isfinite(least) else ""
    logarithm = seen.function in LOGARITHMS
    remedy = (
        "Use log_softmax in place of softmax."
        if logarithm
        else f"Give the loss the outputs without {seen.activation}; apply it only to predict."
    )
    return RULE.finding(
        "error",
        f"The outputs pass a {seen.activation} before the {seen.function}, which {why}.{bound}",
        evidence={"classes": classes} | ({"least_loss": least} if math.isfinite(least) else {}),
        cause=f"The {seen.activation} stands in the network or in the loop, and the loss is one for "
        + ("its logarithm." if logarithm else "outputs without it."),
        remedies=(Remedy(text=remedy),),
        where=_at(seen.activated_at, seen.where),
    )


def _logarithm(seen: TwiceSeen, logarithms: int) -> Finding:
    """Of a loss that is written by hand."""
    kind = "softmax" if seen.outer == "log-softmax" else "sigmoid"
    return RULE.finding(
        "error",
        f"The loss takes the logarithm of a {kind}, and what it takes it of has passed a {seen.inner} already"
        + (": no output is below 0." if seen.inner == "ReLU" else ": all of it lies between 0 and 1."),
        evidence={"logarithms": logarithms},
        cause=f"The {seen.inner} stands in the network or in the loop, and the loss wants outputs of any size.",
        remedies=(Remedy(text=f"Give the loss the outputs without {seen.inner}; apply it only to predict."),),
        where=_at(seen.activated_at, seen.where),
    )


def _compared(seen: ComparisonSeen) -> tuple[Finding, ...]:
    if seen.axis >= 0:
        return (_wrong_axis(seen),)
    if seen.activation == "ReLU" and seen.cut > CUT:
        return (_cut_off(seen),)
    if seen.activation in RANGE and seen.unreachable > UNREACHABLE and not _class_numbers(seen):
        return (_out_of_reach(seen),)
    if abs(math.log(seen.exponentials)) > OFF if seen.exponentials > 0 else False:
        return (_no_logarithms(seen),)
    return ()


def _class_numbers(seen: ComparisonSeen) -> bool:
    """Numbers of classes under a difference are another fault's: OPT012 speaks of them."""
    return seen.size == 1 and seen.whole and seen.lowest == 0 and seen.different == seen.highest + 1 > 2


def _wrong_axis(seen: ComparisonSeen) -> Finding:
    over = "the samples" if seen.axis == 0 else f"axis {seen.axis}"
    kind = seen.activation if "softmax" in seen.activation else "softmax"
    along = f"axis {len(seen.shape) - 1}" if seen.function == "CTC loss" else "axis 1"
    return RULE.finding(
        "error",
        f"The {kind} before the {seen.function} is taken over {over}: outputs of shape {_shape(seen.shape)} are made "
        f"to add up to 1 along axis {seen.axis}, and the classes stand along {along}.",
        evidence={"axis": seen.axis, "along": seen.along},
        cause=f"The `dim` of the {kind} is not that of the classes.",
        remedies=(Remedy(text="Take it over the classes: `dim=1`, or -1 where they come last."),),
        where=_at(seen.activated_at, seen.where),
    )


def _cut_off(seen: ComparisonSeen) -> Finding:
    return RULE.finding(
        "error",
        f"The outputs pass a ReLU before the {seen.function}: for {percent(seen.cut)} of the samples it cuts off the "
        "output of their own class, and with it the gradient that would raise it.",
        evidence={"cut": seen.cut, "classes": seen.size},
        cause="The last layer is followed by the activation of the hidden ones.",
        remedies=(Remedy(text="Take the ReLU off the last layer."),),
        where=_at(seen.activated_at, seen.where),
    )


def _out_of_reach(seen: ComparisonSeen) -> Finding:
    return RULE.finding(
        "error",
        f"The outputs pass a {seen.activation} before the {seen.function} and are {RANGE[seen.activation]}, but "
        f"{percent(seen.outside)} of the targets lie outside, from {number(seen.lowest)} to {number(seen.highest)}: "
        f"at least {percent(min(seen.unreachable, 1.0))} of their variance can never be learnt.",
        evidence={
            "outside": seen.outside,
            "unreachable": seen.unreachable,
            "lowest": seen.lowest,
            "highest": seen.highest,
        },
        cause=f"The range of the {seen.activation} is not that of the targets.",
        remedies=(
            Remedy(text=f"Give the loss the outputs without {seen.activation}."),
            Remedy(text="Or scale the targets into its range, and back to predict."),
        ),
        where=_at(seen.activated_at, seen.where),
    )


def _no_logarithms(seen: ComparisonSeen) -> Finding:
    return RULE.finding(
        "error",
        f"The {seen.function} is given the outputs of a layer, and wants the logarithms of probabilities: the "
        f"exponentials of a sample's outputs add up to {number(seen.exponentials)} and not to 1, so it falls without "
        "end as the outputs grow.",
        evidence={"exponentials": seen.exponentials, "classes": seen.size},
        cause="There is no log-softmax between the last layer and the loss.",
        remedies=(
            Remedy(
                text="Use cross_entropy in place of nll_loss, or log_softmax before it."
                if seen.function == "negative log-likelihood"
                else "Take the log_softmax before it."
            ),
        ),
        where=seen.where,
    )


def _at(activation: Where, loss: Where) -> Where:
    if activation.line is not None:
        return activation
    return Where(layer=activation.layer, file=loss.file, line=loss.line)


def _shape(sizes: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


RULE = Rule(
    code="ACT006",
    name="activation-before-loss",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
