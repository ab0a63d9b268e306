"""How every picture is drawn: its settings, colours, size and panels.

matplotlib's settings are one table for the whole process. Every picture is therefore made inside `drawing()`: it holds
a lock, sets what our pictures depend on (a user's own style changes nothing in them), and puts everything back.
No pyplot: a Figure belongs to whoever called for it.
"""

import contextlib
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from trainwell.pictures.text import clean, number

WIDTH = 440
"""Points. Wide enough for two panels of text at 12 points, which are still 9.5 pixels on a page 390 pixels wide."""

INK = "#010101"
"""Axes and text: `svg.to_svg` writes it as currentColor. Not pure black, which matplotlib leaves out of its SVG."""

PAPER = "#fefefe"
"""What lies behind: `svg.to_svg` writes it as the page's background."""

WHITE = "#ffffff"
"""On strong colours, whatever lies behind."""

# Okabe and Ito's palette without its light colours: each has a contrast of 3 at least with white and with near-black.
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
PINK = "#cc79a7"
FAINT = 0.35

LARGEST = 1e30
"""What is larger counts as diverged and is not drawn: matplotlib's arithmetic overflows near the largest float."""

_OURS = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 12.0,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 13.0,
    "axes.titleweight": "bold",
    "figure.dpi": 72.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.dpi": "figure",
    "font.family": ["DejaVu Sans"],
    "font.size": 12.0,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "legend.borderaxespad": 0.0,
    "legend.borderpad": 0.0,
    "legend.columnspacing": 1.2,
    "legend.fontsize": 11.0,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.labelcolor": INK,
    "lines.linewidth": 2.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "trainwell",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": 11.0,
    "ytick.color": INK,
    "ytick.labelsize": 11.0,
}
_ROOMS = (
    *("axes", "errorbar", "figure", "font", "grid", "hatch", "image", "legend", "lines", "markers", "patch", "path"),
    *("savefig", "scatter", "svg", "text", "xtick", "ytick"),
)
_SETTINGS: dict[Any, Any] = {
    **{name: value for name, value in matplotlib.rcParamsDefault.items() if name.split(".")[0] in _ROOMS},
    **_OURS,
}
_LOCK = threading.RLock()


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """The settings under which pictures are made and written; also a decorator.

    Example:
        >>> with drawing():
        ...     matplotlib.rcParams["text.parse_math"]
        False
    """
    with _LOCK, matplotlib.rc_context(), warnings.catch_warnings():
        # The browser has glyphs that the font we measure with lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcParams.update(_SETTINGS)
        yield


def sheet(
    height: float, *, rows: int = 1, columns: int = 1, ratios: Sequence[float] = (), share: str = ""
) -> tuple[Figure, list[Axes]]:
    """An empty figure with its panels.

    Args:
        height: points, > 0.
        rows: of panels, >= 1.
        columns: of panels, >= 1.
        ratios: heights of the rows against each other; empty for equal ones.
        share: "x" where the panels below each other have one horizontal axis, "y" where those beside each other have
            one vertical axis.
    Returns:
        The figure, and its panels row by row.
    """
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    panels = figure.subplots(
        rows, columns, squeeze=False, height_ratios=list(ratios) or None, sharex=share == "x", sharey=share == "y"
    )
    return figure, [panel for row in panels for panel in row]


def entitle(panel: Axes, title: str, *, y: str = "", x: str = "", legend: int = 0) -> None:
    """Title, axis names and legend of a panel; the y axis is named above its end, where it reads without turning.

    Args:
        panel: drawn already.
        title: a few words; empty for none.
        y: name of the vertical axis with its unit.
        x: name of the horizontal axis with its unit.
        legend: columns of the legend; 0 for none.
    """
    above = bool(y) or legend > 0
    if title:
        panel.set_title(clean(title), pad=22.0 if above else 8.0)
    if y:
        panel.annotate(
            clean(y), (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", size=11, alpha=0.75
        )
    if x:
        panel.set_xlabel(clean(x))
    if legend:
        panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.02), ncols=legend)


def rule(panel: Axes, *, x: bool = False, y: bool = True, ticks: int = 5) -> None:
    """Faint lines behind what is drawn, and plain numbers on both axes.

    Args:
        panel: to rule.
        x: whether at the numbers of the horizontal axis.
        y: whether at those of the vertical axis.
        ticks: numbers on a linear vertical axis, about.
    """
    panel.set_axisbelow(True)
    panel.grid(x, axis="x")
    panel.grid(y, axis="y")
    panel.tick_params(length=3, width=0.8)
    for axis, scale, bins in ((panel.xaxis, panel.get_xscale(), 5), (panel.yaxis, panel.get_yscale(), ticks)):
        axis.set_major_formatter(FuncFormatter(lambda value, _, axis=axis: _tick(axis, value)))
        if scale == "log":
            axis.set_minor_locator(NullLocator())
            low, high = sorted(axis.get_view_interval())
            if high / low < 30:
                axis.set_major_locator(FixedLocator(one_two_five(low, high)))
            else:
                axis.set_major_locator(LogLocator(numticks=6))
        else:
            axis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10]))


def _tick(axis: Axis, value: float) -> str:
    """A number of an axis, with as many digits as tell it from its neighbours."""
    low, high = sorted(axis.get_view_interval())
    largest = max(abs(low), abs(high))
    if axis.get_scale() == "log" or not high - low > 1e-12 * largest:
        return number(value)
    # Differences that only rounding left would otherwise stand in the tick that means zero.
    near_zero = abs(value) < 1e-9 * (high - low)
    return number(0.0 if near_zero else value, max(3, math.ceil(math.log10(largest / (high - low))) + 2))


def one_two_five(low: float, high: float) -> list[float]:
    """Numbers of the form 1, 2 or 5 times a power of ten.

    Args:
        low: > 0.
        high: >= low.
    Returns:
        Those between them.
    Example:
        >>> one_two_five(0.8, 6.0)
        [1.0, 2.0, 5.0]
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [leading * 10.0**exponent for exponent in exponents for leading in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def nothing(panel: Axes, why: str) -> None:
    """A panel that says that there is nothing to draw.

    Args:
        panel: to write on.
        why: one short sentence.
    """
    panel.set_axis_off()
    panel.text(0.5, 0.5, clean(why), transform=panel.transAxes, ha="center", va="center", alpha=0.75)


def finished(figure: Figure) -> Figure:
    """Lays the figure out, once: whoever draws it later, under whatever settings, finds its parts in their places.

    Args:
        figure: drawn already.
    Returns:
        The same figure.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        # Not "none", whose placeholder makes every savefig draw twice.
        figure.set_layout_engine(None)
    return figure


def is_drawable(value: float) -> bool:
    """Whether a number can stand in a picture: finite, and not absurdly large."""
    return math.isfinite(value) and abs(value) < LARGEST


def is_loggable(value: float) -> bool:
    """Whether a number can stand on a logarithmic axis."""
    return 1 / LARGEST < value < LARGEST
