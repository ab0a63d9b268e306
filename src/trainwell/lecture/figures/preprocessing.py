"""Pictures of the data's preprocessing."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from trainwell.core.seeds import generator
from trainwell.lecture.datasets import petals
from trainwell.pictures.drawing import BLUE, FAINT, GREEN, INK, ORANGE, drawing, entitle, finished, rule, sheet
from trainwell.preprocessing import PREPROCESSORS, Normalize

_COLORS = (BLUE, ORANGE, GREEN)


@drawing()
def centred_and_normalized() -> Figure:
    """The petals of 150 irises: as measured, zero-centred, normalized."""
    data, species = petals()
    panels_data = [
        ("original", data, "petal {}, cm"),
        ("zero-centred", PREPROCESSORS["zero_centre"]().fit(data, split="train")(data), "petal {}, cm"),
        ("normalized", PREPROCESSORS["normalize"]().fit(data, split="train")(data), "petal {}, stds"),
    ]
    return _clouds(panels_data, species, x=(-4.0, 7.5), y=(-2.2, 3.0))


@drawing()
def decorrelated_and_whitened() -> Figure:
    """The same petals rotated onto their principal axes, and with each axis brought to variance 1."""
    data, species = petals()
    panels_data = [
        ("zero-centred", PREPROCESSORS["zero_centre"]().fit(data, split="train")(data), "petal {}, cm"),
        ("decorrelated", PREPROCESSORS["decorrelate"]().fit(data, split="train")(data), "{} axis, cm"),
        ("whitened", PREPROCESSORS["whiten"]().fit(data, split="train")(data), "{} axis, stds"),
    ]
    return _clouds(panels_data, species, x=(-3.6, 3.9), y=(-3.2, 3.4))


@drawing()
def loss_sensitivity(*, lines: int = 14, noise: float = 0.06, seed: int = 0) -> Figure:
    """A linear classifier before and after normalizing: the same relative change of its weights, two kinds of damage.

    Above, the boundary between two species and what it becomes when each weight is changed a little; below, the loss
    along random directions.

    Args:
        lines: perturbed boundaries.
        noise: standard deviation of a weight's change, relative to the weights' norm.
        seed: of the changes.
    """
    data, species = petals()
    kept = species > 0
    raw, labels = data[kept], species[kept] - 1
    figure, panels = sheet(420.0, rows=2, columns=2, ratios=(1.25, 1.0))
    sizes = torch.linspace(-0.3, 0.3, 61)
    for place, (name, points, unit) in enumerate(
        (("before: as measured", raw, "cm"), ("after: normalized", Normalize().fit(raw, split="train")(raw), "stds"))
    ):
        above, below = panels[place], panels[2 + place]
        weights = best_line(points, labels)
        draws = torch.randn(lines, 2, generator=generator(seed, "sensitivity"))
        _scatter(above, points, labels + 1)
        above.set_xlim(float(points[:, 0].min()) - 0.3, float(points[:, 0].max()) + 0.3)
        above.set_ylim(float(points[:, 1].min()) - 0.3, float(points[:, 1].max()) + 0.3)
        for draw in draws:
            _boundary(above, _changed(weights, noise * draw), color=INK, alpha=FAINT, linewidth=0.8)
        _boundary(above, weights, color=INK, linewidth=2.0)
        rule(above, y=False)
        entitle(above, name, y=f"petal width, {unit}", x=f"petal length, {unit}")
        for draw in draws:
            losses = [line_loss(_changed(weights, float(size) * draw), points, labels) for size in sizes]
            below.plot(100.0 * sizes, losses, color=ORANGE if place == 0 else BLUE, linewidth=1.0, alpha=0.6)
        below.set_ylim(0.0, 6.0)
        rule(below)
        entitle(below, "", y="loss, nats", x="weights' change, % of norm")
    return finished(figure)


def best_line(points: Float[Tensor, "points 2"], labels: Int64[Tensor, " points"]) -> Float[Tensor, " 3"]:
    """Weights and bias of a logistic regression with a little L2, by Newton's method in float64."""
    inputs = torch.cat((points, torch.ones(len(points), 1)), dim=1).double()
    weights = torch.zeros(3, dtype=torch.float64)
    ridge = 1e-2 * torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    for _ in range(30):
        chance = torch.sigmoid(inputs @ weights)
        gradient = inputs.T @ (chance - labels) + ridge @ weights
        curvature = inputs.T @ (inputs * (chance * (1 - chance))[:, None]) + ridge
        weights = weights - torch.linalg.solve(curvature, gradient)
    return weights.float()


def line_loss(
    weights: Float[Tensor, " 3"], points: Float[Tensor, "points 2"], labels: Int64[Tensor, " points"]
) -> float:
    """Mean cross-entropy in nats."""
    logits = points @ weights[:2] + weights[2]
    return float(functional.binary_cross_entropy_with_logits(logits, labels.float()))


def _changed(weights: Float[Tensor, " 3"], relative: Float[Tensor, " 2"]) -> Float[Tensor, " 3"]:
    moved = weights.clone()
    moved[:2] += relative * weights[:2].norm()
    return moved


def _boundary(panel: Axes, weights: Float[Tensor, " 3"], **style: Any) -> None:
    left, right = panel.get_xlim()
    ends = [-(float(weights[0]) * x + float(weights[2])) / float(weights[1]) for x in (left, right)]
    panel.plot([left, right], ends, scalex=False, scaley=False, **style)


def _clouds(
    panels_data: list[tuple[str, Tensor, str]],
    species: Int64[Tensor, " flowers"],
    *,
    x: tuple[float, float],
    y: tuple[float, float],
) -> Figure:
    figure, panels = sheet(205.0, columns=len(panels_data))
    for panel, (title, points, name) in zip(panels, panels_data):
        across, up = ("length", "width") if name.startswith("petal") else ("first", "second")
        panel.axhline(0.0, color=INK, linewidth=0.8, alpha=FAINT)
        panel.axvline(0.0, color=INK, linewidth=0.8, alpha=FAINT)
        _scatter(panel, points, species)
        panel.set_xlim(*x)
        panel.set_ylim(*y)
        rule(panel, y=False)
        entitle(panel, title, y=name.format(up), x=name.format(across))
    return finished(figure)


def _scatter(panel: Axes, points: Float[Tensor, "points 2"], species: Int64[Tensor, " points"]) -> None:
    for kind, color in enumerate(_COLORS):
        here = points[species == kind]
        panel.plot(here[:, 0], here[:, 1], linestyle="none", marker="o", markersize=2.6, color=color, alpha=0.7)
