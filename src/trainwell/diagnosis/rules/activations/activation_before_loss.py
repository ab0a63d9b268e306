"""What it sees: an activation between the network's outputs and a loss that has one of its own: a softmax before
cross-entropy, a sigmoid before binary cross-entropy on logits; or a softmax before the negative log-likelihood, which
wants logarithms.

Why it hurts: the loss takes probabilities for logits. Between 0 and 1 they can hardly differ: with C classes the loss
cannot fall below log(1 + (C - 1)/e), the gradients pass two slopes, and learning is slow and stops early. Without the
logarithm, the loss rewards one class alone and grows without bound the wrong way.

Evidence: autograd's graph: the activation is the operation right before the loss, views aside.

Remedy: give the loss the outputs without the activation; take the softmax or sigmoid only where probabilities are
wanted. Safe: the network's predictions keep their order.

References: notes, Activation Functions; PyTorch, CrossEntropyLoss ("expected to contain the unnormalized logits").
"""

import math

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import LossSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

ALLOWED = 0
"""Losses that are given activated outputs: the graph is exact, one is a fault."""
TWICE = {
    ("cross-entropy", "softmax"): "takes the softmax itself",
    ("binary cross-entropy", "sigmoid"): "takes the sigmoid itself",
    ("negative log-likelihood", "softmax"): "wants the logarithms of probabilities",
}
"""Loss and activation that do not go together, and why."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Losses that were given activated outputs."""
    seen = observation.steps.losses if observation.steps else ()
    wrong = [each for each in seen if (each.function, each.activation) in TWICE]
    return tuple(map(_finding, wrong)) if len(wrong) > ALLOWED else ()


def _finding(seen: LossSeen) -> Finding:
    why = TWICE[seen.function, seen.activation]
    at = seen.activated_at
    classes = seen.outputs[1] if len(seen.outputs) > 1 else 0
    least = math.log1p((classes - 1) / math.e) if seen.function == "cross-entropy" and classes > 1 else math.nan
    bound = f" With {classes} classes it cannot fall below {number(least)}." if math.isfinite(least) else ""
    logarithm = seen.function == "negative log-likelihood"
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
        where=at if at.line is not None else Where(layer=at.layer, file=seen.where.file, line=seen.where.line),
    )


RULE = Rule(
    code="ACT006",
    name="activation-before-loss",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
