"""What stands behind the figures: the training that was kept, decisions, hyperparameters, data, machine."""

import dataclasses

from trainwell.core.records.data import DataRecord
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.run import RunRecord
from trainwell.pictures.curves import training
from trainwell.pictures.text import duration, metric, number, percent
from trainwell.report.markup import Child, Markup, element, together
from trainwell.report.parts import Numbering, all_of, bullets, fold, gallery, pairs, paragraph, picture, section, table

MOST_ROWS = 200


def kept(run: RunRecord, numbering: Numbering) -> Markup | None:
    """The training that was kept, with its hyperparameters.

    Args:
        run: finished or not.
        numbering: of the page.
    Returns:
        A section; None while none is kept.
    """
    trial = next((one for one in run.trials if one.spec.number == run.final), None)
    if trial is None:
        return None
    spec = trial.spec
    tail = f", the rate falls from step {spec.decay_from:,}" if spec.decay_from < spec.total_steps else ""
    caption = f"Trial {spec.number} on the {' and '.join(spec.parts)} part: {spec.total_steps:,} optimizer steps{tail}."
    drawn = picture(training(trial, run.data.task), caption, numbering) if trial.metrics else None
    settings = element("div", element("h3", "Hyperparameters"), pairs(_chapters(spec.hyperparameters)))
    return section("The training that was kept", gallery(drawn, settings), key="kept")


def decisions(run: RunRecord) -> Markup | None:
    """Everything that was decided, with its reason.

    Args:
        run: finished or not.
    Returns:
        A section; None while nothing was decided.
    """
    if not run.decisions:
        return None
    rows = [(f"{one.number}", one.text, one.why) for one in run.decisions[-MOST_ROWS:]]
    listed = table("In order", ("no.", "decision", "because"), rows)
    body = listed if len(rows) <= 12 else fold(_how_many(len(rows), len(run.decisions)), listed)
    return section("Decisions", body, _trials(run), key="decisions")


def _how_many(shown: int, all_of_them: int) -> str:
    return f"All {shown} decisions" if shown == all_of_them else f"The last {shown} of {all_of_them:,} decisions"


def data(run: RunRecord) -> Markup:
    """The data as read.

    Args:
        run: finished or not.
    Returns:
        A section.
    """
    record = run.data
    facts = [
        ("Source", record.source),
        ("Samples", f"{record.samples:,}"),
        ("Parts", ", ".join(f"{part} {size:,}" for part, size in record.sizes.items())),
        ("Input", _input(record)),
        ("Repeated samples", f"{record.duplicates:,}"),
        ("Left out", f"{record.left_out_count:,}"),
    ]
    return section("The data", pairs(facts), bullets(record.warnings), _columns(record), _left_out(record), key="data")


def machine(run: RunRecord) -> Markup:
    """What was asked for, and what it ran on.

    Args:
        run: finished or not.
    Returns:
        A section.
    """
    asked = run.settings
    budget = duration(asked.budget.seconds) if asked.budget.seconds > 0 else f"{asked.budget.steps:,} optimizer steps"
    facts: list[tuple[str, Child]] = [
        ("Started", asked.started or "not recorded"),
        ("Budget", budget),
        ("Seed", f"{asked.seed}"),
        ("Model", asked.model),
        ("Target", ", ".join(asked.target) or "as the data names it"),
        (
            "Device",
            f"{asked.device}, {asked.threads} {'thread' if asked.threads == 1 else 'threads'}, {asked.precision}",
        ),
        ("Engine", asked.engine),
        ("Hardware", asked.hardware or "not recorded"),
        (
            "Versions",
            ", ".join(f"{name} {version}" for name, version in sorted(asked.versions.items())) or "not recorded",
        ),
        ("Fingerprint of the data", element("code", run.data.fingerprint)),
    ]
    if run.result is not None and run.result.seconds > 0:
        facts.insert(2, ("Took", duration(run.result.seconds)))
    return section("How it was run", pairs(facts), key="machine")


def _chapters(point: Hyperparameters) -> list[tuple[str, Child]]:
    rows: list[tuple[str, Child]] = []
    for chapter in dataclasses.fields(point):
        value = getattr(point, chapter.name)
        if dataclasses.is_dataclass(value):
            settings = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        else:
            settings = [("", value)]
        rows.append((chapter.name, ", ".join(_setting(name, setting) for name, setting in settings)))
    return rows


def _setting(name: str, value: object) -> str:
    shown = number(float(value)) if isinstance(value, int | float) else str(value)
    what = "learning rate" if name == "lr" else name.replace("_", " ")
    return shown if what in ("", "name", "scheme", "optimizer") else f"{what} {shown}"


def _trials(run: RunRecord) -> Markup | None:
    if not run.trials:
        return None
    rows: list[tuple[Child, ...]] = []
    for trial in sorted(run.trials, key=lambda one: one.spec.number)[:MOST_ROWS]:
        point = trial.spec.hyperparameters
        scores = [line.validation for line in trial.metrics if line.validation is not None]
        rows.append(
            (
                f"{trial.spec.number}",
                trial.stage,
                f"{trial.round}",
                number(point.optimization.lr),
                number(point.regularization.weight_decay),
                f"{trial.metrics[-1].step:,}" if trial.metrics else "0",
                metric(scores[-1].metric, run.data.task) if scores else "not measured",
                trial.state,
            )
        )
    head = ("trial", "for", "round", "learning rate", "weight decay", "steps", "validation", "state")
    listed = table("Trainings in order", head, rows, numeric=(2, 3, 4, 5, 6))
    more = len(run.trials) - len(rows)
    note = paragraph(f"{more:,} more stand in the store of the run.", class_="why") if more > 0 else None
    return fold(all_of(len(run.trials), "training"), listed, note)


def _input(record: DataRecord) -> str:
    layout = record.input
    if layout.kind == "image":
        colour = "grey" if layout.channels == 1 else "in colour"
        return f"pictures of {layout.height} × {layout.width} pixels, {colour}"
    return f"table of {layout.numbers:,} numeric and {len(layout.cardinalities):,} categorical columns"


def _columns(record: DataRecord) -> Markup | None:
    if not record.columns:
        return None
    rows = [
        (one.name, one.kind, percent(one.missing / max(1, record.samples)), f"{one.distinct:,}", one.why)
        for one in record.columns[:MOST_ROWS]
    ]
    head = ("column", "read as", "missing", "distinct", "why")
    return fold(all_of(len(record.columns), "column"), table("Columns", head, rows, numeric=(2, 3)))


def _left_out(record: DataRecord) -> Markup | None:
    if not record.left_out:
        return None
    rows = [(one.name, one.why) for one in record.left_out[:MOST_ROWS]]
    more = record.left_out_count - len(rows)
    note = paragraph(f"{more:,} more are not listed.", class_="why") if more > 0 else None
    listed = table("Files and rows left out", ("name", "why"), rows)
    return together(fold(f"{record.left_out_count:,} left out", listed, note))
