"""What steps 4 and 5 share: a set of points trained, halved and read."""

import math
from dataclasses import dataclass, replace

from trainwell.core.records.evidence import Grid, GridPoint
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.trial import TrialSpec
from trainwell.diagnosis.changes import paths
from trainwell.diagnosis.leads import KIND, importances, lead_is_real, paired_lead, values_noise
from trainwell.recipe.context import Context
from trainwell.recipe.outcome import validation_losses
from trainwell.search.halving import Rungs, halve, steps_at
from trainwell.store.study import RungCommit


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One point of a grid.

    Attributes:
        label: what it is called.
        point: its hyperparameters.
        length: factor on the grid's length.
        is_base: the others must beat it beyond the noise to take its place.
        augmented: the admitted augmentation on the base; trained to the end whatever it reaches at first.
        another_kind: another network than the base, likewise.
    """

    label: str
    point: Hyperparameters
    length: float = 1.0
    is_base: bool = False
    augmented: bool = False
    another_kind: bool = False


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A grid that has been trained.

    Attributes:
        candidates: trial number -> candidate.
        commits: trial number -> last commit.
        finished: numbers of those trained to the end, best first.
        noise: standard deviation of the value from seed to seed; NaN where it was not measured.
    """

    candidates: dict[int, Candidate]
    specs: dict[int, TrialSpec]
    commits: dict[int, RungCommit]
    finished: tuple[int, ...]
    noise: float = math.nan

    @property
    def best(self) -> int:
        """Number of the best trial."""
        return self.finished[0]


def train_grid(
    context: Context,
    candidates: list[Candidate],
    rungs: Rungs,
    *,
    total_steps: int,
    stage: str,
    round: int,  # noqa: A002 - the word of the house
    tail: bool,
) -> Trained:
    """Train all candidates by halving.

    Args:
        context: of the run.
        candidates: the points.
        rungs: where they are compared.
        total_steps: length of a training whose candidate says nothing else.
        stage: coarse or refined.
        round: which round.
        tail: whether trainings end in their decay tail.
    """
    specs = {}
    for candidate in candidates:
        length = steps_at(candidate.length, total_steps)
        decay_from = tail_start(candidate.point, length) if tail else None
        spec = context.spec(candidate.point, total_steps=length, decay_from=decay_from)
        specs[spec.number] = spec
    pairs = zip(specs, candidates, strict=True)
    always = frozenset(
        n for n, candidate in pairs if candidate.is_base or candidate.augmented or candidate.another_kind
    )
    commits = halve(context.trials, list(specs.values()), rungs, stage=stage, round=round, always=always)
    spend(context, commits)
    return Trained(
        candidates=dict(zip(specs, candidates, strict=True)),
        specs=specs,
        commits=commits,
        finished=_ranked(commits, specs),
    )


def chosen(context: Context, trained: Trained) -> int:
    """The trial to go on with: the best one where its lead over the base is real, else the base.

    A small validation part would otherwise choose by chance what is worse on new samples. Another kind of network takes
    the base's place by its losses sample by sample, and by a larger lead: it was judged at a fraction of its length.
    """
    base = next((n for n in trained.finished if trained.candidates[n].is_base), None)
    if base is None:
        return trained.best
    samples = context.dataset.record.sizes["validation"]
    better_kinds = [n for n in trained.finished if _is_better_kind(context, trained, base, n)]
    base = min(better_kinds, key=lambda n: (trained.commits[n].loss, n), default=base)
    if base == trained.best or trained.candidates[trained.best].another_kind:
        return base
    better, worse = trained.commits[trained.best].value, trained.commits[base].value
    return trained.best if lead_is_real(better, worse, noise=trained.noise, samples=samples) else base


def _is_better_kind(context: Context, trained: Trained, base: int, number: int) -> bool:
    if not trained.candidates[number].another_kind or not context.dataset.record.sizes["validation"]:
        return False

    def lead() -> float:
        return round(paired_lead(*(validation_losses(context, trained.specs[n]) for n in (base, number))), 2)

    name = f"kinds/{base}-{number}"
    why = f"trial {number} is of another kind than trial {base}; beyond {KIND:g} it takes its place"
    text = "its validation losses are lower by {value} standard errors"
    return context.study.once(name, float, lead, text=text, why=why) > KIND


def repeat_best(context: Context, trained: Trained, *, repeats: int, round: int) -> Trained:  # noqa: A002
    """Measure the noise: the best point again with other seeds."""
    if repeats < 1 or not trained.finished:
        return trained
    best = trained.specs[trained.best]
    values = [trained.commits[trained.best].value]
    commits: dict[int, RungCommit] = {}
    for repeat in range(repeats):
        spec = context.spec(
            best.hyperparameters,
            total_steps=best.total_steps,
            decay_from=best.decay_from,
            seed=best.seed + repeat + 1,
        )
        commits |= halve(context.trials, [spec], Rungs(), stage="noise", round=round)
    spend(context, commits)
    values += [commit.value for commit in commits.values()]
    return replace(trained, noise=values_noise(values))


def spend(context: Context, commits: dict[int, RungCommit]) -> None:
    """Count the optimizer steps of some trials."""
    context.clock.steps += sum(commit.until_step for commit in commits.values())


def tail_start(point: Hyperparameters, length: int) -> int:
    """First step of the decay tail of a training of some length; its length where it has none."""
    if point.schedule.decay == "constant":
        return length
    first = length - round(point.schedule.decay_fraction * length)
    warm = round(point.schedule.warmup_fraction * length)
    return min(max(first, warm + 1), length)


def grid_record(trained: Trained, *, axes: tuple[str, ...], at_edge: tuple[str, ...] = ()) -> Grid:
    """A trained grid as evidence."""
    points = []
    for number, candidate in trained.candidates.items():
        commit = trained.commits[number]
        known = paths(candidate.point)
        diverged = not math.isfinite(commit.value)
        state = "diverged" if diverged else ("completed" if number in trained.finished else "stopped")
        points.append(
            GridPoint(
                trial=number,
                coordinates={axis: float(known[axis]) for axis in axes if not isinstance(known[axis], str)},
                labels={"change": candidate.label},
                value=commit.value,
                loss=commit.loss,
                steps=commit.until_step,
                state=state,  # type: ignore[arg-type]  # one of three literals
            )
        )
    return Grid(
        axes=axes,
        points=tuple(points),
        best=trained.best if trained.finished else min(trained.candidates),
        at_edge=at_edge,
        noise=trained.noise,
        importances=importances(points, axes),
    )


def _ranked(commits: dict[int, RungCommit], specs: dict[int, TrialSpec]) -> tuple[int, ...]:
    whole = [
        n for n, commit in commits.items() if commit.until_step >= specs[n].total_steps and math.isfinite(commit.value)
    ]
    return tuple(sorted(whole, key=lambda n: (commits[n].value, commits[n].loss, n)))
