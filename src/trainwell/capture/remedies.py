"""Remedies as changes of a Setup: each makes another one, and leaves the first as it is."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from trainwell.capture.given import Setup, begin, draws_kept, usual_loss
from trainwell.capture.interventions import feature_statistics, redraw
from trainwell.core.records.finding import Finding
from trainwell.diagnosis.wording import number

SQUASHING = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.Tanh, nn.ReLU)
"""Modules that are taken away before a loss."""
DROPOUT = nn.modules.dropout._DropoutNd


class Standardized(nn.Module):
    """A network whose input has mean 0 and deviation 1 in each feature, by the batch that it was made with.

    Args:
        model: the network.
        batch: inputs (samples, ...); channels are a picture's features.
    """

    def __init__(self, model: nn.Module, batch: Tensor) -> None:
        super().__init__()
        self.model = model
        mean, deviation = feature_statistics(batch)
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", deviation.float())

    def forward(self, x: Tensor, *others: Any) -> Any:
        """What the network makes of the standardized input."""
        mean, deviation = self.get_buffer("mean"), self.get_buffer("deviation")
        return self.model((x - mean.to(x)) / deviation.to(x), *others)


def remedied(setup: Setup, finding: Finding) -> Setup | None:
    """A Setup with a finding's remedy, and what it changed added to its `patch`.

    Args:
        setup: stays as it is.
        finding: of a check of it.
    Returns:
        None where the remedy is for the author to carry out.
    """
    change = REMEDIES.get(finding.code)
    if change is None and finding.confirmed_by is not None:
        change = BY_FORK.get(finding.confirmed_by.fork)
    made = change(setup, finding) if change else None
    if made is None:
        return None
    changed, said = made
    return replace(changed, patch=(*setup.patch, f"{finding.code}: {said}"))


_Made = tuple[Setup, str] | None


def _copied(setup: Setup) -> tuple[Setup, nn.Module]:
    """With copies of network and optimizer, so that both may be changed."""
    training = begin(setup)
    return replace(setup, model=training.model, optimizer=training.optimizer), training.model


def _rate(setup: Setup, finding: Finding) -> _Made:
    factor = finding.evidence.get("factor")
    if factor is None:
        return None
    changed, _ = _copied(setup)
    optimizer: Any = changed.optimizer
    groups = optimizer.param_groups
    for group in groups:
        group["lr"] = group["lr"] * factor
    return changed, f"the learning rate is {number(factor)} times as high, {number(groups[0]['lr'])}."


def _redrawn(setup: Setup, _finding: Finding) -> _Made:
    inputs = _first_inputs(setup)
    if inputs is None:
        return None
    changed, model = _copied(setup)
    redraw(model, inputs)
    return changed, "the weights are drawn anew, for the activations behind them."


def _standardized(setup: Setup, _finding: Finding) -> _Made:
    inputs = _first_inputs(setup)
    if inputs is None or not inputs[0].is_floating_point() or inputs[0].ndim < 2:
        return None
    changed, model = _copied(setup)
    wrapped = Standardized(model, inputs[0])
    return replace(changed, model=wrapped), "each feature of the input is brought to mean 0 and deviation 1."


def _undecayed(setup: Setup, _finding: Finding) -> _Made:
    changed, model = _copied(setup)
    for each in model.modules():
        if isinstance(each, DROPOUT):
            each.p = 0.0
    optimizer: Any = changed.optimizer
    for group in optimizer.param_groups:
        if "weight_decay" in group:
            group["weight_decay"] = 0.0
    return changed, "there is no weight decay and no dropout."


def _given(setup: Setup, _finding: Finding) -> _Made:
    changed, model = _copied(setup)
    optimizer: Any = changed.optimizer
    known = {id(each) for group in optimizer.param_groups for each in group["params"]}
    missing = [each for each in model.parameters() if each.requires_grad and id(each) not in known]
    if not missing:
        return None
    optimizer.add_param_group({"params": missing})
    return changed, f"the optimizer has {len(missing)} more parameters: all that want a gradient."


def _cleared(setup: Setup, _finding: Finding) -> _Made:
    own = setup.step
    if own is None:
        return None

    def step(model: nn.Module, batch: Any, loss: Callable[..., Any], optimizer: Any) -> Any:
        optimizer.zero_grad()
        return own(model, batch, loss, optimizer)

    return replace(setup, step=step), "`optimizer.zero_grad()` stands at the beginning of each step."


def _in_training(setup: Setup, _finding: Finding) -> _Made:
    with draws_kept(setup.train, setup.val):
        own = begin(setup).step

    def step(model: nn.Module, batch: Any, loss: Callable[..., Any], optimizer: Any) -> Any:
        model.train()
        return own(model, batch, loss, optimizer)

    return replace(setup, step=step), "`model.train()` stands at the beginning of each step."


def _without_activation(setup: Setup, finding: Finding) -> _Made:
    name = finding.where.layer
    changed, model = _copied(setup)
    held = dict(model.named_modules()).get(name or "")
    if not name or not isinstance(held, SQUASHING):
        return None
    model.set_submodule(name, nn.Identity())
    return changed, f'"{name}" ({type(held).__name__}) is taken away: the loss is given what came before it.'


def _in_one_shape(setup: Setup, _finding: Finding) -> _Made:
    own = setup.loss or usual_loss
    if setup.step is not None or hasattr(setup.model, "training_step"):
        # They bring their own loss.
        return None

    def loss(outputs: Tensor, targets: Tensor) -> Any:
        fits = outputs.shape != targets.shape and outputs.numel() == targets.numel()
        return own(outputs, targets.reshape(outputs.shape) if fits else targets)

    return replace(setup, loss=loss), "the targets have the outputs' shape."


def _first_inputs(setup: Setup) -> tuple[Any, ...] | None:
    """What the network is given first; None where it is a mapping."""
    batch = next(begin(setup).batches)
    if isinstance(batch, Mapping) or not isinstance(batch, tuple | list) or not isinstance(batch[0], Tensor):
        return None
    return tuple(copy.copy(each) for each in batch[:-1])


REMEDIES: dict[str, Callable[[Setup, Finding], _Made]] = {
    "ACT006": _without_activation,
    "OPT002": _rate,
    "OPT003": _rate,
    "OPT006": _given,
    "OPT008": _cleared,
    "OPT009": _in_training,
    "OPT016": _in_one_shape,
    "REG004": _undecayed,
}
"""Code -> how its remedy changes a Setup."""
BY_FORK: dict[str, Callable[[Setup, Finding], _Made]] = {
    "redrawn weights": _redrawn,
    "standardized input": _standardized,
    "no weight decay or dropout": _undecayed,
}
"""What confirmed a finding -> how that is made to last."""
