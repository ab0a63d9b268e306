"""From hyperparameters to an optimizer and its schedule."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.regularization import parameter_groups
from trainwell.schedules import WarmupStableDecay


def build_optimizer(
    model: nn.Module, hyperparameters: Hyperparameters, *, lr_factors: Mapping[str, float] | None = None
) -> Optimizer:
    """The optimizer of a network.

    AdamW's decay is decoupled (a share lr x weight_decay of each weight a step), SGD's is coupled L2; neither touches
    norms and biases.

    Args:
        model: whose parameters that require a gradient are optimized.
        hyperparameters: `optimization` and `regularization.weight_decay` are read.
        lr_factors: parameter name -> factor on the learning rate; 1 where not named.
    Returns:
        The optimizer; each group has `lr_factor`, which the loop multiplies the schedule's rate by.
    Source: Loshchilov and Hutter 2019 (decoupled decay).
    """
    settings = hyperparameters.optimization
    factor_of = {id(parameter): (lr_factors or {}).get(name, 1.0) for name, parameter in model.named_parameters()}
    groups = []
    for group in parameter_groups(model, weight_decay=hyperparameters.regularization.weight_decay):
        by_factor = defaultdict(list)
        for parameter in group["params"]:
            by_factor[factor_of[id(parameter)]].append(parameter)
        groups += [
            {**group, "params": parameters, "lr_factor": factor} for factor, parameters in sorted(by_factor.items())
        ]
    # One fused kernel a step instead of a dozen: the optimizer's share of a small network's step falls from a third.
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.momentum > 0, fused=True
        )
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.momentum, settings.beta2), fused=True)


def build_schedule(hyperparameters: Hyperparameters, *, total_steps: int, decay_from: int) -> WarmupStableDecay:
    """The learning rate by optimizer step: warm-up, constant, and from `decay_from` on a tail that ends at 0.

    Args:
        hyperparameters: `optimization.lr` and `schedule` are read.
        total_steps: length of the training.
        decay_from: first step of the tail; `total_steps` for none.
    """
    warmup_steps = min(round(hyperparameters.schedule.warmup_fraction * total_steps), max(decay_from - 1, 0))
    tail = decay_from < total_steps and hyperparameters.schedule.decay != "constant"
    return WarmupStableDecay(
        peak_lr=hyperparameters.optimization.lr,
        total_steps=total_steps if tail else None,
        warmup_steps=warmup_steps,
        tail_start_step=decay_from if tail else None,
        shape="sqrt" if hyperparameters.schedule.decay == "sqrt" else "linear",
    )
