"""The one training loop: a generator of records."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trainwell.core.records.trial import Precision
from trainwell.core.seeds import seeded
from trainwell.training.averaging import Averaging
from trainwell.training.batches import Batch


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One optimizer step.

    Attributes:
        step: steps taken, this one included.
        lr: learning rate of this step.
        loss: of its batch, detached; a tensor, since reading it would make a GPU wait.
    """

    step: int
    lr: float
    loss: Tensor


def autocast(precision: Precision, device: str) -> AbstractContextManager[object]:
    """The forward pass's precision as a context."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def train(
    model: nn.Module,
    batches: Callable[[int], Batch],
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    schedule: Callable[[int], float],
    start_step: int = 0,
    until_step: int,
    seed: int,
    precision: Precision = "float32",
    device: str = "cpu",
    clip: float = 0.0,
    averaging: Averaging | None = None,
) -> Iterator[StepRecord]:
    """Train, and yield a record after each optimizer step.

    Every step draws from a generator seeded by `seed` and the step number, so that a training which is stopped and
    continued is the one which was not.

    Args:
        model: in training mode while a step is taken; changed in place.
        batches: optimizer step -> batch.
        loss: (outputs, targets) -> scalar.
        optimizer: of the model's parameters. A group's `lr_factor` (default 1) multiplies the schedule's rate.
        schedule: optimizer step -> learning rate.
        start_step: steps taken before.
        until_step: steps taken after.
        seed: of what the model draws (dropout).
        precision: of the forward pass.
        device: where the model is.
        clip: largest norm of the gradient; 0 is off.
        averaging: told after each step.
    Yields:
        One record a step.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for step in range(start_step, until_step):
        lr = schedule(step)
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("lr_factor", 1.0)
        model.train()
        inputs, targets = batches(step)
        optimizer.zero_grad(set_to_none=True)
        with seeded(seed, "step", step):
            with autocast(precision, device):
                outputs = model(inputs)
            value = loss(outputs, targets)
            torch.autograd.backward(value)
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        if averaging is not None:
            averaging.update()
        yield StepRecord(step=step + 1, lr=lr, loss=value.detach())
