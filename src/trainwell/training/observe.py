"""The one place that measures a network: its outputs and scores in test mode, and its layers on one batch."""

import copy
import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from trainwell.anatomy import capture, trace
from trainwell.core.records.evidence import LayerStatistic
from trainwell.core.records.layer import LayerInfo
from trainwell.core.records.layout import OutputLayout
from trainwell.core.records.trial import Precision, Score
from trainwell.core.seeds import seeded
from trainwell.training.batches import Batch
from trainwell.training.loop import autocast
from trainwell.training.objective import score

EVALUATION_BATCH = 1000
# A slope under a tenth of the largest passes under a tenth of the gradient: sigmoid's largest is 1/4, tanh's 1.
SATURATED_BELOW = 0.1


def outputs(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    index: Int[Tensor, " chosen"],
    *,
    precision: Precision = "float32",
    device: str = "cpu",
    views: Callable[[Tensor], Iterator[Tensor]] | None = None,
) -> Float[Tensor, "chosen outputs"]:
    """Test-mode outputs for some samples; the model's mode is as before.

    Args:
        model: the network.
        inputs: all samples.
        index: which.
        precision: of the forward pass.
        device: where the model is.
        views: gives several views of a batch, whose outputs are averaged (test-time averaging).
    Returns:
        Outputs in float32 on the CPU, in the order of `index`.
    """
    was_training = model.training
    model.eval()
    found = []
    with torch.inference_mode(), autocast(precision, device):
        for chosen in torch.split(index, EVALUATION_BATCH):
            batch = inputs[chosen].to(device)
            if views is None:
                found.append(model(batch).float().cpu())
            else:
                seen = [model(view).float() for view in views(batch)]
                found.append(torch.stack(seen).mean(dim=0).cpu())
    model.train(was_training)
    return torch.cat(found).clone()


def evaluate(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    index: Int[Tensor, " chosen"],
    output: OutputLayout,
    *,
    precision: Precision = "float32",
    device: str = "cpu",
    views: Callable[[Tensor], Iterator[Tensor]] | None = None,
) -> Score:
    """Loss and metric in test mode on some samples: `score(outputs(...))`."""
    found = outputs(model, inputs, index, precision=precision, device=device, views=views)
    return score(found, targets[index], output)


def observe_layers(
    model: nn.Module, batch: Batch, loss: Callable[[Tensor, Tensor], Tensor], *, seed: int = 0
) -> tuple[float, float, tuple[LayerStatistic, ...]]:
    """A network's loss, outputs and layers on one batch, dropout off and batch norm as in training.

    Args:
        model: left as it is; a copy is run.
        batch: inputs and targets.
        loss: (outputs, targets) -> scalar.
        seed: of whatever the model still draws.
    Returns:
        The loss, the standard deviation of the outputs, and one statistic a weighted layer in execution order.
    """
    inputs, targets = batch
    copied = copy.deepcopy(model)
    layers = trace(copied, inputs)
    with seeded(seed, "observe"):
        kept = capture(copied, inputs, [layer.name for layer in layers if _is_module(layer)], training=True)
        set_dropout(copied, layers, training=False)
        outputs = copied(inputs)
        value = loss(outputs, targets)
        weights = {
            layer.name: parameter
            for layer in layers
            if layer.is_weighted and layer.weights
            for name, parameter in copied.named_parameters(remove_duplicate=False)
            if name == layer.weights[0] and parameter.requires_grad
        }
        found = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
    gradients = dict(zip(weights, found, strict=True))
    statistics = []
    for position, layer in enumerate(layers):
        if not layer.is_weighted or not layer.calls or not kept.get(layer.name):
            continue
        output = kept[layer.name][0].float()
        activated = _activated(layers, position, kept)
        gradient = gradients.get(layer.name)
        statistics.append(
            LayerStatistic(
                name=layer.name,
                kind=layer.kind,
                activation=layer.activation or "",
                mean=output.mean().item(),
                std=output.std(correction=0).item(),
                dead=_dead_share(activated) if layer.activation == "relu" else 0.0,
                saturated=_saturated_share(activated, layer.activation),
                gradient_std=math.nan if gradient is None else gradient.float().std(correction=0).item(),
            )
        )
    return value.item(), outputs.detach().float().std(correction=0).item(), tuple(statistics)


def set_dropout(model: nn.Module, layers: tuple[LayerInfo, ...], *, training: bool) -> None:
    """Put the dropout layers alone into training or test mode, the rest into training mode."""
    modules = dict(model.named_modules())
    model.train()
    for layer in layers:
        if layer.role == "dropout" and not layer.functional:
            modules[layer.name].training = training


def _is_module(layer: LayerInfo) -> bool:
    return not layer.functional and layer.calls > 0 and (layer.is_weighted or layer.role == "activation")


def _activated(layers: tuple[LayerInfo, ...], position: int, kept: dict[str, tuple[Tensor, ...]]) -> Tensor | None:
    """The output of the activation that follows a layer: its module's, or computed where it is a function's."""
    layer = layers[position]
    if layer.activation is None:
        return None
    for later in layers[position + 1 :]:
        if later.is_weighted:
            break
        if later.role == "activation" and not later.functional and kept.get(later.name):
            return kept[later.name][0].float()
    functions = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    if layer.followed_by and layer.followed_by[0] in functions:
        return functions[layer.followed_by[0]](kept[layer.name][0].float())
    return None


def _dead_share(activated: Tensor | None) -> float:
    """Share of units (channels of an image, features otherwise) that are 0 for every sample and position."""
    if activated is None or activated.ndim < 2:
        return 0.0
    unit = 1 if activated.ndim == 4 else activated.ndim - 1
    others = [axis for axis in range(activated.ndim) if axis != unit]
    return (activated.abs().amax(dim=others) == 0).double().mean().item()


def _saturated_share(activated: Tensor | None, activation: str | None) -> float:
    if activated is None:
        return 0.0
    if activation == "sigmoid":
        return (4 * activated * (1 - activated) < SATURATED_BELOW).double().mean().item()
    if activation == "tanh":
        return (1 - activated.square() < SATURATED_BELOW).double().mean().item()
    return 0.0
