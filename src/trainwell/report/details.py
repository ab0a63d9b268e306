"""What a visit of a step leaves, on the page: pictures, and what stands below them."""

import math
from dataclasses import dataclass

from trainwell.core.records.evidence import (
    Detail,
    Grid,
    GridPoint,
    HeadGrid,
    InitialLoss,
    Invariances,
    LearningCurves,
    Look,
    LrSweep,
    Next,
    SmallSample,
    TransferDecision,
)
from trainwell.core.records.run import RunRecord
from trainwell.pictures.bars import class_counts, invariances
from trainwell.pictures.curves import learning_curves, small_sample
from trainwell.pictures.grid import grid, in_order, plain, slices
from trainwell.pictures.initial import initial_loss, layer_statistics
from trainwell.pictures.sweep import confirmations, sweep
from trainwell.pictures.text import duration, metric, number, percent
from trainwell.pictures.transfer import heads, transfer_probe, transfer_table
from trainwell.report.images import Shelf
from trainwell.report.markup import Child, Markup, element, together
from trainwell.report.parts import Numbering, all_of, bullets, fold, paragraph, picture, table
from trainwell.report.verdict import simple_models


@dataclass(frozen=True)
class Shown:
    """What one detail puts on the page.

    Attributes:
        pictures: they stand beside each other, with those of the visit's other details.
        below: what follows them.
    """

    pictures: tuple[Markup | None, ...] = ()
    below: Markup | None = None


def detail(record: Detail, run: RunRecord, shelf: Shelf, numbering: Numbering) -> Shown:
    """One detail of a visit.

    Args:
        record: any of them.
        run: whose.
        shelf: the run's pictures.
        numbering: of the page.
    Returns:
        Pictures and what follows them.
    """
    task = run.data.task
    match record:
        case Look():
            return _look(record, run, shelf, numbering)
        case TransferDecision():
            return _transfer(record, numbering)
        case HeadGrid():
            return _heads(record, numbering)
        case InitialLoss():
            return _initial_loss(record, numbering)
        case SmallSample():
            return Shown((picture(small_sample(record, task), _fit_sentence(record, task), numbering),))
        case LrSweep():
            return _sweep(record, numbering)
        case Grid():
            return _grid(record, task, numbering)
        case LearningCurves():
            return Shown((picture(learning_curves(record, task), f"Reading: {record.shape}.", numbering),))
        case Next():
            return _next(record)
        case Invariances():
            return _invariances(record, task, numbering)


def _look(detail: Look, run: RunRecord, shelf: Shelf, numbering: Numbering) -> Shown:
    # The visit was recorded before the test part was touched; the result knows the test figures too.
    simple = simple_models(run) or detail.yardsticks
    timed = any(one.seconds > 0 for one in simple)
    rows = [
        (
            one.name,
            metric(one.metric, run.data.task),
            number(one.loss),
            metric(one.test, run.data.task) if one.test is not None else "not touched yet",
            *((duration(one.seconds),) if timed else ()),
        )
        for one in simple
    ]
    name = "accuracy" if run.data.task == "classification" else "R²"
    head = ("model", f"validation {name}", "validation loss", f"test {name}", *(("time",) if timed else ()))
    measured = (
        table("Yardsticks: simple models on the same split", head, rows, numeric=range(1, len(head))) if rows else None
    )
    counted = run.data.task == "classification" and bool(run.data.class_counts)
    counts = picture(class_counts(run.data), _count_sentence(run), numbering) if counted else None
    return Shown((_montage(detail, shelf), counts), measured)


def _transfer(detail: TransferDecision, numbering: Numbering) -> Shown:
    if not detail.amount:
        return Shown()
    measured = None
    if math.isfinite(detail.similarity):
        caption = (
            f"Similarity {detail.similarity:.2f}: the probe's share of what both reach above chance. Trained on "
            f"{detail.tried_on} pictures; the probe leads by {detail.lead:.1f} standard errors."
        )
        measured = picture(transfer_probe(detail), caption, numbering)
    cell = f"The notes' table; outlined: this data, {detail.samples_per_class:.0f} pictures a class."
    return Shown((measured, picture(transfer_table(detail), cell, numbering)))


def _heads(detail: HeadGrid, numbering: Numbering) -> Shown:
    rows = [
        (
            number(point.lr),
            number(point.weight_decay),
            number(point.dropout),
            number(point.label_smoothing),
            percent(point.accuracy),
            number(point.loss),
            f"{point.folds}",
        )
        for point in detail.points
    ]
    head = ("rate", "weight decay", "dropout", "label smoothing", "accuracy", "loss", "folds")
    low, high = detail.interval
    caption = (
        f"Best: {percent(detail.points[0].accuracy)} (95% interval {percent(low)} to {percent(high)}) on "
        f"{detail.samples:,} pictures, each judged by output layers that had not learnt from it; loss decides. "
        "Of each rate and decay the best of its dropouts and smoothings is shown."
    )
    listed = table("Output layers, the best first", head, rows, numeric=range(len(head)))
    return Shown((picture(heads(detail), caption, numbering),), fold(all_of(len(rows), "output layer"), listed))


def _montage(detail: Look, shelf: Shelf) -> Markup | None:
    if not detail.montage:
        return None
    found = shelf.find(detail.montage)
    if found is None:
        return paragraph(f"The picture {detail.montage} is missing from the evidence folder.", class_="why")
    caption = "Some training samples, as the network is given them."
    image = element(
        "img", src=found.uri, alt=caption, width=str(found.width), height=str(found.height), class_="montage"
    )
    return element("figure", image, element("figcaption", caption))


def _count_sentence(run: RunRecord) -> str:
    counts = [sum(part) for part in zip(*run.data.class_counts.values())]
    if not counts:
        return "No class was counted."
    largest, smallest = max(counts), min(counts)
    if largest == smallest:
        return f"Every class has {largest:,} samples."
    return f"The largest class has {largest:,} samples, the smallest {smallest:,}."


def _initial_loss(detail: InitialLoss, numbering: Numbering) -> Shown:
    rows = [
        (
            layer.name,
            layer.kind,
            layer.activation or "none",
            number(layer.mean),
            number(layer.std),
            percent(layer.dead),
            percent(layer.saturated),
            number(layer.gradient_std),
        )
        for layer in detail.layers
    ]
    head = ("layer", "kind", "then", "mean", "std", "dead", "saturated", "gradient std")
    caption = (
        f"Measured {number(detail.measured, 4)}; expected {number(detail.zero_output, 4)}; "
        f"outputs have a standard deviation of {number(detail.logit_std)}."
    )
    drawn = (
        picture(initial_loss(detail), caption, numbering),
        picture(layer_statistics(detail), _layer_sentence(detail), numbering) if detail.layers else None,
    )
    listed = table("Layers of the untouched network on one batch", head, rows, numeric=(3, 4, 5, 6, 7))
    return Shown(drawn, fold(all_of(len(rows), "layer"), listed) if rows else None)


def _fit_sentence(detail: SmallSample, task: str) -> str:
    if not detail.loss.y or not detail.metric.y:
        return f"Nothing was measured at a learning rate of {number(detail.lr)}."
    name = "accuracy" if task == "classification" else "R²"
    tries = f" after {len(detail.attempts)} other rates" if len(detail.attempts) > 1 else ""
    tries = " after another rate" if len(detail.attempts) == 1 else tries
    return (
        f"At a learning rate of {number(detail.lr)}{tries} the loss goes from {number(detail.loss.y[0])} to "
        f"{number(detail.loss.y[-1])}, and {name} ends at {metric(detail.metric.y[-1], task)}."
    )


def _layer_sentence(detail: InitialLoss) -> str:
    spreads = [layer.std for layer in detail.layers]
    dead = max(layer.dead for layer in detail.layers)
    ends = f"Outputs begin with a standard deviation of {number(spreads[0])} and end with {number(spreads[-1])}"
    return f"{ends}; at most {percent(dead)} of a layer's units are dead."


def _sweep(detail: LrSweep, numbering: Numbering) -> Shown:
    low, high = detail.interval
    seen = f"The loss falls between {number(low)} and {number(high)}; chosen: {number(detail.lr)}."
    if not detail.usable:
        seen = "The loss falls at no rate that was tried."
    runs = "Short runs from the untouched network, one a rate."
    return Shown(
        (
            picture(sweep(detail), seen, numbering),
            picture(confirmations(detail), runs, numbering) if detail.confirmations else None,
        )
    )


def _grid(detail: Grid, task: str, numbering: Numbering) -> Shown:
    if not detail.axes:
        # Kinds of training, which no number tells apart: their table says all.
        return Shown((), _points(detail, task))
    caption = _best_sentence(detail, task)
    influence = _influence_sentence(detail)
    along = None
    if len(detail.axes) > 2:
        along = picture(slices(detail, task), influence or "The same trials along each axis.", numbering)
    elif influence:
        caption = f"{caption} {influence}"
    noise = None
    if detail.noise > 0:
        spread = f"{number(100 * detail.noise)} points" if task == "classification" else number(detail.noise)
        noise = paragraph(f"From seed to seed the error of one and the same trial varies by {spread}.", class_="why")
    return Shown((picture(grid(detail, task), caption, numbering), along), together(noise, _points(detail, task)))


def _best_sentence(detail: Grid, task: str) -> str:
    best = next((point for point in detail.points if point.trial == detail.best), None)
    if best is None:
        return f"{len(detail.points)} trials."
    places = [f"{plain(axis)} {_coordinate(best, axis)}" for axis in in_order(detail.axes)]
    edge = f" It lies at the edge of the grid in {', '.join(map(plain, detail.at_edge))}." if detail.at_edge else ""
    return f"Best: trial {best.trial}, error {_error(best.value, task)}, at {', '.join(places)}.{edge}"


def _influence_sentence(detail: Grid) -> str:
    if not detail.importances:
        return ""
    shares = sorted(detail.importances.items(), key=lambda pair: -pair[1] if pair[1] == pair[1] else 0.0)
    said = ", ".join(f"{plain(axis)} {percent(share, 0)}" for axis, share in shares)
    return f"Share of the differences that each axis explains: {said}."


def _coordinate(point: GridPoint, axis: str) -> str:
    if axis in point.labels:
        return point.labels[axis]
    return number(point.coordinates[axis]) if axis in point.coordinates else "none"


def _error(value: float, task: str) -> str:
    return percent(value) if task == "classification" and 0 <= value <= 1 else number(value)


def _points(detail: Grid, task: str) -> Markup | None:
    if not detail.points:
        return None
    ranked = sorted(
        detail.points, key=lambda point: (point.value if point.value == point.value else float("inf"), point.trial)
    )
    named = not detail.axes
    rows = [
        (
            f"{point.trial}",
            *((point.labels.get("change", ""),) if named else ()),
            *(_coordinate(point, axis) for axis in in_order(detail.axes)),
            _error(point.value, task),
            number(point.loss),
            f"{point.steps:,}",
            point.state,
        )
        for point in ranked
    ]
    head = (
        "trial",
        *(("training",) if named else ()),
        *map(plain, in_order(detail.axes)),
        "error",
        "loss",
        "steps",
        "state",
    )
    return fold(
        all_of(len(rows), "trial"),
        table("Trials of this grid, the best first", head, rows, numeric=range(1 + named, len(head) - 1)),
    )


def _next(detail: Next) -> Shown:
    rows = [(plain(choice.path), choice.value, choice.why) for choice in detail.choices]
    spent = paragraph(f"{percent(detail.spent_fraction, 0)} of the budget is spent.")
    return Shown(
        (), together(spent, table("Chosen for the next round", ("what", "value", "because"), rows) if rows else None)
    )


def _invariances(detail: Invariances, task: str, numbering: Numbering) -> Shown:
    if not detail.found:
        return Shown((), paragraph("No invariance was looked for."))
    said: list[Child] = [
        together(
            element("strong", one.name), f" {'admitted' if one.admitted else 'refused'}: {one.statement}. {one.why}"
        )
        for one in detail.found
    ]
    admitted = [one.name for one in detail.found if one.admitted]
    caption = f"Admitted: {', '.join(admitted)}." if admitted else "None of the invariances was admitted."
    return Shown((picture(invariances(detail, task), caption, numbering),), bullets(said))
