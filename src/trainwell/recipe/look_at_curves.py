"""Steps 6 and 7: look at the learning curves, and decide what step 5 tries next."""

import math
from collections.abc import Callable

from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import Choice, Evidence, LearningCurves, Look, Next
from trainwell.core.records.observation import Observation
from trainwell.core.records.trial import Metrics, TrialRecord
from trainwell.diagnosis.changes import apply_change
from trainwell.diagnosis.curve_shapes import read_curves
from trainwell.diagnosis.leads import lead_is_real
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.grids import Candidate, Trained, chosen
from trainwell.recipe.plan import LEAST_STEPS
from trainwell.recipe.refined_grid import changed_words
from trainwell.recipe.wording import short

OVERFITTING = "REG001"
MOST_CHOICES = 3
"""Changes that one round tries."""


def look_at_curves(context: Context, trained: Trained) -> Evidence:
    """Name the shape of the best training's curves, with the number that says so."""

    def compute(visit: int) -> Evidence:
        record = context.trials.record(chosen(context, trained))
        task = context.dataset.record.task
        first = next((each for each in context.evidence if each.step == 1), None)
        start = first.numbers["measured"] if first else math.nan
        steps = record.spec.total_steps
        if steps <= LEAST_STEPS and steps < context.steps_per_epoch(record.spec.hyperparameters):
            return Evidence(
                step=6,
                name=NAMES[6],
                visit=visit,
                passed=True,
                verdict=f"{steps} steps, less than an epoch, stand in for the grid: their curves say nothing yet.",
                seconds=0.0,
                numbers={"trial": record.spec.number},
                detail=(curves_of(record, task, shape="too short to read", start=start),),
            )
        reading = read_curves(curves_of(record, task, start=start), look=_look(context), data=context.dataset.record)
        section = curves_of(record, task, shape=reading.shape, start=start)
        observation = Observation(data=context.dataset.record, curves=section, look=_look(context))
        findings = context.find(data=observation.data, curves=section, look=observation.look)
        curve_findings = tuple(each for each in findings if each.code == "DAT009" or not each.code.startswith("DAT"))
        verdict = reading.sentence
        return Evidence(
            step=6,
            name=NAMES[6],
            visit=visit,
            passed=all(each.severity == "info" for each in curve_findings),
            verdict=verdict,
            seconds=0.0,
            numbers={"trial": chosen(context, trained)},
            detail=(section,),
            findings=curve_findings,
        )

    return context.leave(6, compute)


def decide_next(
    context: Context, evidence: Evidence, trained: Trained, *, before: float | None, may_go_on: Callable[[], bool]
) -> tuple[Evidence, tuple[Candidate, ...]]:
    """Step 7: go to step 5 with what the curves ask for, until the budget is used or nothing improves.

    Args:
        context: of the run.
        evidence: of step 6.
        trained: the round's grid.
        before: best validation error of the rounds before; None in the first.
        may_go_on: whether the budget allows another round.
    Returns:
        The evidence, and the next round's choices.
    """
    proposals = _proposals(context, evidence, trained)
    affordable = context.study.once(f"plan/next-{trained.best}", bool, may_go_on)

    def compute(visit: int) -> Evidence:
        value = trained.commits[chosen(context, trained)].value
        improved = before is None or lead_is_real(
            value, before, noise=trained.noise, samples=context.dataset.record.sizes["validation"]
        )
        go_on = bool(proposals) and improved and affordable
        if go_on:
            words = ", ".join(candidate.label for candidate, _ in proposals)
            verdict = f"Another round of step 5 tries: {words}."
        elif not affordable:
            verdict = "The rest of the budget goes into the training that is kept."
        elif not improved:
            verdict = "The last round brought nothing beyond the noise: the best point is trained to its end."
        else:
            verdict = "The curves ask for nothing new: the best point is trained to its end."
        changes = tuple(
            Choice(path=choice.path, value=choice.value, why=why)
            for candidate, why in proposals
            for choice in changed_words(context.point, candidate.point)
        )
        spent = context.clock.spent() / context.clock.total
        return Evidence(
            step=7,
            name=NAMES[7],
            visit=visit,
            passed=True,
            verdict=verdict,
            seconds=0.0,
            numbers={"spent": spent},
            detail=(Next(go_on=go_on, choices=changes if go_on else (), spent_fraction=min(spent, 1.0)),),
        )

    left = context.leave(7, compute)
    detail = left.detail[0]
    go_on = isinstance(detail, Next) and detail.go_on
    if not context.length_judged and any(finding.code == OVERFITTING for finding in evidence.findings):
        # Longer than this the network has been seen to learn the training part by heart.
        steps = trained.specs[chosen(context, trained)].total_steps
        context.epochs = min(context.epochs, steps / context.steps_per_epoch(context.point))
    if not go_on and not affordable:
        # There is no budget to try it, but what the curves say of the length is taken.
        context.epochs *= min((candidate.length for candidate, _ in proposals), default=1.0)
    return left, tuple(candidate for candidate, _ in proposals) if go_on else ()


def curves_of(record: TrialRecord, task: str, *, shape: str = "", start: float = math.nan) -> LearningCurves:
    """The learning curves of a trial, by epoch."""
    unit = "cross-entropy (nats)" if task == "classification" else "squared error (standardized)"
    name = "accuracy" if task == "classification" else "R²"

    def curve(title: str, label: str, pick: Callable[[Metrics], float | None]) -> Curve:
        found = [(line.epoch, value) for line in record.metrics if (value := pick(line)) is not None]
        x, y = zip(*found, strict=True) if found else ((), ())
        return Curve(name=title, x=tuple(x), y=tuple(y), x_label="epoch", y_label=label)

    return LearningCurves(
        trial=record.spec.number,
        shape=shape,
        start=start,
        train_loss=curve("training loss", unit, lambda line: line.train.loss if line.train else None),
        validation_loss=curve("validation loss", unit, lambda line: line.validation.loss if line.validation else None),
        train_metric=curve(f"training {name}", name, lambda line: line.train.metric if line.train else None),
        validation_metric=curve(
            f"validation {name}", name, lambda line: line.validation.metric if line.validation else None
        ),
        lr=curve("learning rate", "learning rate", lambda line: line.lr),
    )


def _look(context: Context) -> Look | None:
    return next((each for each in context.evidence[0].detail if isinstance(each, Look)), None)


def _proposals(context: Context, evidence: Evidence, trained: Trained) -> list[tuple[Candidate, str]]:
    """The remedies that change something and were not tried before, and why."""
    found: list[tuple[Candidate, str]] = []
    steps = trained.specs[chosen(context, trained)].total_steps
    for finding in evidence.findings:
        for remedy in finding.remedies:
            point, length = apply_change(remedy.change, context.point, total_steps=steps)
            # Where the grid was shorter than the kept training will be, its curves say nothing of the right length.
            factor = length / steps if context.length_judged else 1.0
            known = point in context.tried or any(point == candidate.point for candidate, _ in found)
            if known and math.isclose(factor, 1.0):
                continue
            changes = changed_words(context.point, point)
            words = [f"{each.path.split('.')[-1].replace('_', ' ')} {short(each.value)}" for each in changes]
            if not math.isclose(factor, 1.0):
                words.append(f"{short(str(factor))} times the length")
            found.append((Candidate(label=", ".join(words), point=point, length=factor), finding.message))
    return found[:MOST_CHOICES]
