"""A scheme applied to a network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trainwell.anatomy import Batch, capture, inventory, trace
from trainwell.core.errors import ModelError, SettingError, suggestion
from trainwell.core.records.layer import LayerInfo
from trainwell.initialization.formulas import SCHEMES, Scheme, xavier_std


@dataclass(frozen=True, kw_only=True)
class InitializedLayer:
    """One weight matrix after `initialize`.

    Attributes:
        layer: dotted name.
        parameter: dotted name of the matrix (or of a norm's gain where that ends a residual branch).
        how: what was done to it; "left" where it is not known what it is.
        fan_in: inputs of one unit; None where there is no such thing.
        std_wanted: standard deviation that the scheme asks for; None where it asks for none.
        std_got: standard deviation of the numbers that are now in it (about 0, not about their mean).
        output_variance: of the layer's output on the batch, after scaling (LSUV; else None).
    """

    layer: str
    parameter: str
    how: Literal["normal", "orthonormal", "zero", "left"]
    fan_in: int | None
    std_wanted: float | None
    std_got: float
    output_variance: float | None = None


def initialize(
    model: nn.Module,
    scheme: str,
    *,
    batch: Batch | None = None,
    gain: float | Mapping[str, float] | None = None,
    fan: Literal["in", "avg"] = "in",
    generator: torch.Generator,
) -> tuple[InitializedLayer, ...]:
    """Draw a network's weights anew, in place.

    - The gain is for layers that an activation follows. A layer that none follows, and the output layer, get gain 1, so
      at most 1 / sqrt(fan_in): never ReLU's gain.
    - Biases are 0; an LSTM's forget gate starts at 1 (Jozefowicz et al. 2015). Norms are 1 and 0, their running
      statistics fresh; PReLU's slopes are 1/4.
    - Embeddings: each output is one weight (fan_in 1), so std 1; 1 / sqrt(width) where the output layer shares the
      weight (its fan_in is the width); a padding row stays 0.
    - Recurrent layers: input weights by their own fan-in with gain 1, recurrent weights orthonormal.
    - Other parameters of the user's modules are left as they are, and listed.

    Args:
        model: any module; changed. A shared matrix is drawn once.
        scheme: a name of `SCHEMES`.
        batch: what the network is called with. Without it the last weighted layer that is registered is taken for the
            output, and every other one for one that an activation follows.
        gain: one for the network, or layer -> gain (other layers get the scheme's); dimensionless, > 0.
        fan: "avg" is Xavier's form of the paper.
        generator: draws the weights; the global generator is not touched.
    Returns:
        One row a weight matrix, in execution order.
    Raises:
        SettingError: unknown scheme, a gain that is not positive, or for an unknown layer, fan "avg" for another scheme
            than xavier, or no batch for a scheme that needs one.
        ModelError: LSUV meets a layer whose output does not vary.
    Example:
        >>> model = nn.Sequential(nn.Linear(200, 100), nn.ReLU(), nn.Linear(100, 10))
        >>> rows = initialize(model, "kaiming", generator=torch.Generator().manual_seed(0))
        >>> [(row.layer, row.fan_in, row.std_wanted, round(row.std_got, 1)) for row in rows]
        [('0', 200, 0.1, 0.1), ('2', 100, 0.1, 0.1)]

    Source: notes, Weight Initialization; He et al. 2015; Glorot & Bengio 2010; Mishkin & Matas 2016; Goyal et al. 2017.
    """
    layers = inventory(model) if batch is None else trace(model, batch)
    chosen = _checked(scheme, batch, gain, fan, layers)
    plan = _Plan(layers=layers, scheme=chosen, gain=gain, fan=fan, ran=batch is not None)
    done: set[int] = set()
    rows: list[InitializedLayer] = []
    with torch.no_grad():
        for layer in layers:
            if layer.functional and not layer.weights:
                continue
            rows += _initialize_layer(model, layer, plan, done, generator)
        if chosen.zero_branches:
            rows = _with_zero_branches(model, layers, rows)
    if chosen.orthonormal and batch is not None:
        outputs = {layer.name for layer in layers if plan.is_output(layer)}
        rows = [
            _scaled_to_unit_variance(model, row, batch, most_std=_most_std(row, outputs))
            if row.how == "orthonormal" and row.std_wanted is None
            else row
            for row in rows
        ]
    return tuple(rows)


def _checked(
    scheme: str,
    batch: Batch | None,
    gain: float | Mapping[str, float] | None,
    fan: str,
    layers: tuple[LayerInfo, ...],
) -> Scheme:
    if scheme not in SCHEMES:
        raise SettingError(f"`scheme` must be one of the table, but got {scheme!r}. {suggestion(scheme, SCHEMES)}")
    wrong = []
    if SCHEMES[scheme].needs_batch and batch is None:
        wrong.append(f"{scheme!r} must see the network run, but got no batch: pass `batch`.")
    if fan == "avg" and scheme != "xavier":
        wrong.append(f'`fan="avg"` is a form of xavier, but got {scheme!r}: leave it out.')
    gains = gain if isinstance(gain, Mapping) else {} if gain is None else {"every layer": gain}
    wrong += [
        f"`gain` must be above 0 and finite, but got {value} for {name}: take it from the activation that follows."
        for name, value in gains.items()
        if not 0 < value < math.inf
    ]
    if isinstance(gain, Mapping):
        names = [layer.name for layer in layers]
        wrong += [
            f"`gain` must name layers, but got {name!r}. {suggestion(name, names)}"
            for name in gain
            if name not in names
        ]
    if wrong:
        raise SettingError(" ".join(wrong))
    return SCHEMES[scheme]


@dataclass(frozen=True)
class _Plan:
    """Which standard deviation each layer is to have."""

    layers: tuple[LayerInfo, ...]
    scheme: Scheme
    gain: float | Mapping[str, float] | None
    fan: str
    ran: bool

    def is_output(self, layer: LayerInfo) -> bool:
        """Whether it is the output layer, or, where the network was not run, the last one that is registered."""
        weighted = [other for other in self.layers if other.is_weighted]
        return layer.is_output or (not any(other.is_output for other in weighted) and layer in weighted[-1:])

    def std(self, layer: LayerInfo, fan_in: int) -> float | None:
        """Wanted standard deviation; None for zero weights."""
        if self.scheme.std is None:
            return None
        gain = self.scheme.gain
        if isinstance(self.gain, Mapping):
            gain = self.gain.get(layer.name, gain)
        elif self.gain is not None:
            gain = self.gain
        linear = self.ran and layer.activation is None
        if self.is_output(layer) or linear or layer.role in ("attention", "recurrent", "embedding"):
            gain = min(gain, 1.0)
        tied = layer.role == "embedding" and any(
            other.is_weighted and other.role != "embedding" and other.name in layer.shares_weight_with
            for other in self.layers
        )
        if tied and layer.fan_out:
            fan_in = layer.fan_out
        if self.fan == "avg" and layer.fan_out and layer.role != "embedding":
            std = xavier_std(fan_in, layer.fan_out, gain=gain)
        else:
            std = self.scheme.std(fan_in, gain)
        return min(std, 1.0 / math.sqrt(fan_in)) if self.is_output(layer) else std


def _initialize_layer(
    model: nn.Module, layer: LayerInfo, plan: _Plan, done: set[int], generator: torch.Generator
) -> list[InitializedLayer]:
    rows = []
    for name in layer.weights:
        if layer.fan_in is None or _seen(model, name, done):
            continue
        fan_in = layer.fan_in
        shape = _read(model, name).shape
        if layer.role in ("recurrent", "attention"):
            fan_in = shape[1]
        std = plan.std(layer, fan_in)
        if std is None:
            rows.append(_written(model, layer, name, torch.zeros(shape), "zero", fan_in, 0.0))
        elif "weight_hh" in name and layer.role == "recurrent":
            blocks = [_orthonormal(torch.Size((shape[1], shape[1])), generator) for _ in range(shape[0] // shape[1])]
            rows.append(_written(model, layer, name, torch.cat(blocks), "orthonormal", fan_in, 1.0 / math.sqrt(fan_in)))
        elif plan.scheme.orthonormal and layer.role in ("linear", "convolution") and not layer.functional:
            rows.append(_written(model, layer, name, _orthonormal(shape, generator), "orthonormal", fan_in, None))
        else:
            draw = torch.randn(shape, generator=generator, device=generator.device) * std
            padding = None if layer.functional else getattr(model.get_submodule(layer.name), "padding_idx", None)
            if isinstance(padding, int):
                draw[padding] = 0.0
            rows.append(_written(model, layer, name, draw, "normal", fan_in, std))
    return rows if layer.functional else rows + _settle_the_rest(model, layer, plan, done)


def _settle_the_rest(model: nn.Module, layer: LayerInfo, plan: _Plan, done: set[int]) -> list[InitializedLayer]:
    """Biases, norms, and parameters of which nothing is known."""
    module = model.get_submodule(layer.name)
    rows = []
    if isinstance(module, nn.modules.batchnorm._NormBase):
        module.reset_running_stats()
    used = {name for other in plan.layers for name in other.weights}
    for key, tensor in module.named_parameters(recurse=False):
        name = f"{layer.name}.{key}" if layer.name else key
        if name in used or id(tensor) in done:
            continue
        if layer.role == "norm":
            tensor.fill_(1.0 if key == "weight" else 0.0)
        elif isinstance(module, nn.PReLU):
            module.reset_parameters()
        elif key == "b" or "bias" in key:
            tensor.zero_()
            if isinstance(module, (nn.LSTM, nn.LSTMCell)) and "bias_ih" in key:
                # Gates stand in the order input, forget, cell, output.
                tensor[module.hidden_size : 2 * module.hidden_size] = 1.0
        else:
            rows.append(
                InitializedLayer(
                    layer=layer.name, parameter=name, how="left", fan_in=None, std_wanted=None, std_got=_rms(tensor)
                )
            )
        done.add(id(tensor))
    return rows


def _with_zero_branches(
    model: nn.Module, layers: tuple[LayerInfo, ...], rows: list[InitializedLayer]
) -> list[InitializedLayer]:
    """Zero what ends each residual branch: the gain of the norm that follows its last layer, or else the last layer.

    Never both: of a product of two zeros neither has a gradient, and the branch would stay zero for ever.
    """
    by_parameter = {row.parameter: row for row in rows}
    for place, layer in enumerate(layers):
        if not layer.ends_branch or layer.functional:
            continue
        module = model.get_submodule(layer.name)
        weight = f"{layer.name}.weight"
        if layer.role == "norm" and isinstance(getattr(module, "weight", None), Tensor):
            row = _written(model, layer, weight, torch.zeros(_read(model, weight).shape), "zero", None, 0.0)
            by_parameter[row.parameter] = row
        elif layer.is_weighted and not _norm_ends_branch(model, layers, place):
            for name in layer.weights:
                zeros = torch.zeros(_read(model, name).shape)
                by_parameter[name] = _written(model, layer, name, zeros, "zero", layer.fan_in, 0.0)
    return list(by_parameter.values())


def _norm_ends_branch(model: nn.Module, layers: tuple[LayerInfo, ...], place: int) -> bool:
    """Whether the branch's last weighted layer is followed by a norm with a gain, before the next weighted layer."""
    for layer in layers[place + 1 :]:
        if layer.is_weighted:
            return False
        if layer.role == "norm" and layer.ends_branch and not layer.functional:
            return isinstance(getattr(model.get_submodule(layer.name), "weight", None), Tensor)
    return False


def _scaled_to_unit_variance(
    model: nn.Module, row: InitializedLayer, batch: Batch, *, most_std: float, tolerance: float = 0.01, most: int = 10
) -> InitializedLayer:
    """LSUV's second half: divide the matrix by the standard deviation of what the layer puts out, until that is 1."""
    for passes in range(most + 1):
        outputs = capture(model, batch, [row.layer])[row.layer]
        if not outputs:
            return row
        variance = torch.cat([output.flatten() for output in outputs]).var(correction=0).item()
        if not 0 < variance < math.inf:
            raise ModelError(
                f"LSUV divides by the variance of a layer's output, but got {variance} for {row.layer!r}. "
                "Pass a batch of several different samples, and mend what makes the output constant or infinite."
            )
        std = _rms(_read(model, row.parameter))
        wanted = min(std / math.sqrt(variance), most_std)
        if abs(variance - 1.0) < tolerance or abs(wanted / std - 1.0) < 1e-6 or passes == most:
            break
        with torch.no_grad():
            _write(model, row.parameter, _read(model, row.parameter) * (wanted / std))
    return InitializedLayer(
        layer=row.layer,
        parameter=row.parameter,
        how="orthonormal",
        fan_in=row.fan_in,
        std_wanted=row.std_wanted,
        std_got=_rms(_read(model, row.parameter)),
        output_variance=variance,
    )


def _most_std(row: InitializedLayer, outputs: set[str]) -> float:
    """The output layer's bound; the others have none."""
    return 1.0 / math.sqrt(row.fan_in) if row.layer in outputs and row.fan_in else math.inf


def _orthonormal(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """A matrix (first axis x the rest) whose rows, or columns if there are more rows, are orthonormal."""
    rows, columns = shape[0], math.prod(shape[1:])
    draw = torch.randn(max(rows, columns), min(rows, columns), generator=generator, device=generator.device)
    q, r = torch.linalg.qr(draw)
    # The signs make the draw uniform over the orthogonal matrices (Mezzadri 2007).
    oriented: Tensor = q * torch.sign(torch.diagonal(r))
    return (oriented if rows >= columns else oriented.T).reshape(shape)


def _seen(model: nn.Module, name: str, done: set[int]) -> bool:
    """Whether the matrix was drawn before, under this name or another."""
    tensor = _read(model, name)
    if id(tensor) in done:
        return True
    if isinstance(tensor, nn.Parameter):
        done.add(id(tensor))
    return False


def _read(model: nn.Module, name: str) -> Tensor:
    module, _, key = name.rpartition(".")
    tensor = getattr(model.get_submodule(module), key)
    if not isinstance(tensor, Tensor):
        raise ModelError(f"A weight must be a tensor, but got {type(tensor).__name__} for {name}. Make it a Parameter.")
    return tensor


def _write(model: nn.Module, name: str, value: Tensor) -> None:
    module_name, _, key = name.rpartition(".")
    module = model.get_submodule(module_name)
    current = _read(model, name)
    if nn.utils.parametrize.is_parametrized(module, key):
        setattr(module, key, value.to(current))
        if not _read(model, name).isfinite().all():
            raise ModelError(
                f"A parametrized weight must be able to take its value, but got one that is not finite for {name}. "
                "Remove the parametrization (a weight norm has no direction at zero), or use another scheme."
            )
    else:
        current.copy_(value)


def _written(
    model: nn.Module,
    layer: LayerInfo,
    name: str,
    value: Tensor,
    how: Literal["normal", "orthonormal", "zero"],
    fan_in: int | None,
    std: float | None,
) -> InitializedLayer:
    _write(model, name, value)
    return InitializedLayer(
        layer=layer.name, parameter=name, how=how, fan_in=fan_in, std_wanted=std, std_got=_rms(_read(model, name))
    )


def _rms(tensor: Tensor) -> float:
    """The standard deviation about 0, which also a single number has."""
    return float(tensor.detach().double().square().mean().sqrt())
