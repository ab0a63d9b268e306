"""Step 4: a coarse grid of learning rate and weight decay, a few epochs each."""

import math
from dataclasses import replace

from trainwell.core.records.evidence import Evidence
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.grids import Candidate, Trained, chosen, grid_record, train_grid
from trainwell.recipe.plan import COARSE_EPOCHS, plan_grid, shares
from trainwell.recipe.wording import counted, rate, reading

AXES = ("optimization.lr", "regularization.weight_decay")
RATES = (1.0, 1 / 3, 3.0)
"""Factors on step 3's rate, in the order in which a small budget takes them."""
DECAYS = (1.0, 10.0, 0.1)
"""Factors on the starting weight decay, likewise."""
FIRST_DECAY = 1e-4
"""Where the starting point has no weight decay."""


def coarse_grid(context: Context) -> tuple[Evidence, Trained]:
    """Train the grid, bad points stopped early, and take the best point; widen once where it lies at the edge."""
    start = context.point
    plan = plan_grid(
        context,
        start,
        name="plan/coarse",
        share=shares(context).coarse,
        # Kinds of network have their own decays, and telling them apart is worth more than the coarse grid.
        most_points=len(RATES) * (len(DECAYS) if len(context.known) == 1 else 1),
        most_epochs=COARSE_EPOCHS,
    )
    candidates = grid_points(start, plan.points, known=context.known[0])
    trained = train_grid(
        context, candidates, plan.rungs, total_steps=plan.total_steps, stage="coarse", round=1, tail=False
    )

    def compute(visit: int) -> Evidence:
        task = context.dataset.record.task
        edge = edges(trained)
        grid = grid_record(trained, axes=AXES, at_edge=edge)
        passed = bool(trained.finished)
        if not passed:
            verdict = f"Every one of the {len(candidates)} trainings diverged: the rate of step 3 is too high."
        else:
            best = trained.specs[trained.best].hyperparameters
            verdict = (
                f"Of {counted(len(candidates), 'point')}, rate {rate(best.optimization.lr)} with weight decay "
                f"{rate(best.regularization.weight_decay)} is best after {counted(plan.total_steps, 'step')}: "
                f"validation {reading(1 - trained.commits[trained.best].value, task)}."
            )
            kept = chosen(context, trained)
            if kept != trained.best:
                verdict += " Its lead over where the recipe began is within the noise, so that stays."
            elif edge:
                verdict += " It lies at the edge of the grid: the next one looks beyond."
        if plan.points == 1:
            verdict = "The budget allows no grid: what is left goes into the training that is kept."
        return Evidence(
            step=4,
            name=NAMES[4],
            visit=visit,
            passed=passed,
            verdict=verdict,
            seconds=0.0,
            numbers={"points": len(candidates), "steps": plan.total_steps},
            detail=(grid,),
        )

    evidence = context.leave(4, compute)
    if trained.finished:
        context.point = trained.specs[chosen(context, trained)].hyperparameters
    return evidence, trained


def grid_points(start: Hyperparameters, count: int, *, known: Hyperparameters) -> list[Candidate]:
    """The first points of the grid around a start: all rates at the first decay, then the further decays.

    Args:
        start: the middle of the grid.
        count: how many points, >= 1.
        known: the point that the recipe began with; it has worked on other data, so it is tried beside the grid.
    """
    decay = start.regularization.weight_decay or FIRST_DECAY
    found = []
    for decay_factor in DECAYS:
        for lr_factor in RATES:
            point = replace(
                start,
                optimization=replace(start.optimization, lr=start.optimization.lr * lr_factor),
                regularization=replace(start.regularization, weight_decay=decay * decay_factor),
            )
            label = f"lr {rate(point.optimization.lr)}, decay {rate(point.regularization.weight_decay)}"
            found.append(Candidate(label=label, point=point))
    base = Candidate(label="where the recipe began", point=known, is_base=True)
    others = [candidate for candidate in found if candidate.point != known]
    return [base, *others[: count - 1]]


def edges(trained: Trained) -> tuple[str, ...]:
    """Axes with at least three levels along which the best point has no neighbour on one side."""
    if not trained.finished:
        return ()
    found = []
    for axis in AXES:
        chapter, name = axis.split(".")
        levels = sorted({getattr(getattr(spec.hyperparameters, chapter), name) for spec in trained.specs.values()})
        best = getattr(getattr(trained.specs[trained.best].hyperparameters, chapter), name)
        if len(levels) >= 3 and (math.isclose(best, levels[0]) or math.isclose(best, levels[-1])):
            found.append(axis)
    return tuple(found)
