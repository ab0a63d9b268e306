"""Pictures of what ten layers put out, under several initializations."""

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from trainwell.activations import ACTIVATIONS
from trainwell.anatomy import capture
from trainwell.core.seeds import generator
from trainwell.initialization import initialize
from trainwell.pictures.drawing import BLUE, FAINT, INK, ORANGE, drawing, finished, sheet
from trainwell.pictures.text import number

WIDTH = 2048
"""Units of a layer: with it the notes' 0.01 shrinks a layer's input to 0.45 and their 0.05 blows it up 2.3 times."""

LAYERS = 10
SAMPLES = 64


def blank_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without weights of torch's own, which would be drawn only to be thrown away: initialize it."""
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")


def deep_network(
    activation: str,
    scheme: str,
    *,
    gain: float | None = None,
    width: int = WIDTH,
    layers: int = LAYERS,
    samples: int = SAMPLES,
    seed: int = 0,
) -> tuple[nn.Sequential, Tensor]:
    """A deep network of equal layers, initialized, and inputs of mean 0 and variance 1.

    Args:
        activation: a name of `ACTIVATIONS`.
        scheme: a name of the initialization's table.
        gain: of the weights; None: the scheme's.
        width: units of a layer, >= 1.
        layers: hidden ones, >= 1.
        samples: >= 1.
        seed: of inputs and weights.
    Returns:
        The network, and its inputs (samples, width).
    """
    steps: list[nn.Module] = []
    for _ in range(layers):
        steps += [blank_linear(width, width), ACTIVATIONS[activation].make()]
    # One number comes out, so that each of the wide layers is a hidden one: an output layer is never given a gain.
    model = nn.Sequential(*steps, blank_linear(width, 1))
    draw = generator(seed, "layers", activation, scheme)
    inputs = torch.randn(samples, width, generator=draw)
    initialize(model, scheme, batch=inputs[:2], gain=gain, generator=draw)
    return model, inputs


def layer_outputs(model: nn.Sequential, inputs: Tensor) -> tuple[Tensor, ...]:
    """What each hidden layer of `deep_network` puts out, its activation included: one (samples, width) a layer."""
    seen = capture(model, inputs, [str(place) for place in range(1, len(model) - 1, 2)])
    return tuple(outputs[0] for outputs in seen.values())


@drawing()
def small_std() -> Figure:
    """Ten tanh layers whose weights have std 0.01: the activations vanish with depth."""
    return _ten("Std 0.01 with tanh: activations vanish", layer_outputs(*deep_network("tanh", "small_random")), BLUE)


@drawing()
def large_std() -> Figure:
    """Ten tanh layers whose weights have std 0.05: units saturate at -1 and 1."""
    found = layer_outputs(*deep_network("tanh", "xavier", gain=0.05 * WIDTH**0.5))
    return _ten("Std 0.05 with tanh: units saturate", found, ORANGE)


@drawing()
def xavier_with_tanh() -> Figure:
    """Ten tanh layers with Xavier's weights: every layer puts out numbers of a useful size."""
    return _ten("Xavier with tanh: a useful size everywhere", layer_outputs(*deep_network("tanh", "xavier")), BLUE)


@drawing()
def kaiming_beside_xavier() -> Figure:
    """ReLU layers with Xavier's weights, which shrink, beside Kaiming's, which do not."""
    figure, panels = sheet(330.0, rows=2, columns=5)
    shown = (0, 2, 4, 6, 9)
    for row, (scheme, color) in enumerate((("xavier", ORANGE), ("kaiming", BLUE))):
        found = layer_outputs(*deep_network("relu", scheme))
        for column, layer in enumerate(shown):
            panel = panels[5 * row + column]
            _histogram(panel, found[layer], low=0.0, high=3.0, color=color)
            _name(panel, layer, found[layer])
        panels[5 * row].set_ylabel(scheme.capitalize(), size=13, weight="bold")
    _around(figure, "ReLU: Xavier shrinks, Kaiming keeps", high=True)
    return finished(figure)


def _ten(title: str, found: tuple[Tensor, ...], color: str) -> Figure:
    figure, panels = sheet(320.0, rows=2, columns=5)
    for layer, (panel, outputs) in enumerate(zip(panels, found)):
        _histogram(panel, outputs, low=-1.0, high=1.0, color=color)
        _name(panel, layer, outputs)
    _around(figure, title)
    return finished(figure)


def _around(figure: Figure, title: str, *, high: bool = False) -> None:
    figure.suptitle(title, x=0.01, ha="left", size=13, weight="bold")
    top = " up to 3" if high else ""
    figure.supxlabel(f"activation{top}, no unit (height: share of the layer's numbers)", size=11)


def _histogram(panel: Axes, outputs: Tensor, *, low: float, high: float, color: str) -> None:
    bins = 40
    counts = torch.histc(outputs.flatten(), bins=bins, min=low, max=high)
    width = (high - low) / bins
    edges = [low + width * place for place in range(bins)]
    shares = (counts / outputs.numel()).tolist()
    panel.bar(edges, shares, width=width, align="edge", color=color, linewidth=0)
    # One bar that holds everything would flatten all the others: heights are cut there.
    panel.set_ylim(0.0, min(max(shares), 4.0 * sorted(shares)[-2] + 1e-3) * 1.05)
    panel.set_xlim(low, high)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.set_xticks([low, (low + high) / 2, high], [number(low), number((low + high) / 2), number(high)])
    panel.axvline(0.0, color=INK, linewidth=0.8, alpha=FAINT)


def _name(panel: Axes, layer: int, outputs: Tensor) -> None:
    panel.set_title(f"layer {layer + 1}\nstd {number(float(outputs.std()), 2)}", size=11, weight="normal")
