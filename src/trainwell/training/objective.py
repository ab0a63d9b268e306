"""What is minimized, and what is reported."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from trainwell.core.errors import DataError
from trainwell.core.records.layout import OutputLayout
from trainwell.core.records.trial import Score


@dataclass(frozen=True, kw_only=True)
class Objective:
    r"""The loss of a batch, in training.

    Classification: cross-entropy with label smoothing, :math:`-\sum_c q_c \log p_c` in nats. Regression: mean squared
    error of standardized targets, so that the best constant has loss 1. Outputs of several members
    (batch, members, outputs) are each held to the same targets, and their losses averaged.

    Attributes:
        output: what the network returns.
        label_smoothing: share of the target spread over all classes, in [0, 1).
    """

    output: OutputLayout
    label_smoothing: float = 0.0

    def __call__(self, outputs: Float[Tensor, "batch *members outputs"], targets: Shaped[Tensor, "..."]) -> Tensor:
        """The mean loss of a batch.

        Args:
            outputs: logits, or standardized predictions.
            targets: class index (batch,), class probabilities (batch, classes), or raw targets (batch, targets).
        Returns:
            A scalar in float32.
        """
        outputs = outputs.float()
        if outputs.ndim == 3:
            targets = targets.repeat_interleave(outputs.shape[1], dim=0)
            outputs = outputs.flatten(0, 1)
        if self.output.task == "classification":
            return functional.cross_entropy(outputs, targets, label_smoothing=self.label_smoothing)
        return functional.mse_loss(outputs, standardize(targets, self.output))

    @property
    def plain(self) -> "Objective":
        """The same without label smoothing: what is compared between trainings."""
        return Objective(output=self.output)


def standardize(targets: Float[Tensor, "batch targets"], output: OutputLayout) -> Float[Tensor, "batch targets"]:
    """Raw targets in units of their standard deviation on the training part."""
    means = torch.tensor(output.means, device=targets.device, dtype=targets.dtype)
    stds = torch.tensor(output.stds, device=targets.device, dtype=targets.dtype)
    return (targets - means) / stds


def unstandardize(outputs: Float[Tensor, "batch targets"], output: OutputLayout) -> Float[Tensor, "batch targets"]:
    """Predictions in the units of the raw targets."""
    means = torch.tensor(output.means, device=outputs.device, dtype=outputs.dtype)
    stds = torch.tensor(output.stds, device=outputs.device, dtype=outputs.dtype)
    return outputs * stds + means


def accuracy(logits: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]) -> float:
    """Share of samples whose largest logit is the target's, in [0, 1]."""
    return (logits.argmax(dim=-1) == targets).double().mean().item()


def r2(outputs: Float[Tensor, "batch targets"], targets: Float[Tensor, "batch targets"]) -> float:
    r"""Coefficient of determination, averaged over targets.

    .. math:: R^2 = 1 - \\sum (y - \\hat y)^2 / \\sum (y - \\bar y)^2

    A constant target counts 1 where it is met exactly and 0 otherwise.

    Args:
        outputs: predictions, in the same units as the targets.
        targets: truth.
    Returns:
        R², at most 1; 0 is the best constant.
    """
    residual = (targets - outputs).double().square().sum(dim=0)
    total = (targets.double() - targets.double().mean(dim=0)).square().sum(dim=0)
    ratio = torch.where(total > 0, residual / total.clamp(min=torch.finfo(torch.float64).tiny), (residual > 0).double())
    return (1.0 - ratio).mean().item()


def score(outputs: Float[Tensor, "batch outputs"], targets: Shaped[Tensor, "..."], output: OutputLayout) -> Score:
    """Loss and metric of test-mode outputs.

    Args:
        outputs: logits, or standardized predictions.
        targets: class index (batch,), or raw targets (batch, targets).
        output: what the network returns.
    Returns:
        Cross-entropy and accuracy, or standardized mean squared error and R².
    Raises:
        DataError: no samples.
    """
    if len(targets) == 0:
        raise DataError("A score needs at least one sample, but got none.")
    loss = Objective(output=output)(outputs, targets).item()
    if output.task == "classification":
        return Score(loss=loss, metric=accuracy(outputs, targets))
    return Score(loss=loss, metric=r2(outputs.float(), standardize(targets, output)))
