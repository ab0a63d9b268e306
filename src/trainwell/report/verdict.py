"""The top of the page: what was reached, beside the yardsticks; what to trust; what to do next."""

import math
import shlex
from pathlib import PurePath

from trainwell.core.records.evidence import Grid, HeadGrid, Look, Next, Yardstick
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.run import RunRecord
from trainwell.diagnosis.verdict import clearly_ahead, says_little
from trainwell.pictures.bars import yardsticks
from trainwell.pictures.text import duration, metric, number, percent
from trainwell.report.calibration import calibration
from trainwell.report.markup import Child, Markup, element, together
from trainwell.report.parts import Numbering, bullets, gallery, pairs, paragraph, picture, section

TITLES = (
    "Look at the data",
    "Check the initial loss",
    "Overfit a small sample",
    "Find the learning rate",
    "Coarse grid",
    "Refined grid",
    "Look at the learning curves",
    "Go on or stop",
)


def headline(run: RunRecord) -> str:
    """One sentence: what was reached, or how far the run came.

    Args:
        run: finished or not.
    Returns:
        The sentence.
    """
    if run.result is not None:
        return run.result.headline
    if not run.evidence:
        return "This run has begun; no step has ended yet."
    last = run.evidence[-1]
    name = title(last.step)
    ended = f"step {last.step}, {name[:1].lower()}{name[1:]}, was the last that ended"
    return f"This run is not finished: {ended}. {last.verdict}"


def title(step: int) -> str:
    """A step's name on the page.

    Args:
        step: 0 to 7.
    Returns:
        A few words.
    """
    return TITLES[step] if 0 <= step < len(TITLES) else f"Step {step}"


def simple_models(run: RunRecord) -> tuple[Yardstick, ...]:
    """The yardsticks: with their test figures once the test part was touched.

    Args:
        run: finished or not.
    Returns:
        In the order in which they were measured.
    """
    if run.result is not None and run.result.yardsticks:
        return run.result.yardsticks
    looks = [detail for visit in run.evidence for detail in visit.detail if isinstance(detail, Look)]
    return looks[-1].yardsticks if looks else ()


def verdict(run: RunRecord, numbering: Numbering) -> Markup:
    """The first thing on the page.

    Args:
        run: finished or not.
        numbering: of the page.
    Returns:
        A section.
    """
    simple = simple_models(run)
    drawn = None
    if simple:
        drawn = picture(yardsticks(simple, run.data.task, run.outcome), _comparison(run, simple), numbering)
    return element(
        "section",
        paragraph(headline(run), class_="headline"),
        gallery(element("div", _figure(run), _facts(run), class_="score"), drawn),
        id="verdict",
        aria_label="Verdict",
    )


def trust(run: RunRecord) -> Markup | None:
    """How far the figures carry.

    Args:
        run: finished or not.
    Returns:
        A section, or None while nothing can be said.
    """
    said = bullets([*_trust_in_test(run), *_trust_in_search(run), *_trust_in_data(run)])
    return section("What to trust", said, key="trust") if said else None


def what_next(run: RunRecord) -> Markup:
    """Command lines, and what would make the network better.

    Args:
        run: finished or not.
    Returns:
        A section.
    """
    name = shlex.quote(run.name)
    where = name if PurePath(run.folder).parent.name == "runs" else shlex.quote(run.folder)
    lines: list[tuple[str, str]] = []
    if run.outcome is not None:
        files = "photo.png" if run.data.input.kind == "image" else "rows.csv"
        lines.append(("Use the network on new data", f"trainwell predict {where} {files}"))
    else:
        lines.append(("Go on where it stands", f"trainwell fit --resume {name}"))
    lines.append(("Draw this page again from the records", f"trainwell report {where}"))
    commands = [element("div", element("dt", what), element("dd", element("code", line))) for what, line in lines]
    return section("What to do next", bullets(_advice(run)), element("dl", *commands, class_="commands"), key="next")


def _figure(run: RunRecord) -> Markup | None:
    outcome = run.outcome
    if outcome is None:
        return None
    low, high = (metric(end, run.data.task) for end in outcome.interval)
    name = "accuracy" if run.data.task == "classification" else "R²"
    return together(
        element("p", element("strong", metric(outcome.value, run.data.task)), f" {name}", class_="figure"),
        paragraph(f"on {outcome.n:,} test samples, touched once; 95% interval {low} to {high}"),
    )


def _facts(run: RunRecord) -> Markup:
    final = next((trial for trial in run.trials if trial.spec.number == run.final), None)
    entries: list[tuple[str, Child]] = [("Data", f"{run.data.source}: {run.data.samples:,} samples")]
    if run.data.task == "classification":
        entries.append(("Task", f"{run.data.output.size:,} classes"))
    else:
        entries.append(("Task", f"regression of {', '.join(run.data.output.names[:5])}"))
    if final is not None:
        entries.append(("Network", _network(final.spec.hyperparameters)))
    if run.result is not None:
        took = f" in {duration(run.result.seconds)}" if run.result.seconds > 0 else ""
        entries.append(("Trainings", f"{run.result.trials:,}{took}"))
    else:
        entries.append(("Trainings", f"{len(run.trials):,} so far"))
    return pairs(entries)


def _network(point: Hyperparameters) -> str:
    shape, tuned = point.architecture, point.transfer.tuned_stages
    if shape.width:
        return f"{shape.name}, width {shape.width}, depth {shape.depth}"
    below = f"its last {tuned} stages and" if tuned else "frozen, with"
    return f"{shape.name}, pretrained: {below} a new output layer"


def _comparison(run: RunRecord, simple: tuple[Yardstick, ...]) -> str:
    name = "accuracy" if run.data.task == "classification" else "R²"
    if run.outcome is None:
        return f"The simple models' {name} on validation data: what the network has to beat."
    tested = [(one.test, one) for one in simple if one.test is not None and not math.isnan(one.test)]
    if not tested:
        return f"The network's {name} on test data, the simple models' on validation data."
    value, best = max(tested, key=lambda pair: pair[0])
    yardstick = f"the best yardstick on the same test data: {best.name}, {metric(value, run.data.task)}."
    if math.isnan(run.outcome.value):
        return f"The network was not measured; {yardstick}"
    order = "above" if run.outcome.value > value else "below" if run.outcome.value < value else "level with"
    return f"The network is {order} {yardstick}"


def _trust_in_test(run: RunRecord) -> list[Child]:
    outcome = run.outcome
    if outcome is None:
        return [
            "Nothing has been measured on the test part yet; validation figures flatter whatever was chosen by them."
        ]
    task = run.data.task
    low, high = outcome.interval
    said: list[Child] = []
    if run.result is not None and not run.result.learnable:
        said.append(
            "So few test samples do not show whether the network learnt anything: do not rely on its predictions."
            if says_little(outcome)
            else "The network found nothing that holds on data it was not trained on: do not use its predictions."
        )
    said.append(
        f"The test figure: nothing was chosen by it. {outcome.n:,} samples leave it between {metric(low, task)} and "
        f"{metric(high, task)}; smaller differences may be chance."
    )
    for one in simple_models(run):
        if one.test is not None and one.test > outcome.value:
            order = "clearly ahead" if clearly_ahead(one.test, outcome) else "no further than chance may put it"
            said.append(f"{one.name} reached {metric(one.test, task)} on the same test data: {order}.")
    if probabilities := calibration(outcome):
        said.append(probabilities)
    for target, error in zip(run.data.output.names, outcome.rmse):
        said.append(f"A single prediction of {target} is typically off by {number(error)} (root mean squared error).")
    widest = sorted(outcome.classes, key=lambda one: (one.samples, one.name))[:3]
    if len(outcome.classes) > 2 and 2 * widest[0].samples < outcome.n / len(outcome.classes):
        names = ", ".join(f"{one.name} ({one.samples:,})" for one in widest)
        said.append(f"Least is known of the classes with the fewest test samples: {names}.")
    return said


def _trust_in_search(run: RunRecord) -> list[Child]:
    grids = [detail for visit in run.evidence for detail in visit.detail if isinstance(detail, Grid)]
    heads = [detail for visit in run.evidence for detail in visit.detail if isinstance(detail, HeadGrid)]
    if heads:
        low, high = heads[-1].interval
        return [
            f"Cross-validation on {heads[-1].samples:,} pictures says {percent(heads[-1].points[0].accuracy)}, 95% "
            f"interval {percent(low)} to {percent(high)}; settings were chosen by it, so it flatters a little."
        ]
    noises = [grid.noise for grid in grids if grid.noise > 0 and math.isfinite(grid.noise)]
    if not noises:
        return []
    noise = f"{number(100 * noises[-1])} points" if run.data.task == "classification" else number(noises[-1])
    return [
        f"Trials that differ by less than {noise} in validation error are alike: so much comes from the seed alone."
    ]


def _trust_in_data(run: RunRecord) -> list[Child]:
    said: list[Child] = list(run.data.warnings[:5])
    if run.data.left_out_count and not said:
        many = f"{run.data.left_out_count:,} files or rows" if run.data.left_out_count > 1 else "One file or row"
        said.append(f"{many} could not be used and stands in none of these figures.")
    if run.data.duplicates:
        many = f"{run.data.duplicates:,} samples repeat" if run.data.duplicates > 1 else "One sample repeats"
        said.append(f"{many} another one; copies lie on one side of the split, so they do not flatter the test figure.")
    return said


def _advice(run: RunRecord) -> list[Child]:
    said: list[Child] = []
    ends = [detail for visit in run.evidence for detail in visit.detail if isinstance(detail, Next)]
    grids = [detail for visit in run.evidence for detail in visit.detail if isinstance(detail, Grid | HeadGrid)]
    ahead = _clearly_ahead(run)
    if ahead is not None:
        said.append(f"Use {ahead.name} instead: on this data it is clearly better than this network.")
    elif run.outcome is not None and ends:
        if ends[-1].go_on:
            said.append("The budget ended before the search did: a longer --budget would go on with the last choices.")
        elif all(len(grid.points) <= 1 for grid in grids):
            said.append("The budget allowed one training and no search: a longer --budget would try others.")
        else:
            said.append("The search has ended: more or better data promises more than more of the same search.")
    if run.outcome is not None and run.outcome.mistakes:
        kind = "confident mistakes" if run.data.task == "classification" else "largest errors"
        said.append(f"Look at the {kind} below: what is wrong in the data shows itself there first.")
    if run.outcome is not None and run.outcome.classes:
        weakest = min(run.outcome.classes, key=lambda one: (one.recall if one.recall == one.recall else 2.0, one.name))
        if weakest.recall < run.outcome.value:
            share = percent(weakest.recall)
            said.append(f"Collect more samples of class {weakest.name}: it is recognized least often ({share}).")
    # What changes a hyperparameter was tried by fit itself; what is left is for the reader to do.
    findings = run.result.findings if run.result is not None else ()
    remedies = [one.text for found in findings if found.severity != "info" for one in found.remedies if not one.change]
    return [*said, *list(dict.fromkeys(remedies))[:3]]


def _clearly_ahead(run: RunRecord) -> Yardstick | None:
    """The best yardstick on the test part, where it is ahead of the network beyond chance."""
    outcome = run.outcome
    if outcome is None:
        return None
    ahead = [(one.test, one) for one in simple_models(run) if one.test is not None and clearly_ahead(one.test, outcome)]
    return max(ahead, key=lambda pair: pair[0])[1] if ahead else None
