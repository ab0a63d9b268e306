"""Transfer: the notes' table, what was measured for it, and the output layers that were tried."""

import textwrap

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from trainwell.core.records.evidence import HeadGrid, TransferDecision
from trainwell.pictures.drawing import BLUE, GREEN, INK, ORANGE, PINK, drawing, entitle, finished, rule, sheet
from trainwell.pictures.text import number, percent
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
def transfer_table(decision: TransferDecision | None = None) -> Figure:
    """What to do with pretrained weights, by how much data there are and how like the pretraining's they are.

    Args:
        decision: of a run, whose cell is marked; None: none is.
    """
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
            if decision is not None and (amount, similar) == (decision.amount, decision.similarity >= SIMILAR_FROM):
                panel.add_patch(Rectangle(corner, 0.96, 0.94, fill=False, edgecolor=INK, linewidth=2.5))
    for row, amount in enumerate(rows):
        panel.text(-0.03, row + 0.5, _AMOUNTS[amount], ha="right", va="center", size=10.5)
    figure.suptitle("Transfer learning", x=0.01, ha="left", size=13, weight="bold")
    return finished(figure)


@drawing()
def transfer_probe(decision: TransferDecision) -> Figure:
    """What similarity was measured by: held-out accuracy of chance, of a new network, of a linear probe.

    Args:
        decision: whose similarity was measured.
    """
    rows = (
        ("linear probe on pretrained features", decision.probe, BLUE),
        ("new network at equal cost", decision.scratch, ORANGE),
        ("commonest class", decision.chance, INK),
    )
    figure, (panel,) = sheet(150.0)
    places = range(len(rows))
    panel.barh(places, [value for _, value, _ in rows], color=[color for *_, color in rows], height=0.6)
    for place, (_, value, _) in zip(places, rows):
        panel.annotate(percent(value), (value, place), xytext=(5, 0), textcoords="offset points", va="center", size=11)
    panel.invert_yaxis()
    panel.set_xlim(0, 1.15 * max(max(value for _, value, _ in rows), 0.1))
    rule(panel, x=True)
    entitle(panel, "Pretrained or new?", x=f"accuracy on {decision.held_out} pictures")
    # Rules set ticks of their own.
    panel.set_yticks(list(places), [name for name, *_ in rows])
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    panel.set_xticks([share for share in shares if share <= panel.get_xlim()[1]])
    panel.set_xticklabels([percent(share, 0) for share in shares if share <= panel.get_xlim()[1]])
    return finished(figure)


@drawing()
def heads(record: HeadGrid) -> Figure:
    """Held-out accuracy of output layers by rate and weight decay: of each pair, the best of its others.

    Args:
        record: with one point at least.
    """
    rates = sorted({point.lr for point in record.points})
    decays = sorted({point.weight_decay for point in record.points})
    figure, (panel,) = sheet(260.0)
    best = record.points[0]
    reached = {}
    for point in reversed(record.points):
        reached[point.lr, point.weight_decay] = point
    losses = [point.loss for point in reached.values()]
    low, high = min(losses), max(losses)
    for (lr, decay), point in reached.items():
        corner = (rates.index(lr) - 0.5, decays.index(decay) - 0.5)
        share = (high - point.loss) / (high - low) if high > low else 1.0
        panel.add_patch(Rectangle(corner, 1, 1, facecolor=BLUE, alpha=0.08 + 0.5 * share, linewidth=0))
        said = f"{percent(point.accuracy)}\n{point.loss:.3f}"
        panel.text(rates.index(lr), decays.index(decay), said, ha="center", va="center", size=10.5)
    corner = (rates.index(best.lr) - 0.5, decays.index(best.weight_decay) - 0.5)
    panel.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=INK, linewidth=2.5))
    panel.set_xlim(-0.55, len(rates) - 0.45)
    panel.set_ylim(-0.55, len(decays) - 0.45)
    panel.set_xticks(range(len(rates)), [number(rate) for rate in rates])
    panel.set_yticks(range(len(decays)), [number(decay) for decay in decays])
    entitle(panel, f"{len(record.points)} output layers: accuracy, loss (nats)", x="learning rate", y="weight decay")
    return finished(figure)
