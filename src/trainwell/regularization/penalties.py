"""Penalties on the size of the weights: added to the loss, or taken off the weights themselves."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import UninitializedParameter

from trainwell.core.errors import ModelError, SettingError

# _NormBase is batch and instance norm of every dimension; torch has no public name for them together.
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def l1_penalty(parameters: Iterable[Float[Tensor, "..."]], *, strength: float) -> Float[Tensor, ""]:
    r"""L1: the sum of absolute weights, which pulls each towards 0 with the same force.

    .. math:: \lambda \sum_i |w_i|

    Args:
        parameters: the weights, such as the decayed group of `parameter_groups`.
        strength: lambda, loss per unit of weight, >= 0.
    Returns:
        A scalar to add to the loss.
    Raises:
        SettingError: strength is outside its range, or there are no parameters.
    Example:
        >>> l1_penalty([torch.tensor([3.0, -4.0])], strength=0.1)
        tensor(0.7000)

    Source: notes, Regularization (penalties); Tibshirani 1996.
    """
    return elastic_net_penalty(parameters, l1=strength, l2=0.0)


def l2_penalty(parameters: Iterable[Float[Tensor, "..."]], *, strength: float) -> Float[Tensor, ""]:
    r"""L2: half the sum of squared weights, whose gradient is lambda w, as torch.optim.SGD's weight_decay adds it.

    .. math:: \frac{\lambda}{2} \sum_i w_i^2

    Args:
        parameters: the weights, such as the decayed group of `parameter_groups`.
        strength: lambda, loss per squared unit of weight, >= 0.
    Returns:
        A scalar to add to the loss.
    Raises:
        SettingError: strength is outside its range, or there are no parameters.
    Example:
        >>> l2_penalty([torch.tensor([3.0, -4.0])], strength=0.1)
        tensor(1.2500)

    Source: notes, Regularization (penalties); Krogh and Hertz 1991.
    """
    return elastic_net_penalty(parameters, l1=0.0, l2=strength)


def elastic_net_penalty(parameters: Iterable[Float[Tensor, "..."]], *, l1: float, l2: float) -> Float[Tensor, ""]:
    r"""Elastic net: L1 and L2 together.

    .. math:: \lambda_1 \sum_i |w_i| + \frac{\lambda_2}{2} \sum_i w_i^2

    Args:
        parameters: the weights, such as the decayed group of `parameter_groups`.
        l1: lambda_1, >= 0.
        l2: lambda_2, >= 0.
    Returns:
        A scalar to add to the loss, summed in float32 at least.
    Raises:
        SettingError: a strength is outside its range, or there are no parameters.
    Example:
        >>> elastic_net_penalty([torch.tensor([3.0, -4.0])], l1=0.1, l2=0.1)
        tensor(1.9500)

    Source: notes, Regularization (penalties); Zou and Hastie 2005.
    """
    weights = list(parameters)
    _check(weights, l1=l1, l2=l2)
    terms = []
    for weight in weights:
        wide = weight if weight.dtype == torch.float64 else weight.float()
        if l1:
            terms.append(l1 * wide.abs().sum())
        if l2:
            terms.append(l2 / 2 * wide.square().sum())
    return torch.stack(terms).sum() if terms else torch.zeros((), device=weights[0].device)


@torch.no_grad()
def couple_decay(parameters: Iterable[Float[Tensor, "..."]], *, weight_decay: float) -> None:
    r"""Coupled L2: add the penalty's gradient to the gradients, before the optimizer's step.

    .. math:: g \leftarrow g + \lambda w

    What torch.optim.SGD and Adam do by themselves with weight_decay. In Adam it is then divided by the gradient's
    size, so that
    weights with large gradients are decayed less than the others: there decouple it.

    Args:
        parameters: the weights; those without gradient are passed over.
        weight_decay: lambda, >= 0.
    Raises:
        SettingError: weight_decay is outside its range, or there are no parameters.
    Example:
        >>> weight = torch.tensor([2.0], requires_grad=True)
        >>> weight.grad = torch.tensor([1.0])
        >>> couple_decay([weight], weight_decay=0.5)
        >>> weight.grad
        tensor([2.])

    Source: notes, Regularization (penalties); Loshchilov and Hutter 2019, algorithms 1 and 2 (pink).
    """
    weights = list(parameters)
    _check(weights, weight_decay=weight_decay)
    for weight in weights:
        if weight.grad is not None:
            weight.grad.add_(weight, alpha=weight_decay)


@torch.no_grad()
def decouple_decay(parameters: Iterable[Float[Tensor, "..."]], *, weight_decay: float, lr: float) -> None:
    r"""Decoupled L2: shrink the weights themselves, before the optimizer's step.

    .. math:: w \leftarrow (1 - \eta \lambda) w

    What torch.optim.AdamW does by itself with weight_decay (lambda there is multiplied by the rate, as here; the
    paper's is not).

    Args:
        parameters: the weights; those without gradient are passed over.
        weight_decay: lambda, >= 0.
        lr: eta, >= 0.
    Raises:
        SettingError: an argument is outside its range, or there are no parameters.
    Example:
        >>> weight = torch.tensor([2.0], requires_grad=True)
        >>> weight.grad = torch.tensor([1.0])
        >>> decouple_decay([weight], weight_decay=0.5, lr=0.1)
        >>> weight.detach()
        tensor([1.9000])

    Source: notes, Regularization (penalties); Loshchilov and Hutter 2019, algorithms 1 and 2 (green).
    """
    weights = list(parameters)
    _check(weights, weight_decay=weight_decay, lr=lr)
    for weight in weights:
        if weight.grad is not None:
            weight.mul_(1 - lr * weight_decay)


def parameter_groups(model: nn.Module, *, weight_decay: float, decay_embeddings: bool = False) -> list[dict[str, Any]]:
    """Parameters for an optimizer: weights decay, norms and biases do not.

    Not decayed: parameters of batch, instance, group, layer and RMS norms, biases, every parameter of at most one axis
        (slopes of
    PReLU, scales), and embeddings: a row that is rarely seen would fade. Shared parameters stand once, and do not
    decay if any of their places says so; frozen ones (requires_grad False) are left out.

    Args:
        model: any module tree.
        weight_decay: for the weights, >= 0.
        decay_embeddings: treat embeddings as weights.
    Returns:
        One or two groups, {"params", "weight_decay", "name"}, named "decayed" and "undecayed"; an empty one is left
        out.
    Raises:
        SettingError: weight_decay is outside its range.
        ModelError: nothing to train, or lazy parameters that have no shape yet.
    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
        >>> [(group["name"], len(group["params"])) for group in parameter_groups(model, weight_decay=0.01)]
        [('decayed', 2), ('undecayed', 4)]

    Source: notes, Regularization (penalties); no decay on norms and biases: Goyal et al. 2017, section 5.1; He et al.
        2019, section 3.1.
    """
    _check([torch.zeros(())], weight_decay=weight_decay)
    decays: dict[nn.Parameter, bool] = {}
    for prefix, module in model.named_modules():
        exempt = isinstance(module, NORMS) or (
            isinstance(module, nn.Embedding | nn.EmbeddingBag) and not decay_embeddings
        )
        for name, parameter in module.named_parameters(recurse=False):
            if isinstance(parameter, UninitializedParameter):
                raise ModelError(
                    f"Every parameter must have its shape, but {prefix}.{name} is lazy. Run one batch through "
                    "the model first."
                )
            if parameter.requires_grad:
                wanted = not exempt and parameter.ndim > 1 and not name.endswith("bias")
                decays[parameter] = wanted and decays.get(parameter, True)
    if not decays:
        raise ModelError("A model must have parameters that require gradients, but this one has none. Unfreeze some.")
    groups = {"decayed": (weight_decay, True), "undecayed": (0.0, False)}
    made = [
        {"params": [one for one, decayed in decays.items() if decayed == wanted], "weight_decay": decay, "name": name}
        for name, (decay, wanted) in groups.items()
    ]
    return [group for group in made if group["params"]]


def _check(weights: list[Tensor], **strengths: float) -> None:
    faults = [
        f"`{name} >= 0` must hold, but got {value}. Give a finite number, 0 for none."
        for name, value in strengths.items()
        if not (math.isfinite(value) and value >= 0)
    ]
    if not weights:
        faults.append("There must be parameters, but got none. Pass a list: a generator is used up after one pass.")
    if faults:
        raise SettingError(" ".join(faults))
