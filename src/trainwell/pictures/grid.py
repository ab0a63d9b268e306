"""Steps 4 and 5: the trials of a grid, over two of its axes and along the others."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trainwell.core.records.evidence import Grid, GridPoint
from trainwell.pictures.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    drawing,
    entitle,
    finished,
    is_drawable,
    is_loggable,
    nothing,
    one_two_five,
    rule,
    sheet,
)
from trainwell.pictures.lines import limits
from trainwell.pictures.text import number, percent, shorten

# From the worst to the best trial; the middle is told apart from both ends by those who see no red or no green.
_SCALE = LinearSegmentedColormap.from_list("error", [ORANGE, "#8a8a8a", BLUE])


@dataclass(frozen=True)
class Scale:
    """Where the values of one axis stand: positions, and the ticks that name them.

    Attributes:
        positions: one a point, NaN where the point has no such coordinate.
        ticks: position and text.
    """

    positions: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]


@drawing()
def grid(record: Grid, task: str) -> Figure:
    """All trials over the first two axes: the better the bluer, the best marked, stopped ones hollow.

    Args:
        record: with one axis at least.
        task: classification or regression.
    Returns:
        One panel.
    """
    figure, (panel,) = sheet(340.0)
    axes = in_order(record.axes)
    across = scale(record.points, axes[0]) if axes else Scale((), ())
    upward = scale(record.points, axes[1]) if len(axes) > 1 else None
    values = [_shown(point, task) for point in record.points]
    worst = max((value for value in values if is_drawable(value)), default=1.0)
    heights = upward.positions if upward else tuple(v if is_drawable(v) else worst for v in values)
    title = f"{len(record.points)} trials: {_error_name(task)}"
    if not any(is_drawable(x) and is_drawable(y) for x, y in zip(across.positions, heights)):
        nothing(panel, "No trial was measured.")
        entitle(panel, title)
        return finished(figure)
    for point, x, y, color in zip(record.points, across.positions, heights, _colors(values)):
        _mark(panel, point, x, y, color, best=point.trial == record.best)
    panel.set_xlim(*limits([x for x in across.positions if is_drawable(x)], margin=0.12))
    panel.set_ylim(*limits([y for y in heights if is_drawable(y)], margin=0.14))
    _label(panel, record, list(zip(across.positions, heights)), values, task)
    rule(panel, x=True)
    panel.set_xticks([at for at, _ in across.ticks], [text for _, text in across.ticks])
    if upward:
        panel.set_yticks([at for at, _ in upward.ticks], [text for _, text in upward.ticks])
    _legend(panel)
    entitle(panel, "", y=plain(axes[1]) if upward else _error_name(task), x=plain(axes[0]))
    panel.set_title(title, pad=22.0)
    return finished(figure)


@drawing()
def slices(record: Grid, task: str) -> Figure:
    """The error of every trial along each axis, one panel an axis.

    Args:
        record: with one axis at least.
        task: classification or regression.
    Returns:
        Panels in two columns, in the order of `in_order`.
    """
    axes = in_order(record.axes) or ("",)
    rows = -(-len(axes) // 2)
    figure, panels = sheet(24.0 + 165 * rows, rows=rows, columns=2)
    values = [_shown(point, task) for point in record.points]
    finite = sorted(value for value in values if is_drawable(value))
    # The panels show what separates the good ones; the bad half is drawn at the upper end.
    low, high = limits(finite[: max(2, math.ceil(0.75 * len(finite)))], margin=0.1)
    for panel, axis in zip(panels, axes):
        placed = scale(record.points, axis)
        if not finite or not any(map(is_drawable, placed.positions)):
            nothing(panel, "No trial was measured.")
            continue
        for point, x, value, color in zip(record.points, placed.positions, values, _colors(values)):
            height = min(value, high) if is_drawable(value) else high
            _mark(panel, point, x, height, color, best=point.trial == record.best, size=6.0)
        panel.set_ylim(low, high + 0.06 * (high - low))
        panel.set_xlim(*limits([x for x in placed.positions if is_drawable(x)], margin=0.12))
        rule(panel)
        panel.set_xticks([at for at, _ in placed.ticks], [text for _, text in placed.ticks])
        if sum(len(text) for _, text in placed.ticks) > 24:
            panel.tick_params(axis="x", rotation=30)
        share = record.importances.get(axis)
        name = shorten(plain(axis), 18)
        panel.set_title(f"{name}, {percent(share, 0)}" if share is not None else name, size=11, weight="normal")
    for panel in panels[len(axes) :]:
        panel.set_axis_off()
    figure.suptitle(f"{_error_name(task)} along each axis", x=0.01, ha="left", size=13, weight="bold")
    return finished(figure)


def scale(points: Sequence[GridPoint], axis: str) -> Scale:
    """Positions and ticks of one axis: words in order of appearance, numbers by size.

    Numbers that differ by a factor of 3 stand on a logarithmic axis, zero to its left with a tick of its own.

    Args:
        points: of the grid.
        axis: dotted hyperparameter.
    Returns:
        One position a point.
    """
    words = list(dict.fromkeys(point.labels[axis] for point in points if axis in point.labels))
    if words:
        places = tuple(float(words.index(p.labels[axis])) if axis in p.labels else math.nan for p in points)
        return Scale(places, tuple((float(place), shorten(word, 10)) for place, word in enumerate(words)))
    values = [point.coordinates.get(axis, math.nan) for point in points]
    positive = [value for value in values if is_loggable(value)]
    negative = any(is_drawable(value) and value < 0 for value in values)
    if (
        not positive
        or negative
        or max(positive) < 3 * min(positive)
        or (0.0 in values and max(positive) < 9.9 * min(positive))
    ):
        kept = tuple(value if is_drawable(value) else math.nan for value in values)
        return Scale(kept, tuple((value, number(value)) for value in _ticks([v for v in kept if v == v])))
    zero = math.log10(min(positive)) - 0.6
    logs = tuple(_log(value, zero) for value in values)
    ticks = [(math.log10(value), number(value)) for value in _log_ticks(positive)]
    return Scale(logs, tuple([(zero, "0"), *ticks] if 0.0 in values else ticks))


def in_order(axes: tuple[str, ...]) -> tuple[str, ...]:
    """The axes as readers look for them: learning rate across, weight decay upward, then the others as they came.

    Args:
        axes: dotted hyperparameters.
    Returns:
        The same ones.
    Example:
        >>> in_order(("activation", "regularization.weight_decay", "optimization.lr"))
        ('optimization.lr', 'regularization.weight_decay', 'activation')
    """
    first = ("optimization.lr", "regularization.weight_decay")
    return tuple(sorted(axes, key=lambda axis: first.index(axis) if axis in first else len(first)))


def plain(axis: str) -> str:
    """A dotted hyperparameter as a reader calls it.

    Args:
        axis: such as optimization.lr.
    Returns:
        Its last part in words.
    Example:
        >>> plain("optimization.lr"), plain("regularization.weight_decay")
        ('learning rate', 'weight decay')
    """
    last = axis.rpartition(".")[2]
    return "learning rate" if last == "lr" else last.replace("_", " ")


def _log(value: float, zero: float) -> float:
    if not is_drawable(value):
        return math.nan
    return math.log10(value) if is_loggable(value) else zero


def _ticks(values: list[float]) -> list[float]:
    distinct = sorted(set(values))
    if _are_apart(distinct):
        return distinct
    nice = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(distinct[0], distinct[-1])
    return [float(tick) for tick in nice if distinct[0] <= tick <= distinct[-1]]


def _log_ticks(values: list[float]) -> list[float]:
    distinct = sorted(set(values))
    if _are_apart([math.log10(value) for value in distinct]):
        return distinct
    low, high = distinct[0], distinct[-1]
    if high < 100 * low:
        return one_two_five(low, high)
    decades = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [10.0**exponent for exponent in decades[:: max(1, -(-len(decades) // 5))]]


def _are_apart(ordered: list[float]) -> bool:
    """Whether few enough values lie far enough apart for each to have its own tick."""
    room = ordered[-1] - ordered[0] if ordered else 0.0
    return len(ordered) <= 5 and all(after - before > 0.16 * room for before, after in itertools.pairwise(ordered))


def _shown(point: GridPoint, task: str) -> float:
    return 100 * point.value if task == "classification" else point.value


def _error_name(task: str) -> str:
    return "validation error (%)" if task == "classification" else "validation error (1 − R²)"


def _colors(values: Sequence[float]) -> list[tuple[float, float, float, float]]:
    """By rank: one diverged trial does not make all others look alike."""
    ranked = sorted(value for value in values if is_drawable(value))
    last = max(len(ranked) - 1, 1)
    return [_SCALE(1 - ranked.index(value) / last if is_drawable(value) else 0.0) for value in values]


def _mark(
    panel: Axes,
    point: GridPoint,
    x: float,
    y: float,
    color: tuple[float, float, float, float],
    *,
    best: bool,
    size: float = 10.0,
) -> None:
    if not (is_drawable(x) and is_drawable(y)):
        return
    styles: dict[str, dict[str, Any]] = {
        "completed": {"marker": "o", "markerfacecolor": color, "markeredgecolor": color},
        "stopped": {"marker": "o", "markerfacecolor": "none", "markeredgecolor": color, "markeredgewidth": 1.8},
        "diverged": {"marker": "x", "markeredgecolor": ORANGE, "markeredgewidth": 1.8},
    }
    panel.plot([x], [y], linestyle="none", markersize=size, zorder=3, **styles[point.state])
    if best:
        ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": GREEN, "markeredgewidth": 2.2}
        panel.plot([x], [y], marker="o", linestyle="none", markersize=size + 7, zorder=4, gid="best", **ring)


def _label(panel: Axes, record: Grid, places: list[tuple[float, float]], values: list[float], task: str) -> None:
    """Values beside the points, the best first, where they overlap none that stands already."""
    left, right = panel.get_xlim()
    bottom, top = panel.get_ylim()
    order = sorted((value, row) for row, value in enumerate(values) if is_drawable(value))
    taken: list[tuple[float, float]] = [
        (360 * (x - left) / (right - left), 230 * (y - bottom) / (top - bottom))
        for x, y in places
        if is_drawable(x) and is_drawable(y)
    ]
    for value, row in order:
        x, y = places[row]
        if not (is_drawable(x) and is_drawable(y)):
            continue
        here = (360 * (x - left) / (right - left), 230 * (y - bottom) / (top - bottom))
        best = record.points[row].trial == record.best
        free = [down for down in (21 if best else 17, -19) if best or not _is_taken((here[0], here[1] - down), taken)]
        if not free:
            continue
        taken.append((here[0], here[1] - free[0]))
        below = free[0] > 0
        text = f"{value:.1f}" if task == "classification" else f"{value:.3f}"
        panel.annotate(
            text,
            (x, y),
            xytext=(0, (-14 if best else -10) if below else 10),
            textcoords="offset points",
            ha="center",
            va="top" if below else "bottom",
            size=10,
            weight="bold" if best else "normal",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.7},
        )


def _is_taken(place: tuple[float, float], taken: list[tuple[float, float]]) -> bool:
    return any(abs(place[0] - x) < 30 and abs(place[1] - y) < 12 for x, y in taken)


def _legend(panel: Axes) -> None:
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        (
            "best",
            {
                "marker": "o",
                "markersize": 11,
                "markerfacecolor": "none",
                "markeredgecolor": GREEN,
                "markeredgewidth": 2,
            },
        ),
        ("stopped early", {"marker": "o", "markersize": 8, "markerfacecolor": "none", "markeredgecolor": INK}),
        ("diverged", {"marker": "x", "markersize": 8, "markeredgecolor": ORANGE, "markeredgewidth": 1.8}),
    )
    handles = [panel.plot([], [], linestyle="none", label=name, **style)[0] for name, style in kinds]
    panel.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.02), ncols=3)
