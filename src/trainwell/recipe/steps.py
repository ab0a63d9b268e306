"""The seven steps in order, and what is written at their end."""

import functools
from dataclasses import dataclass

from torch import nn

from trainwell.core.errors import ModelError
from trainwell.core.files import write_atomically
from trainwell.core.jsonio import to_json, to_plain
from trainwell.core.records.evidence import HeadGrid
from trainwell.core.records.finding import Finding
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.outcome import Outcome
from trainwell.core.records.run import Result, StepLine, TestLine
from trainwell.diagnosis.verdict import verdict
from trainwell.models.folder import ModelRecord, save_model
from trainwell.recipe.calibrate import calibrate
from trainwell.recipe.check_initial_loss import check_initial_loss
from trainwell.recipe.coarse_grid import coarse_grid, edges
from trainwell.recipe.context import Context
from trainwell.recipe.find_lr import find_lr
from trainwell.recipe.fine_tuning import fine_tune
from trainwell.recipe.grids import Candidate, chosen
from trainwell.recipe.head_grid import head_grid
from trainwell.recipe.invariances import look_for_invariances
from trainwell.recipe.keep import keep
from trainwell.recipe.look import look
from trainwell.recipe.look_at_curves import decide_next, look_at_curves
from trainwell.recipe.outcome import finished_model, measure_outcome
from trainwell.recipe.overfit_small_sample import overfit_small_sample
from trainwell.recipe.plan import end_reserve, shares, step_cost
from trainwell.recipe.refined_grid import refined_grid
from trainwell.recipe.starting_point import starting_point
from trainwell.recipe.transfer import consider_transfer, whole_network
from trainwell.store.folder import RunFolder
from trainwell.store.study import Study

MOST_ROUNDS = 4
"""Visits of step 5 at most: later ones have been seen to bring less than the noise."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What the steps end with.

    Attributes:
        result: what `result.json` holds.
        network: the finished one, in test mode.
        about: what its folder says of it.
    """

    result: Result
    network: nn.Module
    about: ModelRecord


def take_steps(context: Context) -> Finished:
    """From the first look to the test part, each step once in the life of the run; model and result are written.

    Raises:
        ModelError: no training of the coarse grid stayed finite.
    Source: notes, Choosing Hyperparameters.
    """
    look(context)
    transfer = consider_transfer(context)
    if not context.derived:
        _measured_start(context)
    check_initial_loss(context)
    overfit_small_sample(context)
    find_lr(context)
    if transfer is not None and context.derived:
        head_grid(context)
        fine_tune(context, transfer)
    else:
        _refine(context)
    return _end(context)


def _measured_start(context: Context) -> None:
    """Which network can be trained in the time, this machine says."""
    settings, record = context.settings, context.dataset.record
    if not (context.clock.reads_time and settings.model == "auto" and record.input.kind == "image"):
        return
    start = starting_point(
        record,
        model=settings.model,
        budget=settings.budget,
        factory=context.trials.factory,
        sha256=context.model_sha256,
        steps_per_second=1.0 / step_cost(context, context.point),
    )
    context.point, context.known = start.points[0], start.points


def _refine(context: Context) -> None:
    """Steps 4 to 7: from the coarse grid round by round until nothing is left to try."""
    _, coarse = coarse_grid(context)
    if not coarse.finished:
        raise ModelError(
            "Every training of the coarse grid diverged, so there is nothing to refine. "
            "The report says what was seen; try another --model, or look at the data."
        )
    invariances = look_for_invariances(context, coarse)
    choices: tuple[Candidate, ...] = ()
    before: float | None = None
    edge = edges(coarse)
    for number in range(1, MOST_ROUNDS + 1):
        _, trained = refined_grid(context, round=number, choices=choices, invariances=invariances, edge=edge)
        if not trained.finished:
            break
        curves = look_at_curves(context, trained)
        affords = functools.partial(_affords_round, context, number)
        _, choices = decide_next(context, curves, trained, before=before, may_go_on=affords)
        best = trained.commits[chosen(context, trained)].value
        before = best if before is None else min(before, best)
        if not choices:
            break


def _end(context: Context) -> Finished:
    """Train to the end, test once, write what the run leaves."""
    folder, study, progress = context.folder, context.study, context.progress
    progress.step(8, "train to the end", 1)
    kept = keep(context, whole=context.dataset.record.sizes["validation"] > 0)
    point = kept.spec.hyperparameters
    network = finished_model(context, kept.spec)
    progress.step(9, "test", 1)
    outcome = study.once(
        "outcome",
        Outcome,
        lambda: measure_outcome(context, kept.spec, network, temperature=calibrate(context, kept.spec, network)),
    )
    about = _about(context, point, outcome)
    network = whole_network(context, point, network)
    save_model(folder.model, network, about)
    result = study.once("result", Result, lambda: _result(context, point, outcome))
    _write_decisions(folder, study)
    write_atomically(folder.result, to_json(result, indent=1).encode())
    return Finished(result=result, network=network, about=about)


def _affords_round(context: Context, number: int) -> bool:
    if number == MOST_ROUNDS:
        return False
    reserve, share = end_reserve(context), shares(context)
    free = context.clock.left() - reserve - share.kept * (context.clock.total - reserve)
    # A shorter round than the one before would say less than that has said.
    return free > share.refined * context.clock.total


def _result(context: Context, point: Hyperparameters, outcome: Outcome) -> Result:
    heads = [each for visit in context.evidence for each in visit.detail if isinstance(each, HeadGrid)]
    crossed = heads[-1] if heads and context.is_frozen(point) else None
    said = verdict(outcome, context.yardsticks, context.dataset.record, cross_validated=crossed)
    lines = tuple(
        StepLine(step=each.step, passed=each.passed, verdict=each.verdict, seconds=each.seconds)
        for each in context.evidence
    )
    findings = {each: None for evidence in context.evidence for each in map(_key, evidence.findings)}
    known = {_key(each): each for evidence in context.evidence for each in evidence.findings}
    return Result(
        run=context.folder.name,
        task=context.dataset.record.task,
        headline=said.headline,
        learnable=said.learnable,
        classes=context.dataset.record.output.names if context.dataset.record.task == "classification" else (),
        test=TestLine(metric=outcome.metric, value=outcome.value, interval=outcome.interval, n=outcome.n),
        yardsticks=context.yardsticks,
        seconds=context.clock.elapsed(),
        seed=context.settings.seed,
        steps=lines,
        findings=tuple(known[key] for key in findings),
        best=point,
        trials=len(context.study.trials()),
        versions=context.settings.versions,
        hardware=context.settings.hardware,
    )


def _key(finding: Finding) -> tuple[str, str]:
    return finding.code, finding.message


def _about(context: Context, point: Hyperparameters, outcome: Outcome) -> ModelRecord:
    return ModelRecord(
        hyperparameters=point,
        input=context.given.record.input,
        output=context.dataset.record.output,
        encoder=to_plain(context.given.encoder),
        model_sha256=context.model_sha256,
        metric=outcome.metric,
        value=outcome.value,
        temperature=outcome.temperature,
    )


def _write_decisions(folder: RunFolder, study: Study) -> None:
    text = "".join(to_json(decision) + "\n" for decision in study.decisions())
    write_atomically(folder.path / "decisions.jsonl", text.encode())
