"""The reliability diagram: how often what was said with some confidence is so."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from trainwell.core.records.outcome import CalibrationBin
from trainwell.pictures.drawing import (
    BLUE,
    FAINT,
    INK,
    drawing,
    entitle,
    finished,
    is_drawable,
    nothing,
    rule,
    sheet,
)

LARGEST_POINT = 15.0
SMALLEST_POINT = 4.0


@drawing()
def reliability(bins: Sequence[CalibrationBin]) -> Figure:
    """Share that is right against confidence: on the line, 90% sure means right nine times of ten.

    Args:
        bins: of confidence, those that hold samples.
    Returns:
        One panel with a point a bin, its area as its samples, with its interval.
    """
    figure, (panel,) = sheet(360.0)
    title = "How often it is right when it is so sure"
    shown = [one for one in bins if is_drawable(one.confidence) and is_drawable(one.right)]
    if not shown:
        nothing(panel, "No probability was measured.")
        entitle(panel, title)
        return finished(figure)
    panel.plot([0, 100], [0, 100], color=INK, alpha=FAINT, linewidth=1.2)
    most = max(one.count for one in shown)
    for one in shown:
        place = 100 * one.confidence
        if all(map(is_drawable, one.interval)):
            panel.plot([place, place], [100 * end for end in one.interval], color=BLUE, linewidth=3, alpha=0.4)
        size = max(LARGEST_POINT * (one.count / most) ** 0.5, SMALLEST_POINT)
        panel.plot([place], [100 * one.right], marker="o", markersize=size, color=BLUE, clip_on=False)
    panel.set_xlim(0, 100)
    panel.set_ylim(0, 100)
    panel.set_aspect("equal")
    rule(panel, x=True)
    entitle(
        panel,
        title,
        y="right (%) with 95% interval",
        x=f"probability given to the answer (%); largest point: {most:,} samples",
    )
    return finished(figure)
