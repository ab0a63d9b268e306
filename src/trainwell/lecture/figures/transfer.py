"""The notes' table of transfer learning."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trainwell.pictures.drawing import BLUE, GREEN, ORANGE, PINK, drawing, finished, sheet
from trainwell.transfer import LITTLE_BELOW, PLENTY_FROM, SIMILAR_FROM, TRANSFER_TABLE, Amount

_AMOUNTS: dict[Amount, str] = {
    "little": f"little data\nunder {LITTLE_BELOW}\na class",
    "much": f"much data\n{LITTLE_BELOW} to {PLENTY_FROM - 1:,}\na class",
    "plenty": f"plenty\n{PLENTY_FROM:,} or more\na class",
}
_COLORS = {"freeze": BLUE, "tune_top": GREEN, "tune_all": PINK, "from_scratch": ORANGE}
_WORDS = {
    "freeze": "freeze all but output",
    "tune_top": "tune the last stages",
    "tune_all": "tune all layers",
    "from_scratch": "train from scratch",
}


@drawing()
def transfer_table() -> Figure:
    """What to do with pretrained weights, by how much data there are and how like the pretraining's they are."""
    figure, (panel,) = sheet(360.0)
    rows, columns = tuple(_AMOUNTS), (True, False)
    panel.set_xlim(-0.5, len(columns))
    panel.set_ylim(len(rows), -0.22)
    panel.set_axis_off()
    for column, similar in enumerate(columns):
        word = f"similarity {SIMILAR_FROM:g} or more" if similar else "less similar"
        panel.text(column + 0.5, -0.08, word, ha="center", va="center", weight="bold", size=12)
        for row, amount in enumerate(rows):
            plan = TRANSFER_TABLE[amount, similar]
            corner = (column + 0.02, row + 0.03)
            panel.add_patch(Rectangle(corner, 0.96, 0.94, facecolor=_COLORS[plan.action], alpha=0.18, linewidth=0))
            panel.add_patch(Rectangle(corner, 0.02, 0.94, facecolor=_COLORS[plan.action], linewidth=0))
            panel.text(column + 0.08, row + 0.12, _WORDS[plan.action], va="top", size=11, weight="bold")
            panel.text(column + 0.08, row + 0.32, textwrap.fill(plan.advice, 27), va="top", size=9.5, linespacing=1.3)
    for row, amount in enumerate(rows):
        panel.text(-0.03, row + 0.5, _AMOUNTS[amount], ha="right", va="center", size=10.5)
    figure.suptitle("Transfer learning", x=0.01, ha="left", size=13, weight="bold")
    return finished(figure)
