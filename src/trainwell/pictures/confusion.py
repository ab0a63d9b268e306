"""The confusion matrix: which class is taken for which."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trainwell.pictures.drawing import BLUE, FAINT, INK, ORANGE, WHITE, drawing, entitle, finished, nothing, sheet
from trainwell.pictures.text import shorten

MOST_CLASSES = 16
"""More do not fit a page of 390 pixels: then the classes most often mistaken stand beside "all others"."""

Matrix = tuple[tuple[int, ...], ...]


@drawing()
def confusion(matrix: Matrix, names: Sequence[str]) -> Figure:
    """How often each class was taken for each: right on the diagonal in blue, wrong beside it in orange.

    Args:
        matrix: rows truth, columns prediction.
        names: of the classes, as many as rows.
    Returns:
        One panel of squares, each as strong as its share of its row.
    """
    shown, labels = gathered(matrix, names)
    size = len(shown)
    figure, (panel,) = sheet(440.0 if size > 4 else 320.0)
    if not size:
        nothing(panel, "No class was measured.")
        entitle(panel, "Confusion matrix")
        return finished(figure)
    for row, counts in enumerate(shown):
        total = max(1, sum(counts))
        for column, count in enumerate(counts):
            if not count:
                continue
            share = count / total
            # A single mistake among many samples must still be seen.
            strength = share if row == column else 0.3 + 0.7 * share
            color = BLUE if row == column else ORANGE
            panel.add_patch(
                Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=color, alpha=strength, edgecolor="none")
            )
            panel.text(
                column,
                row,
                f"{count:,}" if size <= 12 else str(count),
                ha="center",
                va="center",
                size=11 if size <= 12 else 9,
                color=WHITE if strength > 0.7 else INK,
            )
    panel.set_xlim(-0.5, size - 0.5)
    panel.set_ylim(size - 0.5, -0.5)
    panel.set_aspect("equal")
    short = [shorten(name, 18) for name in labels]
    turned = max(map(len, short)) * size > 40
    panel.set_xticks(range(size), short, rotation=90 if turned else 0)
    panel.set_yticks(range(size), short)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_alpha(FAINT)
    entitle(panel, "Confusion matrix (test samples)", y="truth ↓", x="predicted →")
    return finished(figure)


def gathered(matrix: Matrix, names: Sequence[str]) -> tuple[Matrix, list[str]]:
    """The matrix itself, or the part of it that a page holds.

    Args:
        matrix: rows truth, columns prediction.
        names: of the classes.
    Returns:
        A matrix of at most `MOST_CLASSES` + 1 rows with the same sum, and its names.
    Example:
        >>> gathered(((3, 1), (0, 2)), ["a", "b"])
        (((3, 1), (0, 2)), ['a', 'b'])
    """
    size = len(matrix)
    if size <= MOST_CLASSES:
        return matrix, list(names)
    wrong = [sum(matrix[k]) + sum(row[k] for row in matrix) - 2 * matrix[k][k] for k in range(size)]
    kept = sorted(sorted(range(size), key=lambda k: (-wrong[k], k))[:MOST_CLASSES])
    others = [k for k in range(size) if k not in set(kept)]
    groups = [[k] for k in kept] + [others]
    part = tuple(tuple(sum(matrix[i][j] for i in rows for j in columns) for columns in groups) for rows in groups)
    return part, [*(names[k] for k in kept), f"{len(others)} others"]
