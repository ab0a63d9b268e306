"""What a first loss should be where nothing was learnt yet: read off the node that made it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainwell.capture.losses import operation, sides_of

WEIGHTS = ("_saved_weight", "_saved_pos_weight")
MEAN = 1
"""Of a saved reduction: the mean over samples, which is compared with a mean."""
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


_READ: dict[str, Callable[[Any], tuple[Tensor, float, float]]] = {
    "NllLossBackward": _classes,
    "NllLoss2DBackward": _classes,
    "NllLossNdBackward": _classes,
    "BinaryCrossEntropyWithLogitsBackward": _yes_or_no,
    "BinaryCrossEntropyBackward": _probabilities,
    "MseLossBackward": _squares,
}
