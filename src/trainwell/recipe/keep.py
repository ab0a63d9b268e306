"""The training that is kept: the best point, for as long as the budget allows, to the end of its decay tail."""

from dataclasses import dataclass, replace

from trainwell.core.errors import ModelError
from trainwell.core.records.record import record
from trainwell.core.records.trial import TrialSpec
from trainwell.recipe.context import Context
from trainwell.recipe.grids import tail_start
from trainwell.recipe.plan import LEAST_STEPS, end_reserve, kept_steps, step_cost
from trainwell.store.study import RungCommit

ATTEMPTS = 4
CALMER = 0.3
RUNGS = 12
"""Checkpoints of the kept training: what a crash can cost is one part in so many."""


@record
class Length:
    """How long the training is now to be.

    Attributes:
        total_steps: its length.
        decay_from: first step of its tail.
    """

    total_steps: int
    decay_from: int


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The kept training."""

    spec: TrialSpec
    commit: RungCommit


def keep(context: Context, *, whole: bool) -> Kept:
    """Train the best point to its end; at a lower rate where that diverges, as a longer training may.

    Between two rungs the clock is read. Where the machine is slower than it was measured, the decay tail is begun
    earlier; that is written to the store before it is obeyed.

    Args:
        context: of the run.
        whole: train on validation too, which then says nothing any more.
    Raises:
        ModelError: it diverges at every rate.
    """
    for _ in range(ATTEMPTS):
        kept = _train(context, whole=whole)
        if kept.commit.checkpoint:
            return kept
        lr = context.study.once(
            f"kept/{kept.spec.number}/calmer",
            float,
            lambda: context.point.optimization.lr * CALMER,
            text="train to the end again, at rate {value}",
            why="the training that was to be kept diverged",
        )
        context.point = replace(context.point, optimization=replace(context.point.optimization, lr=lr))
    raise ModelError(
        f"A training must stay finite to be kept, but {ATTEMPTS} diverged, at ever lower rates. "
        "Look at the data for outliers, or try another --model."
    )


def _train(context: Context, *, whole: bool) -> Kept:
    point = context.point
    total = kept_steps(context, point, whole=whole)
    spec = context.spec(point, total_steps=total, decay_from=tail_start(point, total), whole=whole)
    length = Length(total_steps=total, decay_from=spec.decay_from)
    context.progress.update("keeping", {"total_steps": total})
    done = 0
    commit: RungCommit | None = None
    while done < length.total_steps:
        length = _length(context, spec, done, length)
        until = min(done + max(total // RUNGS, LEAST_STEPS), length.total_steps)
        if length.total_steps - until < LEAST_STEPS:
            until = length.total_steps
        commit = context.trials.advance(
            spec,
            until,
            stage="kept",
            round=1,
            total_steps=length.total_steps,
            decay_from=length.decay_from,
        )
        if not commit.checkpoint:
            context.clock.steps += commit.until_step
            context.trials.end([spec.number], "diverged")
            return Kept(spec=spec, commit=commit)
        done = commit.until_step
    context.clock.steps += done
    context.trials.end([spec.number], "completed")
    if commit is None:
        raise AssertionError("a kept training has at least one rung")
    return Kept(spec=spec, commit=commit)


def _length(context: Context, spec: TrialSpec, done: int, length: Length) -> Length:
    """The training's length as it stands after `done` steps: shortened once the rest no longer fits."""
    if not context.clock.reads_time or done == 0:
        return length

    def compute() -> Length:
        left = context.clock.left() - end_reserve(context)
        cost = max(step_cost(context, spec.hyperparameters), _measured_cost(context, spec))
        fits = int(left / cost)
        if done + fits >= length.total_steps * 0.98 or done >= length.decay_from:
            return length
        rest = max(fits, LEAST_STEPS)
        tail = max(round(rest * spec.hyperparameters.schedule.decay_fraction), 1)
        begin = max(done, done + rest - tail)
        return Length(total_steps=done + rest, decay_from=max(begin, 1))

    found = context.study.once(f"kept/{spec.number}/{done}", Length, compute)
    if found != length:
        name = f"kept/{spec.number}/deadline/{done}"
        if not context.study.known(name):
            context.study.write(
                name,
                found,
                text=f"deadline: begin the final decay at step {found.decay_from}, end at step {found.total_steps}",
                why="the machine is slower than was measured at the start",
            )
    return found


def _measured_cost(context: Context, spec: TrialSpec) -> float:
    """Seconds a step of this training so far."""
    lines = context.trials.record(spec.number).metrics
    seconds, steps = sum(line.seconds for line in lines), lines[-1].step if lines else 0
    return seconds / steps if steps else 0.0
