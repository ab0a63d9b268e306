"""Every picture against the record it was drawn from."""

import dataclasses
import functools
import math
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from trainwell.core.records.curve import Curve
from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import (
    Grid,
    GridPoint,
    InitialLoss,
    Invariances,
    LearningCurves,
    Look,
    LrSweep,
    SmallSample,
)
from trainwell.core.records.run import RunRecord
from trainwell.pictures.bars import MOST_ROWS, class_counts, invariances, recalls, yardsticks
from trainwell.pictures.confusion import MOST_CLASSES, confusion, gathered
from trainwell.pictures.curves import learning_curves, small_sample, training
from trainwell.pictures.drawing import BLUE, GREEN, INK, ORANGE, PINK
from trainwell.pictures.grid import grid, scale, slices
from trainwell.pictures.initial import initial_loss, layer_statistics
from trainwell.pictures.lines import MOST_POINTS, points
from trainwell.pictures.reliability import LARGEST_POINT, SMALLEST_POINT, reliability
from trainwell.pictures.scatter import predictions
from trainwell.pictures.svg import to_svg
from trainwell.pictures.sweep import confirmations, sweep

EXAMPLES = ("classification", "regression", "unfinished", "hostile", "many_classes")
DARK_PAPER = "#14171a"
Draw = Callable[[], Figure]


@pytest.fixture(scope="module")
def runs(examples: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunRecord]:
    return {name: getattr(examples, name)(tmp_path_factory.mktemp(name) / "runs" / name) for name in EXAMPLES}


def details(run: RunRecord, kind: type) -> list[Any]:
    return [one for visit in run.evidence for one in visit.detail if isinstance(one, kind)]


def drawings(run: RunRecord) -> list[tuple[str, Draw]]:
    """Every picture that a run gives rise to."""
    task = run.data.task
    made: list[tuple[str, Draw]] = [("class counts", lambda: class_counts(run.data))]
    for look in details(run, Look):
        made.append(("yardsticks", functools.partial(yardsticks, look.yardsticks, task, run.outcome)))
        made.append(("yardsticks before", functools.partial(yardsticks, look.yardsticks, task)))
    functions: tuple[tuple[type, Callable[..., Figure], bool], ...] = (
        (InitialLoss, initial_loss, False),
        (InitialLoss, layer_statistics, False),
        (SmallSample, small_sample, True),
        (LrSweep, sweep, False),
        (LrSweep, confirmations, False),
        (Grid, grid, True),
        (Grid, slices, True),
        (LearningCurves, learning_curves, True),
        (Invariances, invariances, True),
    )
    for kind, function, with_task in functions:
        for record in details(run, kind):
            arguments = (record, task) if with_task else (record,)
            made.append((function.__name__, functools.partial(function, *arguments)))
    if run.outcome is not None:
        outcome = run.outcome
        made.append(("confusion", lambda: confusion(outcome.confusion, run.data.output.names)))
        made.append(("recalls", lambda: recalls(outcome.classes)))
        made.append(("reliability", lambda: reliability(outcome.calibration)))
        made.append(("predictions", lambda: predictions(outcome.truth, outcome.predicted, run.data.output.names[0])))
    made.append(("training", lambda: training(run.trials[-1], task)))
    return made


def marks(figure: Figure, panel: int = 0, *, marker: str = "o") -> list[tuple[float, float]]:
    """The points of the lines that are drawn with a marker, legends left out."""
    found = []
    for line in figure.axes[panel].get_lines():
        if line.get_marker() == marker and line.get_gid() != "best":
            found += list(zip(xs(line), ys(line)))
    return found


def xs(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_xdata())]


def ys(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def widths(figure: Figure, panel: int = 0) -> list[float]:
    return [bar.get_width() for bar in figure.axes[panel].patches if isinstance(bar, Rectangle)]


def words(figure: Figure) -> list[str]:
    root = ElementTree.fromstring(to_svg(figure, key="t", label="words"))
    return [element.text or "" for element in root.iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_picture_is_deterministic_well_formed_and_needs_nothing(name: str, runs: dict[str, RunRecord]) -> None:
    for title, draw in drawings(runs[name]):
        figure = draw()
        assert isinstance(figure, Figure), title
        assert figure.canvas.manager is None, title
        text = to_svg(figure, key="p7", label=title)
        assert text == to_svg(draw(), key="p7", label=title)
        root = ElementTree.fromstring(text)
        assert root.attrib["aria-label"] == title
        ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
        assert len(ids) == len(set(ids))
        assert all(one.startswith("p7-") for one in ids)
        for element in root.iter():
            kind = element.tag.rpartition("}")[2]
            assert kind in {"svg", "g", "path", "text", "defs", "clipPath", "rect", "use", "tspan"}, (title, kind)
            for attribute, value in element.attrib.items():
                assert not attribute.startswith("on")
                if attribute == "href":
                    assert value[1:] in ids
                assert all(reference in ids for reference in re.findall(r"url\(#(.*?)\)", value))
                assert "http" not in value
                assert INK not in value
        assert len(text) < 120_000, (title, len(text))


def test_text_stays_text_and_mathtext_stays_quiet(runs: dict[str, RunRecord]) -> None:
    data = runs["classification"].data
    names = ("$x^2$", "<b>&amp;", "]]>", '"#010101" id="x"', "url(#y)", "猫", *data.output.names[6:])
    hostile = dataclasses.replace(data, output=dataclasses.replace(data.output, names=names))
    assert set(names) <= set(words(class_counts(hostile)))


@settings(deadline=None, max_examples=20)
@given(names=st.lists(st.text(st.characters(), max_size=30), min_size=2, max_size=4))
def test_any_class_name_makes_well_formed_svg(names: list[str]) -> None:
    count = len(names)
    matrix = tuple(tuple(row + column for column in range(count)) for row in range(count))
    ElementTree.fromstring(to_svg(confusion(matrix, names), key="h", label=names[0]))


def test_class_counts_draws_one_bar_a_class(runs: dict[str, RunRecord]) -> None:
    data = runs["classification"].data
    assert widths(class_counts(data)) == [sum(part) for part in zip(*data.class_counts.values())]
    assert len(widths(class_counts(runs["many_classes"].data))) == MOST_ROWS


def test_many_classes_keep_the_largest_and_the_smallest(runs: dict[str, RunRecord]) -> None:
    data: DataRecord = runs["many_classes"].data
    counts = sorted(data.class_counts["train"])
    drawn = widths(class_counts(data))
    half = MOST_ROWS // 2
    assert sorted(drawn) == [*counts[:half], *counts[-half:]]


def test_yardsticks_shows_the_network_and_each_model(runs: dict[str, RunRecord]) -> None:
    run = runs["classification"]
    assert run.result is not None
    shown = words(yardsticks(run.result.yardsticks, "classification", run.outcome))
    assert {"this network", "best constant", "logistic regression", "HistGradientBoosting"} <= set(shown)
    assert {"98.6%", "10.1%", "95.1%", "96.4%"} <= set(shown)
    before = words(yardsticks(run.result.yardsticks, "classification"))
    assert "this network" not in before
    assert {"10.2%", "95.7%", "96.8%"} <= set(before)


def test_initial_loss_names_the_three_losses(runs: dict[str, RunRecord]) -> None:
    (record,) = details(runs["classification"], InitialLoss)
    figure = initial_loss(record)
    values = [x for x, _ in marks(figure)]
    assert values == [record.measured, record.zero_output, record.best_constant]
    layered = layer_statistics(record)
    assert [x for x, _ in marks(layered)] == [layer.std for layer in record.layers]
    assert [x for x, _ in marks(layered, 1)] == [layer.gradient_std for layer in record.layers]
    assert widths(layered, 2) == pytest.approx([100 * one.dead for one in record.layers])


def test_small_sample_draws_the_fit_and_every_attempt(runs: dict[str, RunRecord]) -> None:
    (record,) = details(runs["classification"], SmallSample)
    loss, metric = small_sample(record, "classification").axes
    assert len(loss.get_lines()) == 1 + len(record.attempts)
    (line,) = metric.get_lines()
    assert ys(line) == pytest.approx([100 * value for value in record.metric.y])


def test_sweep_draws_what_is_finite_and_the_choice(runs: dict[str, RunRecord]) -> None:
    (record,) = details(runs["classification"], LrSweep)
    (panel,) = sweep(record).axes
    measured, smoothed = (line for line in panel.get_lines() if line.get_label() in ("measured", "smoothed"))
    assert len(xs(measured)) == sum(map(math.isfinite, record.curve.y))
    assert len(xs(smoothed)) == len(record.smoothed.y)
    assert "0.003" in words(sweep(record))
    assert len(confirmations(record).axes[0].get_lines()) == len(record.confirmations)


def test_grid_draws_each_trial_once_and_rings_the_best(runs: dict[str, RunRecord]) -> None:
    for record in details(runs["classification"], Grid):
        figure = grid(record, "classification")
        states = [point.state for point in record.points]
        assert len(marks(figure, marker="x")) == states.count("diverged")
        assert len(marks(figure)) == len(states) - states.count("diverged")
        assert sum(line.get_gid() == "best" for line in figure.axes[0].get_lines()) == 1
    record = details(runs["classification"], Grid)[1]
    sliced = slices(record, "classification")
    for number in range(len(record.axes)):
        assert len(marks(sliced, number)) == len(record.points)


def test_scale_puts_zero_left_of_a_logarithmic_axis_and_words_in_their_order() -> None:
    rates = [0.0, 1e-4, 1e-3, 1e-2]
    made = scale([point(weight_decay=rate) for rate in rates], "weight_decay")
    assert made.positions == pytest.approx((-4.6, -4.0, -3.0, -2.0))
    assert [text for _, text in made.ticks] == ["0", "1e-4", "0.001", "0.01"]
    named = [dataclasses.replace(point(), labels={"activation": word}) for word in ("relu", "gelu", "relu")]
    assert scale(named, "activation").positions == (0.0, 1.0, 0.0)
    near = scale([point(lr=value) for value in (1.0, 1.5, 2.0)], "lr")
    assert near.positions == (1.0, 1.5, 2.0)
    assert math.isnan(scale([point()], "lr").positions[0])


def point(**coordinates: float) -> GridPoint:
    return GridPoint(trial=0, coordinates=coordinates, value=0.1, loss=0.1, steps=1, state="completed")


def test_learning_curves_draws_all_five(runs: dict[str, RunRecord]) -> None:
    record = details(runs["classification"], LearningCurves)[0]
    loss, metric, rate = learning_curves(record, "classification").axes
    drawn = [len(xs(line)) for panel in (loss, metric, rate) for line in panel.get_lines()]
    assert drawn == [20] * 5
    assert loss.get_yscale() == "log"


def test_training_draws_each_measurement(runs: dict[str, RunRecord]) -> None:
    trial = runs["classification"].trials[-1]
    loss, metric, rate = training(trial, "classification").axes
    optimized, train, validation = loss.get_lines()
    assert len(xs(optimized)) == len(trial.metrics) == len(xs(rate.get_lines()[0]))
    measured = [line.validation for line in trial.metrics if line.validation is not None]
    assert ys(validation) == [score.loss for score in measured]
    assert len(xs(train)) == len(measured) == len(xs(metric.get_lines()[1]))
    bare = dataclasses.replace(
        trial, metrics=tuple(dataclasses.replace(one, train=None, validation=None) for one in trial.metrics)
    )
    assert len(training(bare, "classification").axes) == 2


def test_confusion_writes_every_count_that_is_not_zero(runs: dict[str, RunRecord]) -> None:
    run = runs["classification"]
    assert run.outcome is not None
    matrix = run.outcome.confusion
    written = [int(text.get_text()) for text in confusion(matrix, run.data.output.names).axes[0].texts[:-1]]
    assert sorted(written) == sorted(count for row in matrix for count in row if count)


@settings(deadline=None, max_examples=20)
@given(st.integers(MOST_CLASSES + 1, 60), st.integers(0, 1000))
def test_a_gathered_matrix_keeps_its_sum(size: int, seed: int) -> None:
    matrix = tuple(tuple((7 * row + 3 * column + seed) % 5 for column in range(size)) for row in range(size))
    part, names = gathered(matrix, [str(k) for k in range(size)])
    assert len(part) == len(names) == MOST_CLASSES + 1
    assert sum(map(sum, part)) == sum(map(sum, matrix))
    assert names[-1] == f"{size - MOST_CLASSES} others"


def test_recalls_draws_one_point_a_class_the_weakest_first(runs: dict[str, RunRecord]) -> None:
    run = runs["classification"]
    assert run.outcome is not None
    drawn = [x for x, _ in marks(recalls(run.outcome.classes))]
    assert drawn == pytest.approx(sorted(100 * one.recall for one in run.outcome.classes))


def test_reliability_draws_one_point_a_bin_larger_with_its_samples(runs: dict[str, RunRecord]) -> None:
    outcome = runs["classification"].outcome
    assert outcome is not None
    figure = reliability(outcome.calibration)
    assert marks(figure) == [(100 * one.confidence, 100 * one.right) for one in outcome.calibration]
    sizes = [line.get_markersize() for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (SMALLEST_POINT, LARGEST_POINT)
    assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim() == (0, 100)
    assert "No probability was measured." in words(reliability(()))


def test_predictions_draws_one_point_a_sample(runs: dict[str, RunRecord]) -> None:
    outcome = runs["regression"].outcome
    assert outcome is not None
    assert marks(predictions(outcome.truth, outcome.predicted, "y")) == list(zip(outcome.truth, outcome.predicted))


def test_invariances_draws_both_ends_of_each(runs: dict[str, RunRecord]) -> None:
    (record,) = details(runs["classification"], Invariances)
    ends = [x for x, _ in marks(invariances(record, "classification"))]
    assert ends == pytest.approx(
        [100 * value for one in record.found for value in (one.metric_without, one.metric_with)]
    )


@settings(deadline=None, max_examples=25)
@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-4, 1e6))
def test_numbers_on_an_axis_differ(low: float, span: float) -> None:
    drawn = predictions((low, low + span), (low + span, low), "y")
    texts = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert len(texts) == len(set(texts)) >= 2


def test_the_learning_rate_stands_across(runs: dict[str, RunRecord]) -> None:
    record = details(runs["classification"], Grid)[0]
    turned = dataclasses.replace(record, axes=record.axes[::-1])
    assert to_svg(grid(turned, "classification"), key="g", label="") == to_svg(
        grid(record, "classification"), key="g", label=""
    )


def test_a_long_line_keeps_its_lowest_and_highest_point() -> None:
    values = [math.sin(step / 50) for step in range(20_000)]
    values[777], values[12_345] = -9.0, 9.0
    x, y = points(Curve(name="long", x=tuple(map(float, range(20_000))), y=tuple(values)))
    assert len(x) == len(y) <= MOST_POINTS
    assert x == sorted(x)
    assert (min(y), max(y)) == (-9.0, 9.0)


def test_settings_of_the_process_are_left_and_a_users_style_changes_nothing(runs: dict[str, RunRecord]) -> None:
    record = details(runs["classification"], LearningCurves)[0]
    plain = to_svg(learning_curves(record, "classification"), key="s", label="")
    before = dict(matplotlib.rcParams)
    to_svg(learning_curves(record, "classification"), key="s", label="")
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"axes.facecolor": "black", "text.color": "red", "font.size": 30, "lines.linewidth": 9}):
        assert to_svg(learning_curves(record, "classification"), key="s", label="") == plain


def test_threads_draw_the_same_as_one(runs: dict[str, RunRecord]) -> None:
    record = details(runs["classification"], LrSweep)[0]
    expected = to_svg(sweep(record), key="t", label="")
    drawn: list[str] = []
    threads = [
        threading.Thread(target=lambda: drawn.append(to_svg(sweep(record), key="t", label=""))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [expected] * 4


@pytest.mark.parametrize("color", [BLUE, ORANGE, GREEN, PINK])
def test_colours_are_seen_on_light_and_dark(color: str) -> None:
    for paper in ("#ffffff", DARK_PAPER):
        low, high = sorted((luminance(color), luminance(paper)))
        assert (high + 0.05) / (low + 0.05) >= 3.0


def test_the_dark_paper_is_the_pages() -> None:
    css = (Path(__file__).parents[2] / "src/trainwell/report/page.css").read_text()
    assert f"--paper: {DARK_PAPER};" in css


def luminance(color: str) -> float:
    """WCAG 2.1, relative luminance."""
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
