"""What a first loss should be where nothing was learnt yet: read off the node that made it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainwell.capture.losses import VIEWS, compared_nodes, operation, sides_of

WEIGHTS = ("_saved_weight", "_saved_pos_weight")
MEAN = 1
"""Of a saved reduction: the mean over samples, which is compared with a mean."""
LINEAR = ("MeanBackward", "SumBackward", "DivBackward", "MulBackward", *VIEWS)
"""Between squared errors that are written by hand and their mean; a product with a mask is one."""
ROUNDING = 1e-3
"""Of a loss: what sums in float32 differ by."""
TINY = math.exp(-100.0)
"""torch takes no logarithm below -100."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A first loss beside what it should be.

    Attributes:
        measured: the loss.
        zero_output: the same loss at constant output zero.
        best_constant: at the best constant output.
        standard_error: of the first, from sample to sample.
    """

    measured: float
    zero_output: float
    best_constant: float
    standard_error: float


def expected_of(root: Tensor) -> Expected | None:
    """What a loss should be that nothing was learnt for yet.

    Only where the number is one loss function's own mean: no sum of several, no scale, no smoothing, no weights.

    Args:
        root: where a backward pass begins.
    Returns:
        None where it cannot be told.
    """
    node: Any = root.grad_fn
    if operation(node) in LINEAR and root.numel() == 1:
        return _written(root)
    read = _READ.get(operation(node))
    if read is None or root.numel() != 1 or getattr(node, "_saved_reduction", None) != MEAN:
        return None
    if read is _classes and node._saved_self.ndim < 2:
        # One sample alone has no spread.
        return None
    each, zero, best = read(node)
    if each.numel() < 2 or any(getattr(node, name, None) is not None for name in WEIGHTS):
        return None
    error = each.std(correction=1).item() / math.sqrt(each.numel())
    return Expected(
        measured=root.detach().item(), zero_output=zero, best_constant=min(best, zero), standard_error=error
    )


def _classes(node: Any) -> tuple[Tensor, float, float]:
    logarithms, targets = node._saved_self.double(), node._saved_target
    counted = targets != node._saved_ignore_index
    chosen = torch.where(counted, targets, torch.zeros_like(targets))
    each = -logarithms.gather(1, chosen.unsqueeze(1)).squeeze(1)[counted]
    classes = logarithms.shape[1]
    shares = torch.bincount(chosen[counted].flatten(), minlength=classes).double()
    shares = shares / shares.sum().clamp(min=1)
    return each, math.log(classes), -torch.xlogy(shares, shares).sum().item()


def _yes_or_no(node: Any) -> tuple[Tensor, float, float]:
    outputs, targets = node._saved_self.double(), node._saved_target.double()
    each = outputs.clamp(min=0) - outputs * targets + torch.log1p(torch.exp(-outputs.abs()))
    yes = targets.mean()
    return each.flatten(), math.log(2.0), -(torch.xlogy(yes, yes) + torch.xlogy(1 - yes, 1 - yes)).item()


def _probabilities(node: Any) -> tuple[Tensor, float, float]:
    made, targets = node._saved_self.double().clamp(TINY, 1 - TINY), node._saved_target.double()
    each = -(targets * made.log() + (1 - targets) * torch.log1p(-made))
    yes = targets.mean()
    return each.flatten(), math.log(2.0), -(torch.xlogy(yes, yes) + torch.xlogy(1 - yes, 1 - yes)).item()


def _squares(node: Any) -> tuple[Tensor, float, float]:
    sides = sides_of(node, "squared error")
    assert sides.outputs is not None
    assert sides.targets is not None
    outputs, targets = sides.outputs.double(), sides.targets.double()
    spread = targets.var(dim=0, correction=0).mean().item() if len(targets) > 1 else math.nan
    return (outputs - targets).square().flatten(), targets.square().mean().item(), spread


def _written(root: Tensor) -> Expected | None:
    """Squared errors by hand, of which nothing but a mean is taken, or a sum, where a mask may leave some out."""
    found = list(compared_nodes(root.grad_fn))
    if len(found) != 1 or found[0][1] != "squared error":
        return None
    sides = sides_of(*found[0])
    weights = _weights_above(root.grad_fn, found[0][0])
    if sides.outputs is None or sides.targets is None or weights is None or sides.targets.shape != sides.outputs.shape:
        return None
    outputs, targets = sides.outputs.double(), sides.targets.double()
    try:
        weights = weights.to(targets).expand_as(targets)
    except RuntimeError:
        return None
    total = weights.sum().item()
    if len(targets) < 2 or not total > 0 or (weights < 0).any():
        return None
    measured = root.detach().item()
    each = (outputs - targets).square()
    mean = (each * weights).sum().item() / total
    # What is left between is one factor.
    factor = measured / mean if mean > 0 else math.nan
    uniform = bool((weights == weights.flatten()[0]).all())
    if not factor > 0 or (not uniform and abs(factor - 1) > ROUNDING):
        return None
    by_place = weights.sum(dim=0).clamp(min=1e-12)
    centre = (targets * weights).sum(dim=0) / by_place
    spread = ((targets - centre).square() * weights).sum().item() / total
    zero = (targets.square() * weights).sum().item() / total
    counted = each[weights > 0]
    error = counted.std(correction=1).item() / math.sqrt(counted.numel()) if counted.numel() > 1 else math.nan
    return Expected(
        measured=measured,
        zero_output=factor * zero,
        best_constant=factor * min(spread, zero),
        standard_error=factor * error,
    )


def _weights_above(node: Any, squares: Any) -> Tensor | None:
    """What the squares are multiplied with on the way up to a mean; None: something else happens there."""
    weights = torch.ones(())
    while node is not squares:
        if operation(node) not in LINEAR:
            return None
        below = [each for each, _ in node.next_functions if each is not None]
        if len(below) != 1:
            return None
        if operation(node) == "MulBackward":
            try:
                first, second = node._saved_self, node._saved_other
            except RuntimeError:
                return None
            factor = second if isinstance(second, Tensor) and not second.requires_grad else first
            if isinstance(factor, Tensor) and factor.numel() > 1:
                weights = weights * factor.detach().double()
        node = below[0]
    return weights


_READ: dict[str, Callable[[Any], tuple[Tensor, float, float]]] = {
    "NllLossBackward": _classes,
    "NllLoss2DBackward": _classes,
    "NllLossNdBackward": _classes,
    "BinaryCrossEntropyWithLogitsBackward": _yes_or_no,
    "BinaryCrossEntropyBackward": _probabilities,
    "MseLossBackward": _squares,
}
