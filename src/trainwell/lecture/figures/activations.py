"""Pictures of the activations."""

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from trainwell.activations import ACTIVATIONS, elu, gelu, gelu_sample, relu, sigmoid, tanh
from trainwell.core.seeds import generator
from trainwell.pictures.drawing import BLUE, FAINT, GREEN, INK, ORANGE, drawing, entitle, finished, rule, sheet

SIX = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
    "leaky_relu": "Leaky ReLU",
    "elu": "ELU",
    "gelu": "GELU",
}
"""What the notes show in one picture; SELU is a scaled ELU, PReLU a leaky ReLU whose slope is learnt."""


@drawing()
def six_activations() -> Figure:
    """Six activations in one picture: value and slope of each."""
    figure, panels = sheet(400.0, rows=3, columns=2)
    for panel, (name, title) in zip(panels, SIX.items()):
        x = torch.linspace(-5.0, 5.0, 401, requires_grad=True)
        y = ACTIVATIONS[name].formula(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        _axes_through_zero(panel)
        panel.plot(x.detach(), y.detach(), color=BLUE, label="value")
        panel.plot(x.detach(), slope, color=ORANGE, linewidth=1.4, linestyle=(0, (4, 2)), label="slope")
        panel.set_ylim(-1.3, 2.7)
        rule(panel, y=False)
        entitle(panel, title, x="pre-activation x, no unit" if panel in panels[-2:] else "")
    lines = panels[0].get_lines()[-2:]
    figure.suptitle("Value and slope, no unit", x=0.01, ha="left", size=13, weight="bold")
    figure.legend(handles=lines, loc="upper right", bbox_to_anchor=(0.99, 0.985), ncols=2)
    return finished(figure)


@drawing()
def elu_shape() -> Figure:
    """ELU beside ReLU: the negative side saturates at -alpha, and the mean comes nearer to zero."""
    figure, (panel,) = sheet(250.0)
    x = torch.linspace(-5.0, 3.0, 401)
    _axes_through_zero(panel)
    for alpha, style in ((1.0, "-"), (0.5, (0, (4, 2)))):
        panel.plot(x, elu(x, alpha=alpha), color=BLUE, linestyle=style, label=f"ELU, alpha = {alpha:g}")
        panel.annotate(f"−{alpha:g}", (-5.0, -alpha), xytext=(0, -12), textcoords="offset points", size=11)
    panel.plot(x, relu(x), color=ORANGE, linewidth=1.4, label="ReLU")
    panel.set_ylim(-1.5, 3.0)
    rule(panel)
    entitle(panel, "ELU saturates on the negative side", y="f(x), no unit", x="pre-activation x, no unit", legend=3)
    return finished(figure)


@drawing()
def gelu_as_expectation(*, draws: int = 200, seed: int = 0) -> Figure:
    """GELU, and the mean of x or 0 drawn at random with probability Φ(x), whose expectation it is.

    Args:
        draws: random passes that are averaged, >= 1.
        seed: of the draws.
    """
    figure, (panel,) = sheet(250.0)
    source = generator(seed, "gelu")
    x = torch.linspace(-3.0, 3.0, 61)
    kept = torch.stack([gelu_sample(x, generator=source) for _ in range(draws)])
    _axes_through_zero(panel)
    for single in kept[:12]:
        panel.plot(x, single, color=INK, linestyle="none", marker=".", markersize=3, alpha=FAINT)
    panel.plot([], [], color=INK, linestyle="none", marker=".", markersize=5, alpha=FAINT, label="12 draws")
    panel.plot(x, kept.mean(dim=0), color=ORANGE, linestyle="none", marker="o", markersize=4, label=f"mean of {draws}")
    fine = torch.linspace(-3.0, 3.0, 401)
    panel.plot(fine, gelu(fine), color=BLUE, label="GELU")
    panel.plot(fine, relu(fine), color=GREEN, linewidth=1.2, linestyle=(0, (4, 2)), label="ReLU")
    rule(panel)
    entitle(panel, "GELU is dropout's expectation", y="f(x), no unit", x="pre-activation x, no unit", legend=4)
    return finished(figure)


@drawing()
def zigzag(*, steps: int = 60, lr: float = 0.5, seed: int = 0) -> Figure:
    """Same-sign gradients make weights zigzag: a unit fed by sigmoids beside the same unit fed by tanhs.

    Both learn a target whose weights have opposite signs, one sample a step.

    Args:
        steps: of gradient descent, >= 1.
        lr: learning rate.
        seed: of the samples.
    """
    figure, panels = sheet(255.0, columns=2)
    wanted = torch.tensor([0.9, -0.7])
    z = 2.0 * torch.randn(steps, 2, generator=generator(seed, "zigzag"))
    for panel, name, function, color in (
        (panels[0], "inputs from sigmoid", sigmoid, ORANGE),
        (panels[1], "inputs from tanh", tanh, BLUE),
    ):
        path, same = descend(function(z), wanted, lr=lr)
        _axes_through_zero(panel)
        panel.plot(path[:, 0], path[:, 1], color=color, linewidth=1.3, marker=".", markersize=4)
        panel.plot(*wanted.tolist(), marker="*", markersize=13, color=GREEN, linestyle="none")
        panel.set_xlim(-0.45, 1.25)
        panel.set_ylim(-1.05, 0.65)
        rule(panel, x=True)
        entitle(panel, name, y="weight 2, no unit", x="weight 1, no unit")
        said = f"{same:.0%} of steps:\none sign"
        panel.text(0.98, 0.94, said, transform=panel.transAxes, ha="right", va="top")
    return finished(figure)


def descend(
    inputs: Float[Tensor, "steps weights"], wanted: Float[Tensor, " weights"], *, lr: float
) -> tuple[Float[Tensor, "points weights"], float]:
    """Least squares by one sample a step, from zero weights.

    Args:
        inputs: one sample a step.
        wanted: weights that made the targets.
        lr: learning rate.
    Returns:
        The weights before the first step and after each, and the share of steps that moved them both in one direction.
    """
    weights = torch.zeros_like(wanted)
    path, same, moved = [weights], 0, 0
    for sample in inputs:
        gradient = (weights @ sample - wanted @ sample) * sample
        same += int(bool((gradient > 0).all() or (gradient < 0).all()))
        moved += int(bool((gradient != 0).any()))
        weights = weights - lr * gradient
        path.append(weights)
    return torch.stack(path), same / max(moved, 1)


def _axes_through_zero(panel: Axes) -> None:
    panel.axhline(0.0, color=INK, linewidth=0.8, alpha=FAINT)
    panel.axvline(0.0, color=INK, linewidth=0.8, alpha=FAINT)
