"""Step 5: a finer grid around the best point, trained longer, with what step 6 asked for."""

from dataclasses import replace

from trainwell.core.records.evidence import Choice, Detail, Evidence, Invariance, Invariances
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.diagnosis.changes import paths
from trainwell.diagnosis.leads import lead_is_real
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.grids import Candidate, Trained, chosen, grid_record, repeat_best, train_grid
from trainwell.recipe.invariances import admitted_point
from trainwell.recipe.plan import plan_grid, shares
from trainwell.recipe.wording import counted, reading

FINER = 1.7
"""Factor between neighbouring rates of the refined grid: about the square root of the coarse grid's 3."""
MOST_POINTS = 8
REPEATS = 1


def refined_grid(
    context: Context,
    *,
    round: int,  # noqa: A002 - the word of the house
    choices: tuple[Candidate, ...],
    invariances: tuple[Invariance, ...],
    edge: tuple[str, ...],
) -> tuple[Evidence, Trained]:
    """Train the best point, its neighbours, and one change at a time of those that were asked for.

    Args:
        context: of the run; its point becomes the best one.
        round: which round, from 1.
        choices: what step 6 asked for.
        invariances: of the pictures, looked for before the first round.
        edge: axes along which the coarse grid must be widened.
    """
    start = context.point
    candidates = _candidates(
        start,
        choices,
        invariances if round == 1 else (),
        edge,
        first=round == 1,
        known=context.known,
        height=context.dataset.record.input.height,
    )
    kinds = any(candidate.another_kind for candidate in candidates)
    plan = plan_grid(
        context,
        start,
        name=f"plan/refined-{round}",
        share=shares(context).refined,
        most_points=min(len(candidates), MOST_POINTS),
        most_epochs=context.epochs,
        kinds=kinds,
    )
    candidates = candidates[: plan.points]
    trained = train_grid(
        context, candidates, plan.rungs, total_steps=plan.total_steps, stage="refined", round=round, tail=True
    )
    # Where there is time for two kinds alone, the kept training is worth more than knowing the noise from seed to seed.
    if plan.total_steps >= context.steps_per_epoch(start) and not (kinds and plan.points == 2):
        trained = repeat_best(context, trained, repeats=REPEATS, round=round)

    def compute(visit: int) -> Evidence:
        task = context.dataset.record.task
        axes = _axes(trained)
        details: tuple[Detail, ...] = (grid_record(trained, axes=axes),)
        if round == 1 and invariances:
            details += (Invariances(found=_confirmed(invariances, trained)),)
        passed = bool(trained.finished)
        verdict = "Every one of the trainings diverged."
        if passed:
            best = trained.candidates[trained.best]
            value = trained.commits[trained.best].value
            verdict = (
                f"{counted(len(candidates), 'training')} of up to {counted(plan.total_steps, 'step')}: best is "
                f"{best.label}, validation {reading(1 - value, task)}"
            )
            base = next((each.label for each in candidates if each.is_base), "the start")
            kept = chosen(context, trained)
            if kept == trained.best:
                verdict += "." if best.is_base else f", more than the noise above {base}."
            elif trained.candidates[kept].another_kind:
                verdict += f", but {trained.candidates[kept].label} predicts with clearly less loss and is taken."
            else:
                verdict += f", within the noise of {base}, which stays."
            if not plan.whole and augmentation_is_harmless(context, trained):
                verdict += " The admitted augmentation does no harm beyond the noise: it goes into the long training."
        if plan.points == 1:
            verdict = "The budget allows no grid: what is left goes into the training that is kept."
        return Evidence(
            step=5,
            name=NAMES[5],
            visit=visit,
            passed=passed,
            verdict=verdict,
            seconds=0.0,
            numbers={"points": len(candidates), "steps": plan.total_steps, "noise": trained.noise},
            detail=details,
        )

    evidence = context.leave(5, compute)
    if trained.finished:
        number = chosen(context, trained)
        context.point = trained.specs[number].hyperparameters
        context.epochs *= trained.candidates[number].length
        context.length_judged = plan.whole
        if not plan.whole and augmentation_is_harmless(context, trained):
            context.point = admitted_point(context.point, invariances, height=context.dataset.record.input.height)
    return evidence, trained


def augmentation_is_harmless(context: Context, trained: Trained) -> bool:
    """Whether the admitted augmentation was tried and costs nothing beyond the noise.

    It slows a short training and helps a long one: where the grid is shorter than the kept training will be, that it
    does no harm yet is what speaks for it.
    """
    tried = next((n for n in trained.finished if trained.candidates[n].augmented), None)
    base = next((n for n in trained.finished if trained.candidates[n].is_base), None)
    if tried is None or base is None:
        return False
    samples = context.dataset.record.sizes["validation"]
    without, with_ = trained.commits[base].value, trained.commits[tried].value
    return not lead_is_real(without, with_, noise=trained.noise, samples=samples)


def changed_words(before: Hyperparameters, after: Hyperparameters) -> tuple[Choice, ...]:
    """What differs between two points, path by path."""
    old, new = paths(before), paths(after)
    return tuple(Choice(path=path, value=str(new[path]), why="") for path in new if new[path] != old[path])


def _candidates(
    start: Hyperparameters,
    choices: tuple[Candidate, ...],
    invariances: tuple[Invariance, ...],
    edge: tuple[str, ...],
    *,
    first: bool,
    known: tuple[Hyperparameters, ...],
    height: int,
) -> list[Candidate]:
    # Short trainings prefer high rates; where the recipe began is measured again at the length that counts.
    began = [Candidate(label="where the recipe began", point=known[0], is_base=True)] if first else []
    # What a coarse grid says of rates counts less than which kind of network it is.
    kinds = [Candidate(label="another kind of network", point=point, another_kind=True) for point in known[1:] if first]
    found = [*began, *kinds, Candidate(label="the point so far", point=start, is_base=not first)]
    augmented = admitted_point(known[0] if first else start, invariances, height=height)
    if augmented not in (start, known[0]):
        found.append(Candidate(label="with the admitted augmentation", point=augmented, augmented=True))
    found += choices
    lr = start.optimization.lr
    factors = {"a higher rate": FINER, "a lower rate": 1 / FINER}
    if "optimization.lr" in edge and first:
        factors["a rate beyond the grid's edge"] = FINER**2
    for words, factor in factors.items():
        point = replace(start, optimization=replace(start.optimization, lr=lr * factor))
        found.append(Candidate(label=words, point=point))
    unique: dict[tuple[Hyperparameters, float], Candidate] = {}
    for candidate in found:
        unique.setdefault((candidate.point, candidate.length), candidate)
    return list(unique.values())


def _axes(trained: Trained) -> tuple[str, ...]:
    """Numeric hyperparameters in which the candidates differ."""
    points = [paths(candidate.point) for candidate in trained.candidates.values()]
    return tuple(
        path
        for path in points[0]
        if isinstance(points[0][path], int | float) and len({point[path] for point in points}) > 1
    )


def _confirmed(invariances: tuple[Invariance, ...], trained: Trained) -> tuple[Invariance, ...]:
    """The invariances with what training with them made of it, where that was tried."""
    augmented = next((n for n, each in trained.candidates.items() if "augmentation" in each.label), None)
    base = min(trained.specs)
    if augmented is None or trained.commits[augmented].until_step != trained.commits[base].until_step:
        return invariances
    without, with_ = 1 - trained.commits[base].value, 1 - trained.commits[augmented].value
    return tuple(
        replace(each, why=f"{each.why} Trained with all admitted ones: {with_:.3f} instead of {without:.3f}.")
        if each.admitted
        else each
        for each in invariances
    )
