"""Trainings over time: step 2's small sample, step 6's learning curves, the training that was kept."""

import dataclasses
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import LearningCurves, SmallSample
from trainwell.core.records.trial import TrialRecord
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
from trainwell.pictures.lines import draw, points
from trainwell.pictures.text import number

TRAINING: dict[str, Any] = {"color": BLUE, "linestyle": (0, (4, 1.2)), "label": "training"}
VALIDATION: dict[str, Any] = {"color": ORANGE, "label": "validation"}


@drawing()
def small_sample(record: SmallSample, task: str) -> Figure:
    """Step 2: loss and metric while the network learns a few batches by heart.

    Args:
        record: as measured.
        task: classification or regression.
    Returns:
        Two panels.
    """
    figure, (loss, metric) = sheet(320.0, rows=2, share="x")
    for index, attempt in enumerate(record.attempts):
        draw(loss, attempt, color=INK, alpha=FAINT, linewidth=1.4, label="rates tried before" if not index else None)
    drawn = draw(loss, record.loss, color=BLUE, label=f"learning rate {number(record.lr)}")
    _dress(loss, f"Learning {record.samples:,} samples by heart", "training loss", "", drawn or bool(record.attempts))
    rising = draw(metric, _in_percent(record.metric, task), color=BLUE)
    _dress(metric, "", _metric_name(task, "training "), record.metric.x_label, False, drawn=rising)
    return finished(figure)


@drawing()
def learning_curves(record: LearningCurves, task: str) -> Figure:
    """Step 6: loss, metric and learning rate by epoch, training against validation.

    Args:
        record: as measured.
        task: classification or regression.
    Returns:
        Three panels.
    """
    figure, (loss, metric, rate) = sheet(440.0, rows=3, ratios=(3.0, 3.0, 1.2), share="x")
    for panel, train, validation, title, name in (
        (loss, record.train_loss, record.validation_loss, f"Learning curves of trial {record.trial}", "loss"),
        (metric, record.train_metric, record.validation_metric, "", _metric_name(task)),
    ):
        turn = (lambda curve: curve) if panel is loss else (lambda curve: _in_percent(curve, task))
        drawn = [draw(panel, turn(train), **TRAINING), draw(panel, turn(validation), **VALIDATION)]
        _dress(panel, title, name, "", panel is loss and any(drawn), drawn=any(drawn))
    _rate(rate, record.lr, record.lr.x_label)
    return finished(figure)


@drawing()
def training(trial: TrialRecord, task: str) -> Figure:
    """The loss of one training over its steps, and the scores measured on the way.

    Args:
        trial: usually the one that was kept.
        task: classification or regression.
    Returns:
        Two or three panels: the metric has one where it was measured.
    """
    lines = trial.metrics
    steps = tuple(float(line.step) for line in lines)
    optimized = Curve(name="optimized loss", x=steps, y=tuple(line.train_loss for line in lines))
    rate = Curve(name="learning rate", x=steps, y=tuple(line.lr for line in lines))
    scored = {
        part: tuple((float(line.step), score) for line in lines if (score := getattr(line, part)) is not None)
        for part in ("train", "validation")
    }
    measured = any(scored.values())
    ratios = (3.0, 3.0, 1.2) if measured else (3.0, 1.2)
    figure, panels = sheet(440.0 if measured else 320.0, rows=len(ratios), ratios=ratios, share="x")
    drawn = draw(panels[0], optimized, color=INK, alpha=0.5, linewidth=1.4, label="as optimized")
    for part, style in (("train", TRAINING), ("validation", VALIDATION)):
        pairs = scored[part]
        for panel, field in zip(panels[:-1], ("loss", "metric")):
            curve = Curve(
                name=field, x=tuple(x for x, _ in pairs), y=tuple(getattr(score, field) for _, score in pairs)
            )
            drawn |= draw(panel, curve if field == "loss" else _in_percent(curve, task), **style)
    _dress(panels[0], f"Trial {trial.spec.number} from start to end", "loss", "", drawn, drawn=drawn)
    if measured:
        _dress(panels[1], "", _metric_name(task), "", False, drawn=drawn)
    _rate(panels[-1], rate, rate.x_label)
    return finished(figure)


def _dress(panel: Axes, title: str, y: str, x: str, legend: bool, *, drawn: bool = True, ticks: int = 5) -> None:
    if not drawn:
        nothing(panel, f"No finite {y} was measured.")
        entitle(panel, title)
        return
    if y.endswith("loss"):
        _logarithmic(panel)
    entitle(panel, title, y=y, x=x, legend=3 if legend else 0)
    rule(panel, ticks=ticks)


def _rate(panel: Axes, curve: Curve, x: str) -> None:
    drawn = draw(panel, curve, color=GREEN)
    _, rates = points(curve)
    if drawn and max(rates) > 0:
        panel.set_ylim(0, 1.15 * max(rates))
    _dress(panel, "", "learning rate", x, False, drawn=drawn, ticks=2)


def _logarithmic(panel: Axes) -> None:
    """A loss that falls by more than a factor of ten: on a linear axis its end would be a flat line."""
    heights = [float(y) for line in panel.get_lines() for y in np.asarray(line.get_ydata()).tolist()]
    if heights and is_loggable(min(heights)) and max(heights) > 10 * min(heights):
        panel.set_yscale("log")


def _metric_name(task: str, part: str = "") -> str:
    return f"{part}accuracy (%)" if task == "classification" else f"{part}R²"


def _in_percent(curve: Curve, task: str) -> Curve:
    if task != "classification":
        return curve
    return dataclasses.replace(curve, y=tuple(100 * value for value in curve.y))
