"""Step 3: the loss against the learning rate, and the short runs that confirm the choice."""

import itertools

from matplotlib.figure import Figure

from trainwell.core.records.evidence import LrSweep
from trainwell.pictures.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PINK,
    drawing,
    entitle,
    finished,
    is_loggable,
    nothing,
    rule,
    sheet,
)
from trainwell.pictures.lines import draw, limits, points
from trainwell.pictures.text import number, shorten


@drawing()
def sweep(record: LrSweep) -> Figure:
    """The loss while the rate grows geometrically, with the interval in which it falls and the rate that was chosen.

    Args:
        record: as measured.
    Returns:
        One panel, logarithmic in the rate.
    """
    figure, (panel,) = sheet(280.0)
    _, raw = points(record.curve, log_x=True)
    if not raw:
        nothing(panel, "No finite loss was measured.")
        entitle(panel, "Loss against learning rate")
        return finished(figure)
    panel.set_xscale("log")
    # Beyond the start by as much as the loss fell, the curve only says that it diverges.
    _, smooth = points(record.smoothed, log_x=True)
    floor = min([*raw, *smooth])
    ceiling = raw[0] + max(raw[0] - floor, 0.1 * abs(raw[0]))
    low, high = limits([floor, *[value for value in raw if value <= ceiling]])
    if record.usable and all(is_loggable(end) for end in record.interval):
        panel.axvspan(*record.interval, color=GREEN, alpha=0.16, linewidth=0, label="the loss falls")
    draw(panel, record.curve, log_x=True, color=INK, alpha=FAINT, linewidth=1.0, label="measured")
    draw(panel, record.smoothed, log_x=True, color=BLUE, label="smoothed")
    if is_loggable(record.lr):
        panel.axvline(record.lr, color=ORANGE, linewidth=1.8)
        panel.annotate(
            number(record.lr),
            (record.lr, 0.92),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            color=ORANGE,
            weight="bold",
        )
    panel.set_ylim(low, high)
    entitle(panel, "Loss against learning rate", y="loss", x="learning rate", legend=3)
    rule(panel)
    return finished(figure)


@drawing()
def confirmations(record: LrSweep) -> Figure:
    """The short runs from the untouched network, one a rate.

    Args:
        record: as measured.
    Returns:
        One panel.
    """
    figure, (panel,) = sheet(260.0)
    styles = itertools.product(("-", (0, (4, 1.2)), (0, (1, 1))), (BLUE, ORANGE, GREEN, PINK))
    drawn = [
        draw(panel, curve, color=color, linestyle=style, label=shorten(curve.name, 16))
        for curve, (style, color) in zip(record.confirmations, itertools.cycle(styles))
    ]
    if not any(drawn):
        nothing(panel, "No finite loss was measured.")
        entitle(panel, "Short runs at single rates")
        return finished(figure)
    starts = [y[0] for curve in record.confirmations if (y := points(curve)[1])]
    lowest = [min(y) for curve in record.confirmations if (y := points(curve)[1])]
    panel.set_ylim(*limits([min(lowest), max(starts) + 0.25 * (max(starts) - min(lowest))]))
    entitle(panel, "Short runs at single rates", y="loss", x=record.confirmations[0].x_label, legend=min(len(drawn), 4))
    rule(panel)
    return finished(figure)
