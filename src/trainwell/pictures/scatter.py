"""A regression's predictions against the truth."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from trainwell.pictures.drawing import BLUE, FAINT, INK, drawing, entitle, finished, is_drawable, nothing, rule, sheet
from trainwell.pictures.lines import limits
from trainwell.pictures.text import shorten


@drawing()
def predictions(truth: Sequence[float], predicted: Sequence[float], target: str) -> Figure:
    """One point a test sample; on the line the prediction is right.

    Args:
        truth: true values.
        predicted: the same samples' predictions, as many.
        target: name of the column.
    Returns:
        One square panel.
    """
    figure, (panel,) = sheet(400.0)
    pairs = [(x, y) for x, y in zip(truth, predicted) if is_drawable(x) and is_drawable(y)]
    if not pairs:
        nothing(panel, "No finite prediction was made.")
        entitle(panel, "Prediction against truth")
        return finished(figure)
    ends = limits([value for pair in pairs for value in pair])
    panel.plot(ends, ends, color=INK, alpha=FAINT, linewidth=1.2)
    panel.plot(
        [x for x, _ in pairs], [y for _, y in pairs], marker="o", markersize=5, linestyle="none", color=BLUE, alpha=0.6
    )
    panel.set_xlim(*ends)
    panel.set_ylim(*ends)
    panel.set_aspect("equal")
    rule(panel, x=True)
    name = shorten(target, 24)
    entitle(panel, f"Prediction against truth, {len(pairs):,} test samples", y=f"{name}, predicted", x=f"{name}, true")
    return finished(figure)
