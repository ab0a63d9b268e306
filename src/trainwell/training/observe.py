"""The one place that measures a network: its outputs and scores in test mode, and its layers on one batch."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
# Units count as alike where they differ by less than this share of the layer's largest number.
ALIKE = 1e-5
# Samples that are enough to see which layers there are.
TRACED = 8
# Parts of the batch whose losses say how far the whole's is known.
CHUNKS = 10


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
) -> "ObservedLayers":
    """A network's loss, outputs and layers on one batch, dropout off and batch norm as in training.

    Args:
        model: left as it is; a copy is run.
        batch: inputs and targets.
        loss: (outputs, targets) -> scalar.
        seed: of whatever the model still draws.
    Returns:
        What was seen.
    """
    inputs, targets = batch
    copied = copy.deepcopy(model)
    layers = trace(copied, inputs[:TRACED])
    modules = dict(copied.named_modules())
    first = next((layer for layer in layers if layer.is_weighted and _is_module(layer)), None)
    received: list[Tensor] = []
    if first is not None:
        modules[first.name].register_forward_pre_hook(
            lambda _, given: received.extend(each.detach() for each in given[:1] if isinstance(each, Tensor))
        )
    with seeded(seed, "observe"):
        kept = capture(copied, inputs, [layer.name for layer in layers if _is_module(layer)], training=True)
        set_dropout(copied, layers, training=False)
        received.clear()
        outputs = copied(inputs)
        value = loss(outputs, targets)
        with torch.no_grad():
            chunks = [loss(o, t) for o, t in zip(outputs.chunk(CHUNKS), targets.chunk(CHUNKS), strict=True)]
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
        statistics.append(
            layer_statistic(
                layer,
                kept[layer.name][0].float(),
                activated_output(layers, position, kept),
                weight=weights.get(layer.name),
                gradient=gradients.get(layer.name),
            )
        )
    spread = torch.stack(chunks).float().std(correction=1).item() if len(chunks) > 1 else 0.0
    entering = received[0].float() if received else torch.zeros(0)
    return ObservedLayers(
        loss=value.item(),
        standard_error=spread / math.sqrt(len(chunks)),
        output_std=outputs.detach().float().std(correction=0).item(),
        layers=tuple(statistics),
        input_not_finite=(~entering.isfinite()).double().mean().item() if entering.numel() else 0.0,
        input_offset=input_offset(entering),
    )


def layer_statistic(
    layer: LayerInfo,
    output: Tensor,
    activated: Tensor | None,
    *,
    weight: Tensor | None,
    gradient: Tensor | None,
) -> LayerStatistic:
    """A weighted layer on one batch, in numbers.

    Args:
        layer: that `trace` saw.
        output: of the layer.
        activated: the same behind its activation; None: not known.
        weight: its matrix; None: it has none of its own that is trained.
        gradient: of the loss with respect to it; None: not known.
    """
    return LayerStatistic(
        name=layer.name,
        kind=layer.kind,
        activation=layer.activation or "",
        mean=output.mean().item(),
        std=output.std(correction=0).item(),
        dead=_dead_share(activated) if layer.activation == "relu" else 0.0,
        saturated=saturated_share(activated, layer.activation),
        gradient_std=math.nan if gradient is None else gradient.float().std(correction=0).item(),
        weight_std=math.nan if weight is None else _root_mean_square(weight),
        identical_units=0.0 if weight is None else _twins(weight, gradient),
        normalized="norm" in layer.followed_by,
        sample_std=_root_mean_square(output.std(dim=0, correction=0)),
        fan_in=layer.fan_in or 0,
    )


@dataclass(frozen=True, kw_only=True)
class ObservedLayers:
    """A network on one batch.

    Attributes:
        loss: of the batch.
        standard_error: of the loss, from the spread of its tenths.
        output_std: standard deviation of the outputs.
        layers: one statistic a weighted layer, in execution order.
        input_not_finite: share of NaN and Inf where the first weighted layer receives them.
        input_offset: of the features there: root mean square of means over that of standard deviations; NaN without.
    """

    loss: float
    standard_error: float
    output_std: float
    layers: tuple[LayerStatistic, ...]
    input_not_finite: float
    input_offset: float


def set_dropout(model: nn.Module, layers: tuple[LayerInfo, ...], *, training: bool) -> None:
    """Put the dropout layers alone into training or test mode, the rest into training mode."""
    modules = dict(model.named_modules())
    model.train()
    for layer in layers:
        if layer.role == "dropout" and not layer.functional:
            modules[layer.name].training = training


def _is_module(layer: LayerInfo) -> bool:
    return not layer.functional and layer.calls > 0 and (layer.is_weighted or layer.role == "activation")


def activated_output(
    layers: tuple[LayerInfo, ...], position: int, kept: Mapping[str, Sequence[Tensor]]
) -> Tensor | None:
    """The output of the activation that follows a layer: its module's, or computed where it is a function's.

    Args:
        layers: of `trace`.
        position: of the layer in them.
        kept: outputs of modules by name, of `anatomy.capture`.
    Returns:
        None where nothing elementwise follows, or a function that is none of ReLU, tanh and sigmoid.
    """
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


def saturated_share(activated: Tensor | None, activation: str | None) -> float:
    """Share of a sigmoid's or tangent's outputs at which its slope is below a tenth of its largest.

    Args:
        activated: the outputs; None: not known.
        activation: its name; of others the share is 0.
    Example:
        >>> saturated_share(torch.tensor([0.0, 0.99, -0.5, -1.0]), "tanh")
        0.5
    """
    if activated is None:
        return 0.0
    if activation == "sigmoid":
        return (4 * activated * (1 - activated) < SATURATED_BELOW).double().mean().item()
    if activation == "tanh":
        return (1 - activated.square() < SATURATED_BELOW).double().mean().item()
    return 0.0


def _root_mean_square(tensor: Tensor) -> float:
    mean: Tensor = tensor.detach().float().square().mean()
    return math.sqrt(mean.item())


def input_offset(entering: Tensor) -> float:
    """Root mean square of the features' means over that of their deviations; channels are an image's features.

    Args:
        entering: a batch (samples, ...).
    Returns:
        In standard deviations; NaN where it cannot be told.
    """
    if entering.ndim < 2 or len(entering) < 2 or not entering.isfinite().all():
        return math.nan
    features = entering.transpose(0, 1).flatten(1) if entering.ndim == 4 else entering.flatten(1).t()
    deviation = _root_mean_square(features.std(dim=1, correction=0))
    return _root_mean_square(features.mean(dim=1)) / deviation if deviation > 0 else math.nan


def _twins(weight: Tensor, gradient: Tensor | None) -> float:
    """Share of units whose weights and gradients are those of another: a step leaves them as alike as they were."""
    units = weight.detach().float().flatten(1)
    if len(units) < 2:
        return 0.0
    parts = [units / units.abs().max().clamp(min=torch.finfo(torch.float32).tiny)]
    if gradient is not None:
        slopes = gradient.float().flatten(1)
        parts.append(slopes / slopes.abs().max().clamp(min=torch.finfo(torch.float32).tiny))
    rounded = (torch.cat(parts, dim=1) / ALIKE).round()
    _, which, counts = torch.unique(rounded, dim=0, return_inverse=True, return_counts=True)
    shared: Tensor = counts[which] > 1
    return shared.double().mean().item()
