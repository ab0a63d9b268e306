"""What each layer did in each of the first steps: layers as rows, steps as columns."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from trainwell.core.records.seen.networks import LayerCourse
from trainwell.pictures.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    drawing,
    entitle,
    finished,
    is_loggable,
    nothing,
    rule,
    sheet,
)
from trainwell.pictures.text import number, shorten

MOST_ROWS = 32
"""Of more layers some are left out, evenly; those that are asked for stay."""
MOST_COLUMNS = 90
"""Of more steps several share a column, which shows their median."""
DECADES = (2.0, 8.0)
"""What the strength of a colour spans at least and at most: layers within a factor of a hundred look alike, and one
value near zero does not make all others equally strong."""
LONGEST = 24
"""Characters of a row's name."""
FAINTEST = 0.16
"""Strength of the smallest number: it is still seen, and nothing is told apart from it."""


@drawing()
def layer_updates(
    course: Sequence[LayerCourse], *, kinds: Mapping[str, str] = MappingProxyType({}), marked: Collection[str] = ()
) -> Figure:
    """How far each step moved each layer's weights, against their norm.

    Args:
        course: in the order of their first calls.
        kinds: name of a layer -> of module, where it is known.
        marked: names that are never left out, and bold.
    Returns:
        A map, the stronger the larger, and its scale.
    """
    rows = [(each.name, each.update) for each in course]
    return _map(rows, "Update of each layer's weights", "norm of update ÷ norm of weights", BLUE, kinds, marked)


@drawing()
def layer_gradients(
    course: Sequence[LayerCourse], *, kinds: Mapping[str, str] = MappingProxyType({}), marked: Collection[str] = ()
) -> Figure:
    """The gradient's norm of each layer in each step.

    Args:
        course: in the order of their first calls.
        kinds: name of a layer -> of module, where it is known.
        marked: names that are never left out, and bold.
    Returns:
        A map, the stronger the larger, and its scale.
    """
    rows = [(each.name, each.gradient) for each in course]
    return _map(rows, "Gradient of each layer", "norm of gradient", GREEN, kinds, marked)


def chosen(names: Sequence[str], marked: Collection[str]) -> list[int]:
    """Which rows are drawn: all where there is room for them.

    Args:
        names: of all layers.
        marked: those that must be among them; of more than there are rows, the first.
    Returns:
        Their places, in order, at most `MOST_ROWS`.
    Example:
        >>> chosen(["a", "b", "c"], [])
        [0, 1, 2]
    """
    if len(names) <= MOST_ROWS:
        return list(range(len(names)))
    meant = [place for place, name in enumerate(names) if name in marked][: MOST_ROWS - 2]
    # The ends: what shrinks or grows through the network shows itself there.
    kept = {0, len(names) - 1, *meant}
    between = np.linspace(0, len(names) - 1, MOST_ROWS - len(kept) + 2)[1:-1]
    kept |= set(between.round().astype(int).tolist())
    return sorted(kept)


def _map(
    rows: Sequence[tuple[str, tuple[float, ...]]],
    title: str,
    unit: str,
    color: str,
    kinds: Mapping[str, str],
    marked: Collection[str],
) -> Figure:
    places = chosen([name for name, _ in rows], marked)
    shown = [rows[place] for place in places]
    steps = max((len(values) for _, values in shown), default=0)
    columns = min(steps, MOST_COLUMNS)
    cells = np.array([_gathered(values, steps, columns) for _, values in shown]).reshape(len(shown), columns)
    height = 15.0 * max(len(shown), 3)
    figure, (panel, scale) = sheet(height + 136.0, rows=2, ratios=(height, 9.0))
    if len(shown) < len(rows):
        title = f"{title}: {len(shown)} of {len(rows)}"
    kept = [value for value in cells.flatten().tolist() if is_loggable(value)]
    if not kept and not (np.isinf(cells).any() or (cells == 0).any()):
        nothing(panel, "No step could be measured.")
        scale.set_axis_off()
        entitle(panel, title)
        return finished(figure)
    low, high = _span(kept)
    panel.imshow(
        _colored(cells, low, high, color),
        extent=(0.5, steps + 0.5, len(shown) - 0.5, -0.5),
        aspect="auto",
        interpolation="none",
    )
    _strike_zeros(panel, cells, steps)
    rule(panel, x=False, y=False)
    panel.set_yticks(range(len(shown)), [_label(name, kinds.get(name, "")) for name, _ in shown])
    panel.tick_params(axis="y", length=0)
    for label, (name, _) in zip(panel.get_yticklabels(), shown):
        label.set_fontweight("bold" if name in marked else "normal")
    entitle(panel, title, x="optimizer step")
    _explain(panel, cells)
    _draw_scale(scale, low, high, color, unit)
    return finished(figure)


def _label(name: str, kind: str) -> str:
    """A layer's name, after its kind where both are short."""
    both = f"{kind} {name}".strip()
    return both if 0 < len(both) <= LONGEST else shorten(name or "(the network)", LONGEST)


def _gathered(values: tuple[float, ...], steps: int, columns: int) -> list[float]:
    """One number a column: infinite where one of its steps is, else the median of those that are known."""
    padded = [*values, *[math.nan] * (steps - len(values))]
    gathered = []
    for column in range(columns):
        part = padded[column * steps // columns : (column + 1) * steps // columns]
        known = [value for value in part if not math.isnan(value)]
        lost = any(math.isinf(value) for value in known)
        gathered.append(math.inf if lost else statistics.median(known) if known else math.nan)
    return gathered


def _span(kept: Sequence[float]) -> tuple[float, float]:
    """Ends of the scale."""
    high = max(kept, default=1.0)
    decades = min(max(math.log10(high / min(kept, default=high)), DECADES[0]), DECADES[1])
    return high * 10.0**-decades, high


def _colored(cells: np.ndarray, low: float, high: float, color: str) -> np.ndarray:
    """Colours with a strength each, so that whatever lies behind shows through: they read on light and on dark."""
    colored = np.zeros((*cells.shape, 4))
    for place in np.ndindex(cells.shape):
        value = float(cells[place])
        if math.isinf(value):
            colored[place] = (*to_rgb(ORANGE), 1.0)
        elif is_loggable(value):
            share = min(max(math.log10(value / low) / math.log10(high / low), 0.0), 1.0)
            colored[place] = (*to_rgb(color), FAINTEST + (1 - FAINTEST) * share)
    return colored


def _strike_zeros(panel: Axes, cells: np.ndarray, steps: int) -> None:
    """A thin line through the steps in which a layer's number is exactly 0."""
    width = steps / max(cells.shape[1], 1)
    for row, values in enumerate(cells):
        zeros = np.flatnonzero(np.diff(np.concatenate(([0], (values == 0).astype(int), [0]))))
        for begin, end in zeros.reshape(-1, 2):
            panel.plot(
                [0.5 + width * begin, 0.5 + width * end], [row, row], color=INK, linewidth=1.0, solid_capstyle="butt"
            )


def _explain(panel: Axes, cells: np.ndarray) -> None:
    """A legend of what is no number on the scale, where there is some."""
    handles: list[Line2D | Patch] = []
    if (cells == 0).any():
        handles.append(Line2D([], [], color=INK, linewidth=1.0, label="exactly 0"))
    if np.isinf(cells).any():
        handles.append(Patch(facecolor=ORANGE, label="not finite"))
    if np.isnan(cells).any():
        handles.append(Patch(facecolor="none", edgecolor=INK, alpha=FAINT, label="not known"))
    # The same room with and without: maps that stand beside each other begin at one height.
    panel.set_title(panel.get_title(loc="left"), pad=28.0)
    if handles:
        panel.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.02), ncols=len(handles))


def _draw_scale(panel: Axes, low: float, high: float, color: str, unit: str) -> None:
    shades = np.zeros((1, 64, 4))
    shades[0, :, :3] = to_rgb(color)
    shades[0, :, 3] = np.linspace(FAINTEST, 1.0, 64)
    ends = math.log10(low), math.log10(high)
    panel.imshow(shades, extent=(*ends, 0.0, 1.0), aspect="auto", interpolation="none")
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
    decades = range(math.ceil(ends[0]), math.floor(ends[1]) + 1)
    stride = max(1, -(-len(decades) // 6))
    panel.set_xticks([float(decade) for decade in decades[::stride]], [number(10.0**d) for d in decades[::stride]])
    panel.tick_params(length=3, width=0.8)
    entitle(panel, "", x=unit)
