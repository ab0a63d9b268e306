"""Horizontal comparisons: class counts, yardsticks, recall of each class, invariances."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import Invariances, Yardstick
from trainwell.core.records.outcome import ClassFigures, Outcome
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
    nothing,
    rule,
    sheet,
)
from trainwell.pictures.lines import limits
from trainwell.pictures.text import metric, shorten

MOST_ROWS = 24
"""More rows are no picture any more: the smallest and the largest stand for the rest."""


@drawing()
def class_counts(data: DataRecord) -> Figure:
    """How many samples each class has.

    Args:
        data: of a classification.
    Returns:
        One bar a class; of more than `MOST_ROWS` classes the largest and the smallest.
    """
    counts = [sum(part) for part in zip(*data.class_counts.values())]
    order = list(range(len(counts)))
    if len(order) > MOST_ROWS:
        order.sort(key=lambda index: (-counts[index], index))
    shown = order if len(order) <= MOST_ROWS else order[: MOST_ROWS // 2] + order[-MOST_ROWS // 2 :]
    figure, (panel,) = sheet(60.0 + 19 * max(len(shown), 2))
    if not shown:
        nothing(panel, "No class was counted.")
        entitle(panel, "Samples of each class")
        return finished(figure)
    panel.barh(range(len(shown)), [counts[index] for index in shown], color=BLUE, height=0.72)
    for row, index in enumerate(shown):
        panel.annotate(
            f"{counts[index]:,}", (counts[index], row), xytext=(5, 0), textcoords="offset points", va="center", size=11
        )
    left_out = len(order) - len(shown)
    title = f"The largest and smallest of {len(order)} classes" if left_out else "Samples of each class"
    panel.set_xlim(0, 1.12 * max(1, *counts))
    _rows(panel, [data.output.names[index] for index in shown])
    if left_out:
        panel.axhline(MOST_ROWS // 2 - 0.5, color=INK, alpha=FAINT, linestyle=(0, (4, 3)), linewidth=1)
    entitle(panel, title, x="samples in all parts")
    return finished(figure)


@drawing()
def yardsticks(simple: Sequence[Yardstick], task: str, outcome: Outcome | None = None) -> Figure:
    """The network beside the simple models on the same data.

    Args:
        simple: the simple models.
        task: classification or regression.
        outcome: of the network; None before the test part was touched: then the simple models' validation metric.
    Returns:
        One panel with a point a model; the network's has its interval.
    """
    tested = outcome is not None and all(one.test is not None for one in simple)
    rows: list[tuple[str, float]] = []
    if outcome is not None:
        rows.append(("this network", outcome.value))
    for one in simple:
        value = one.test if tested and one.test is not None else one.metric
        rows.append((one.name if tested or outcome is None else f"{one.name} (validation)", value))
    figure, (panel,) = sheet(76.0 + 26 * max(len(rows), 2))
    name = "Accuracy" if task == "classification" else "R²"
    title = f"{name} on {'test' if outcome is not None else 'validation'} data"
    scale = 100.0 if task == "classification" else 1.0
    interval = outcome.interval if outcome is not None and all(map(is_drawable, outcome.interval)) else None
    drawable = [scale * value for _, value in rows if is_drawable(value)]
    if not drawable:
        nothing(panel, "Nothing was measured.")
        entitle(panel, title)
        return finished(figure)
    low, high = limits([*_near(drawable), *(scale * end for end in interval or ())], margin=0.08)
    panel.set_xlim(low, high + 0.2 * (high - low))
    for row, (_, value) in enumerate(rows):
        ours = row == 0 and outcome is not None
        color = BLUE if ours else INK
        outside = not is_drawable(value) or scale * value < low
        place = low + 0.02 * (high - low) if outside else scale * value
        if ours and interval is not None:
            panel.plot([scale * end for end in interval], [row, row], color=BLUE, linewidth=4, alpha=0.5)
        if is_drawable(value):
            shape = "<" if outside else "o"
            panel.plot(
                [place],
                [row],
                marker=shape,
                markersize=9 if ours else 7,
                color=color,
                alpha=1 if ours else 0.65,
                clip_on=False,
            )
        right = max(place, scale * interval[1]) if ours and interval is not None else place
        weight = "bold" if ours else "normal"
        panel.annotate(
            metric(value, task), (right, row), xytext=(9, 0), textcoords="offset points", va="center", weight=weight
        )
    _rows(panel, [row_name for row_name, _ in rows], limit=30)
    entitle(panel, title, x=f"{name.lower()} (%)" if scale == 100 else name)
    return finished(figure)


@drawing()
def recalls(classes: Sequence[ClassFigures]) -> Figure:
    """The share of each class that was recognized, with its interval; the weakest first.

    Args:
        classes: figures of each class.
    Returns:
        One point a class; of more than `MOST_ROWS` classes the weakest.
    """
    known = [one for one in classes if is_drawable(one.recall)]
    shown = sorted(known, key=lambda one: (one.recall, one.name))[:MOST_ROWS]
    figure, (panel,) = sheet(64.0 + 20 * max(len(shown), 2))
    title = "Share of each class that is recognized"
    if len(known) > len(shown):
        title = f"The {len(shown)} weakest of {len(known)} classes"
    if not shown:
        nothing(panel, "No class was measured.")
        entitle(panel, title)
        return finished(figure)
    for row, one in enumerate(shown):
        if all(map(is_drawable, one.recall_interval)):
            panel.plot([100 * end for end in one.recall_interval], [row, row], color=BLUE, linewidth=4, alpha=0.5)
        panel.plot([100 * one.recall], [row], marker="o", markersize=6, color=BLUE)
    lowest = min(min(100 * one.recall, 100 * one.recall_interval[0]) for one in shown if is_drawable(one.recall))
    panel.set_xlim(max(0.0, lowest - 5) if is_drawable(lowest) else 0.0, 101)
    _rows(panel, [f"{shorten(one.name, 18)} ({one.samples:,})" for one in shown], limit=30)
    entitle(panel, title, x="recall (%) with 95% interval; class (test samples)")
    return finished(figure)


@drawing()
def invariances(record: Invariances, task: str) -> Figure:
    """What each change of the pictures does to the metric: without it and with it.

    Args:
        record: as measured.
        task: classification or regression.
    Returns:
        One pair of points an invariance.
    """
    scale = 100.0 if task == "classification" else 1.0
    figure, (panel,) = sheet(92.0 + 26 * max(len(record.found), 2))
    values = [
        scale * value for one in record.found for value in (one.metric_without, one.metric_with) if is_drawable(value)
    ]
    if not values:
        nothing(panel, "No invariance was measured.")
        entitle(panel, "Invariances looked for")
        return finished(figure)
    for row, one in enumerate(record.found):
        color = GREEN if one.admitted else ORANGE
        ends = [scale * value for value in (one.metric_without, one.metric_with)]
        if all(map(is_drawable, ends)):
            panel.annotate(
                "", (ends[1], row), (ends[0], row), arrowprops={"arrowstyle": "-|>", "color": color, "lw": 2}
            )
        if is_drawable(ends[0]):
            panel.plot(ends[:1], [row], marker="o", markersize=6, color=INK, linestyle="none")
        if is_drawable(ends[1]):
            panel.plot(ends[1:], [row], marker="o", markersize=7, color=color, linestyle="none")
    handles = [
        panel.plot([], [], marker="o", linestyle="none", color=color, label=name)[0]
        for name, color in (("without", INK), ("with: admitted", GREEN), ("with: refused", ORANGE))
    ]
    panel.set_xlim(*limits(values))
    _rows(panel, [one.name for one in record.found])
    entitle(panel, "Invariances looked for", x="validation accuracy (%)" if scale == 100 else "validation R²")
    panel.set_title("Invariances looked for", pad=22.0)
    panel.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.02), ncols=3)
    return finished(figure)


def _near(values: Sequence[float]) -> list[float]:
    """The values without one that lies far below all others: it becomes an arrow, and the others can be told apart."""
    ordered = sorted(values)
    others = ordered[1:]
    if len(others) >= 2 and ordered[-1] - ordered[0] > 3 * (ordered[-1] - others[0]):
        return others
    return ordered


def _rows(panel: Axes, names: Sequence[str], *, limit: int = 22) -> None:
    rule(panel, x=True, y=False)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_yticks(range(len(names)), [shorten(name, limit) for name in names])
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
