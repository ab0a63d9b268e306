"""One thing of somebody's training changed from outside: the rate of its steps, or the scale of its inputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from trainwell.core.records.forks import Fork

CHANNELS = (1, 3, 4)
"""Of pictures, where they stand before rows and columns."""


@contextmanager
def changed(fork: Fork) -> Iterator[None]:
    """While this is entered, every training goes on with the change.

    Args:
        fork: what is changed; its values are not read.
    """
    handles = _rate(fork.factor) if fork.changed == "learning rate" else _standardized()
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def by_feature(numbers: Tensor) -> Tensor:
    """Inputs (samples, ...) as (features, values): channels of pictures, the last axis of all else."""
    return numbers.transpose(0, _feature_axis(numbers)).flatten(1)


def _feature_axis(numbers: Tensor) -> int:
    return 1 if numbers.ndim == 4 and numbers.shape[1] in CHANNELS else numbers.ndim - 1


def _rate(factor: float) -> list[Any]:
    """Each step is taken at so many times its rate; what the script reads between steps is its own."""
    rates: list[Any] = []

    def before(optimizer: Optimizer, _args: Any, _options: Any) -> None:
        rates[:] = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * factor

    def after(optimizer: Optimizer, _args: Any, _options: Any) -> None:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    return [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]


def _standardized() -> list[Any]:
    """The first network with weights sees each feature with mean 0 and deviation 1, by its first batch."""
    state: dict[str, Any] = {}

    def before(module: nn.Module, inputs: Any) -> Any:
        if not state:
            if not any(True for _ in module.parameters()):
                return None
            state["module"] = module
        if state["module"] is not module or not inputs or not _is_numbers(inputs[0]):
            return None
        given = inputs[0]
        if "mean" not in state:
            state["mean"], state["scale"] = _statistics(given)
        return ((given - state["mean"].to(given)) / state["scale"].to(given), *inputs[1:])

    return [nn.modules.module.register_module_forward_pre_hook(before)]


def _is_numbers(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1


def _statistics(given: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature, in shapes that fit the inputs; what does not vary keeps its scale."""
    rows = by_feature(given.detach().double())
    mean, deviation = rows.mean(dim=1), rows.std(dim=1, correction=0)
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    shape = [1] * given.ndim
    shape[_feature_axis(given)] = -1
    return mean.view(shape), scale.view(shape)
