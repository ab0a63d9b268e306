"""Step 1: the untouched network's loss against its expectation, and the statistics of its layers."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from trainwell.core.records.evidence import InitialLoss
from trainwell.pictures.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    drawing,
    entitle,
    finished,
    is_drawable,
    is_loggable,
    nothing,
    rule,
    sheet,
)
from trainwell.pictures.lines import limits
from trainwell.pictures.text import number, shorten

MOST_NAMES = 40
"""Of more layers every second, third, ... is named."""


@drawing()
def initial_loss(record: InitialLoss) -> Figure:
    """What was measured beside what an untouched network should cost.

    Args:
        record: as measured.
    Returns:
        One panel of three points on a line.
    """
    figure, (panel,) = sheet(150.0)
    rows = (
        ("measured", record.measured, BLUE),
        ("expected: output zero", record.zero_output, ORANGE),
        ("best constant output", record.best_constant, INK),
    )
    drawable = [value for _, value, _ in rows if is_drawable(value)]
    if not drawable:
        nothing(panel, "No finite loss was measured.")
        entitle(panel, "Loss before any training")
        return finished(figure)
    for row, (_, value, color) in enumerate(rows):
        if is_drawable(value):
            panel.plot([0, value], [row, row], color=color, alpha=FAINT, linewidth=1.5)
            panel.plot([value], [row], marker="o", markersize=8, color=color, linestyle="none")
        here = value if is_drawable(value) else 0.0
        panel.annotate(number(value, 4), (here, row), xytext=(8, 0), textcoords="offset points", va="center")
    panel.set_xlim(min(0.0, *drawable), limits([0.0, *drawable], margin=0.22)[1])
    panel.set_ylim(2.5, -0.5)
    rule(panel, y=False)
    panel.set_yticks(range(3), [name for name, _, _ in rows])
    panel.tick_params(axis="y", length=0)
    entitle(panel, "Loss before any training", x="loss")
    return finished(figure)


@drawing()
def layer_statistics(record: InitialLoss) -> Figure:
    """Spread of each layer's outputs and of its weights' gradients, and its dead units, from input to output.

    Args:
        record: as measured.
    Returns:
        Panels beside each other with one row a layer; that of dead units where there are some.
    """
    count = len(record.layers)
    dead = [100 * layer.dead for layer in record.layers]
    has_dead = any(is_drawable(share) and share > 0 for share in dead)
    row = 19.0 if count <= MOST_NAMES else 19.0 * MOST_NAMES / count
    figure, panels = sheet(86.0 + row * max(count, 2), columns=2 + has_dead, share="y")
    _spread(panels[0], [layer.std for layer in record.layers], "outputs: std", BLUE)
    _spread(panels[1], [layer.gradient_std for layer in record.layers], "gradients: std", GREEN)
    if has_dead:
        kept = [(place, share) for place, share in enumerate(dead) if is_drawable(share)]
        panels[2].barh([place for place, _ in kept], [share for _, share in kept], color=ORANGE, height=0.6)
        panels[2].set_xlim(0, max(5.0, 1.1 * max(share for _, share in kept)))
        entitle(panels[2], "", x="dead units (%)")
        rule(panels[2], x=True, y=False)
    stride = max(1, -(-count // MOST_NAMES))
    names = [shorten(layer.name, 20) for layer in record.layers]
    panels[0].set_yticks(range(0, count, stride), names[::stride])
    panels[0].set_ylim(max(count, 1) - 0.4, -0.6)
    for panel in panels:
        panel.tick_params(axis="y", length=0)
    figure.suptitle("Layer by layer, before any training", x=0.01, ha="left", size=13, weight="bold")
    return finished(figure)


def _spread(panel: Axes, values: list[float], what: str, color: str) -> None:
    kept = [(place, value) for place, value in enumerate(values) if is_loggable(value)]
    entitle(panel, "", x=what)
    if kept:
        panel.set_xscale("log")
        panel.plot([value for _, value in kept], [place for place, _ in kept], color=color, marker="o", markersize=5)
        low, high = min(value for _, value in kept), max(value for _, value in kept)
        # Layers that differ by less than a factor of ten are alike: the axis does not blow their difference up.
        panel.set_xlim(min(low / 1.5, high / 10), max(high * 1.5, low * 10))
    rule(panel, x=True, y=False)
    if kept:
        panel.xaxis.set_major_locator(LogLocator(numticks=4))
