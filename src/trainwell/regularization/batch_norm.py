"""Batch norm: the formula, and what a recipe does with its running statistics."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainwell.core.errors import DataError


class BatchNormResult(NamedTuple):
    """Outputs, and the running statistics after the pass."""

    outputs: Float[Tensor, "batch channels *places"]
    running_mean: Float[Tensor, " channels"]
    running_variance: Float[Tensor, " channels"]


def batch_norm(
    inputs: Float[Tensor, "batch channels *places"],
    *,
    running_mean: Float[Tensor, " channels"],
    running_variance: Float[Tensor, " channels"],
    weight: Float[Tensor, " channels"] | None = None,
    bias: Float[Tensor, " channels"] | None = None,
    training: bool,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> BatchNormResult:
    r"""Batch norm as a pure function: nothing is changed in place.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Training: mu and sigma^2 (biased) of the batch, over samples and places; the randomness is which samples stand
        together. Testing:
    the running averages instead, which the batch's differ from by order 1/sqrt(batch). The running variance averages
    the unbiased one.

    Args:
        inputs: activations.
        running_mean: averages so far.
        running_variance: likewise.
        weight: gamma, None for 1.
        bias: beta, None for 0.
        training: normalize by the batch; else by the running averages.
        momentum: weight of the new batch in the averages, 0 to 1.
        epsilon: >= 0, in squared units of the inputs.
    Returns:
        Outputs of the same shape, and the new averages (those given, in testing).
    Raises:
        DataError: training on one number a channel, whose variance is 0.
    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> batch_norm(torch.tensor([[1.0], [3.0]]), running_mean=zero, running_variance=one, training=True).outputs
        tensor([[-1.0000],
                [ 1.0000]])

    Source: notes, Regularization ("often L2 and Batch Normalization are the only regularizers"); Ioffe and Szegedy
        2015.
    """
    mean, variance = running_mean, running_variance
    if training:
        count = inputs.numel() // inputs.shape[1]
        if count < 2:
            raise DataError(
                f"Batch norm must see at least 2 numbers a channel in training, but got {count}. Take a larger batch."
            )
        axes = [0, *range(2, inputs.ndim)]
        mean, variance = inputs.mean(dim=axes), inputs.var(dim=axes, correction=0)
        running_mean = torch.lerp(running_mean, mean.detach(), momentum)
        running_variance = torch.lerp(running_variance, variance.detach() * count / (count - 1), momentum)
    view = (-1, *[1] * (inputs.ndim - 2))
    outputs = (inputs - mean.reshape(view)) * torch.rsqrt(variance + epsilon).reshape(view)
    if weight is not None:
        outputs = outputs * weight.reshape(view)
    if bias is not None:
        outputs = outputs + bias.reshape(view)
    return BatchNormResult(outputs, running_mean, running_variance)


@torch.no_grad()
def recompute_statistics(model: nn.Module, batches: Iterable[Float[Tensor, "batch *sample"]]) -> int:
    """Running statistics anew, as plain averages over batches: needed after weights are averaged or edited.

    Modes and momenta are as before afterwards. Only batch norms are put in training mode: dropout stays as the model
    has it in testing, which is how the statistics will be used.

    Args:
        model: changed in place (running statistics only).
        batches: inputs of the training split; two dozen of the usual batch size are enough.
    Returns:
        The number of batch norms that were recomputed; 0 reads no batch.
    Raises:
        DataError: no batches.
    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(1))
        >>> recompute_statistics(model, [torch.tensor([[1.0], [3.0]])])
        1
        >>> model[0].running_mean
        tensor([2.])

    Source: Izmailov et al. 2018 (weight averaging); torch.optim.swa_utils.update_bn, which keeps dropout
        on.
    """
    norms = [norm for norm in batch_norms(model) if norm.track_running_stats]
    if not norms:
        return 0
    modes = {module: module.training for module in model.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    saved = {norm: [buffer.clone() for buffer in norm.buffers()] for norm in norms}
    model.eval()
    seen = 0
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for batch in batches:
            model(batch)
            seen += 1
    finally:
        for module, mode in modes.items():
            module.training = mode
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        if not seen:
            for norm, buffers in saved.items():
                for buffer, before in zip(norm.buffers(), buffers):
                    buffer.copy_(before)
    if not seen:
        raise DataError(
            "Recomputing statistics needs at least one batch, but got none. Check that the batches are not used up."
        )
    return len(norms)


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """All batch norms of a model, of any dimension, synchronized ones too.

    Example:
        >>> len(batch_norms(nn.Sequential(nn.BatchNorm1d(2), nn.LayerNorm(2))))
        1
    """
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]
