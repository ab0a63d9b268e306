"""Losses that are errors by how they are computed, whoever wrote them: lower is better, and none is the best."""

import math
from typing import Any

from torch import Tensor

from trainwell.capture.losses import FUNCTIONS, PICKS, UNSIGNED, VIEWS, operation

MOST = 400
"""Nodes of a loss that are looked at, at most: what lies below its terms is not its own."""
ROUNDING = 1e-3
"""By which shares may miss a sum of 1: half precision's rounding."""
SHAPED = (
    *VIEWS,
    *PICKS,
    "ExpandBackward",
    "MaskedFillBackward",
    "MaskedSelectBackward",
    "MeanBackward",
    "SliceBackward",
    "SqrtBackward",
    "SumBackward",
)
"""What makes nothing negative of what is not."""
JOINED = ("AddBackward", "CatBackward", "StackBackward", "MaximumBackward", "WhereBackward")
"""Likewise, of several terms."""
ERRORS = (
    *FUNCTIONS,
    "AbsBackward",
    "CdistBackward",
    "LinalgVectorNormBackward",
    "NormBackward",
    "ReluBackward",
    "SoftplusBackward",
)
"""Terms that are never negative."""


def is_error(root: Any) -> bool:
    """Whether all terms of a loss are distances, hinges, likelihoods or loss functions of torch's, weighted or not.

    What is weighted and a logarithm of a probability, as a policy's loss is, is none: likelihoods count alike.

    Args:
        root: node of autograd's graph at which a backward pass begins.
    """
    level: list[tuple[Any, float]] = [(root, 1.0)]
    seen, likelihoods = {root}, set[float]()
    while level:
        # By how much a term counts; NaN: each of its numbers by another.
        node, weight = level.pop()
        if node is None or len(seen) > MOST:
            return False
        name = operation(node)
        below = [each for each, _ in node.next_functions]
        if name in ERRORS or _is_clamped(node) or _is_squared(node):
            continue
        likely = name == "NegBackward" and _is_likelihood(below[0])
        # Or the logarithm of a sum over all answers, less that of the right one.
        if likely or (name == "SubBackward" and _is_normalizer(below[0])):
            likelihoods.add(weight)
            continue
        if name in ("MulBackward", "DivBackward"):
            factor = _factor(node)
            if factor is None:
                return False
            weight *= factor if name == "MulBackward" else 1 / factor if factor else math.nan
            below = [each for each in below if each is not None]
        elif name not in SHAPED and name not in JOINED:
            return False
        for each in below:
            # A constant that is added changes nothing of what is better.
            if each is not None and each not in seen:
                seen.add(each)
                level.append((each, weight))
    return not any(math.isnan(each) for each in likelihoods) and len({f"{each:.3g}" for each in likelihoods}) <= 1


def _factor(node: Any) -> float | None:
    """What another operand was multiplied or divided by; NaN: several numbers. None: it was not, or one is below 0."""
    if [each is not None for each, _ in node.next_functions].count(True) != 1:
        return None
    other = _other(node)
    if other is None:
        return None
    if isinstance(other, Tensor):
        if not other.numel() or not bool((other >= 0).all()):
            return None
        return float(other) if other.numel() == 1 else math.nan
    return float(other) if other >= 0 else None


def _other(node: Any) -> Any:
    """The operand that is no part of the graph; None where it was not kept."""
    return getattr(node, "_saved_other" if node.next_functions[0][0] is not None else "_saved_self", None)


def _is_squared(node: Any) -> bool:
    below = [each for each, _ in node.next_functions]
    if operation(node) == "PowBackward":
        return bool(node._saved_exponent in (2, 4))
    return operation(node) == "MulBackward" and len(below) == 2 and below[0] is below[1] and below[0] is not None


def _is_clamped(node: Any) -> bool:
    least = getattr(node, "_saved_min", None) if operation(node).startswith("Clamp") else None
    return least is not None and not isinstance(least, Tensor) and least >= 0


def _is_likelihood(node: Any) -> bool:
    """Whether a node is the mean logarithm of the probability of what was, of each sample alike."""
    for _ in range(MOST):
        name = operation(node)
        if name in ("LogSoftmaxBackward", "LogSigmoidBackward"):
            return True
        if name in ("MulBackward", "DivBackward"):
            # Divided by how many there are; multiplied by what adds up to one.
            factor = _factor(node) if name == "DivBackward" else None
            if not (_are_shares(node) if factor is None else math.isfinite(factor)):
                return False
        elif name not in SHAPED:
            return False
        node = next((each for each, _ in node.next_functions if each is not None), None)
        if node is None:
            return False
    return False


def _is_normalizer(node: Any) -> bool:
    while operation(node) in (*SHAPED, "WhereBackward"):
        node = next((each for each, _ in node.next_functions if each is not None), None)
    return operation(node) == "LogsumexpBackward"


def _are_shares(node: Any) -> bool:
    """Whether logarithms of probabilities are multiplied by shares that add up to 1 along their axis."""
    made: Any = next((each for each, _ in node.next_functions if each is not None), None)
    if operation(node) != "MulBackward" or operation(made) != "LogSoftmaxBackward" or _factor(node) is None:
        return False
    other = _other(node)
    axis = made._saved_dim - UNSIGNED if made._saved_dim >= UNSIGNED // 2 else made._saved_dim
    if not isinstance(other, Tensor) or other.shape != made._saved_result.shape:
        return False
    return bool(((other.sum(dim=axis) - 1).abs() < ROUNDING).all())
