"""Steps 5 to 7 on a pretrained network: the frozen one, and beside it the one whose last stages are trained too."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from trainwell.core.records.evidence import Evidence, Next, TransferDecision
from trainwell.core.records.hyperparameters import Hyperparameters, Optimization, Schedule, Transfer
from trainwell.core.records.trial import HeldOut, TrialSpec
from trainwell.diagnosis.leads import KIND, REAL, paired_lead
from trainwell.models.backbones import is_backbone
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.grids import Candidate, Trained, grid_record, spend, tail_start
from trainwell.recipe.look_at_curves import look_at_curves
from trainwell.recipe.outcome import finished_model
from trainwell.recipe.plan import LEAST_STEPS, end_reserve, step_cost
from trainwell.recipe.transfer import TUNED_EPOCHS, Considered, is_tiny
from trainwell.recipe.wording import percent
from trainwell.search.halving import Rungs, halve
from trainwell.search.heads import FOLDS, STEPS
from trainwell.search.rebuild import rebuild
from trainwell.store.study import RungCommit
from trainwell.training.calibration import fit_temperature
from trainwell.training.observe import outputs

FROZEN, TUNED, SCRATCHED = "the frozen network", "its last stages trained too", "a network from scratch"
TUNED_BATCH = 32
TUNED_LR = 1e-3
TUNED_DECAY = 0.05
SCRATCH_SHARE = 0.2
"""Of what is left, that the steps of a network from scratch may take to show what it can: building it and measuring it,
fold by fold, takes as long again, and the rest is for training it to its end."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """A training without a fold, and what it says of that fold.

    Attributes:
        spec: of the training.
        commit: of its end.
        logits: of the samples of the fold.
        labels: their classes.
    """

    spec: TrialSpec
    commit: RungCommit
    logits: Float[Tensor, "samples classes"]
    labels: Int64[Tensor, " samples"]


def fine_tune(context: Context, considered: Considered) -> None:
    """Train the best output layer on the frozen network, and beside it what may be better.

    That is its last stages trained too, where step 0 decided so; and a network from scratch where the probe was not
    clearly ahead of one, or where pictures are many. Either takes the frozen network's place only where its losses on
    pictures held out are lower beyond the noise, picture by picture: those of one fold, or of all folds where pictures
    are few.

    Args:
        context: of the run; its point becomes the best one.
        considered: in step 0.
    """
    frozen, decision = context.point, considered.decision
    rivals = [each for each in (_tuned(context, decision), _scratch(context, considered)) if each is not None]
    folds = _folds(context) if rivals else 1
    base = [_without(context, frozen, fold, STEPS) for fold in range(folds)]
    tried = []
    for rival in rivals:
        trained = [_without(context, rival.point, fold, rival.steps) for fold in range(folds)]
        tried.append(Tried(rival=rival, folds=trained, lead=_lead(base, trained)))
    better = [each for each in tried if each.lead > KIND]
    best = max(better, key=lambda each: each.lead, default=None)

    def compute(visit: int) -> Evidence:
        numbers: dict[str, float | int] = {"points": 1 + len(tried), "steps": base[0].spec.total_steps}
        numbers |= {f"lead of {each.rival.name}": each.lead for each in tried}
        if best is not None:
            numbers["temperature"] = fit_temperature(*_joined(best.folds))
        return Evidence(
            step=5,
            name=NAMES[5],
            visit=visit,
            passed=True,
            verdict=_sentence(decision, base, tried, best),
            seconds=0.0,
            numbers=numbers,
            detail=(grid_record(_as_grid(base, *(each.folds for each in tried)), axes=()),),
        )

    context.leave(5, compute)
    chosen = base if best is None else best.folds
    point = chosen[0].spec.hyperparameters
    context.point = point
    if best is None:
        context.epochs = STEPS / context.steps_per_epoch(point, whole=True)
    elif best.rival.name == TUNED:
        context.epochs = _tuned_steps(context, point) / context.steps_per_epoch(point, whole=True)
    else:
        context.epochs = best.rival.epochs
        # The finished network takes pictures as they were prepared for it.
        context.given = context.prepared
    look_at_curves(context, _as_grid(chosen))
    context.leave(7, lambda visit: _end(context, visit))


@dataclass(frozen=True, kw_only=True)
class Rival:
    """What may take the frozen network's place.

    Attributes:
        name: in words.
        point: its hyperparameters.
        steps: of a training without a fold.
        epochs: of the training that is kept, at most.
    """

    name: str
    point: Hyperparameters
    steps: int
    epochs: float


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A rival that was trained.

    Attributes:
        rival: which.
        folds: its trainings.
        lead: by how many standard errors its losses are lower than the frozen network's.
    """

    rival: Rival
    folds: list[Fold]
    lead: float


def tuned_point(head: Hyperparameters, *, stages: int, samples: int) -> Hyperparameters:
    """Fine-tuning from the best head: that head first, then the stages below it at rates that fall with depth.

    Args:
        head: the point of the frozen network.
        stages: trained too, counted from the top.
        samples: to train on.
    """
    batch = min(TUNED_BATCH, samples)
    return replace(
        head,
        regularization=replace(head.regularization, weight_decay=TUNED_DECAY),
        optimization=Optimization(optimizer="adamw", lr=TUNED_LR, beta2=0.99, batch_size=batch),
        schedule=Schedule(decay="linear", warmup_fraction=0.1, decay_fraction=0.9),
        transfer=Transfer(
            tuned_stages=stages,
            head_lr=head.optimization.lr,
            head_decay=head.regularization.weight_decay,
        ),
    )


def _folds(context: Context) -> int:
    return FOLDS if is_tiny(context) else 1


def _tuned(context: Context, decision: TransferDecision) -> Rival | None:
    """Fine-tuning where it was decided and the measured cost of a step still allows it."""
    if decision.taken == "freeze":
        return None
    sizes = context.dataset.record.sizes
    point = tuned_point(context.point, stages=max(context.derived), samples=sizes["train"] + sizes["validation"])
    steps = _tuned_steps(context, point)
    cost = step_cost(context, point)

    def fits() -> bool:
        return steps * (1 + _folds(context)) * cost <= context.clock.left() - end_reserve(context)

    affords: bool = context.study.once("transfer/affords", bool, fits)
    without = max(round(steps * (FOLDS - 1) / FOLDS), 1)
    return Rival(name=TUNED, point=point, steps=without, epochs=TUNED_EPOCHS) if affords else None


def _scratch(context: Context, considered: Considered) -> Rival | None:
    """A network from scratch where the probe left it open, for as long as a share of what is left allows."""
    decision = considered.decision
    is_open = decision.amount != "little" or decision.lead <= REAL
    if not math.isfinite(decision.similarity) or not is_open:
        return None
    point = considered.scratch
    cost, folds = step_cost(context, point), _folds(context)

    def affordable() -> int:
        return int(SCRATCH_SHARE * (context.clock.left() - end_reserve(context)) / cost / folds)

    longest = round(considered.epochs * context.steps_per_epoch(point))
    steps = min(context.study.once("transfer/scratch", int, affordable), longest)
    if steps < LEAST_STEPS:
        return None
    return Rival(name=SCRATCHED, point=point, steps=steps, epochs=considered.epochs)


def _tuned_steps(context: Context, point: Hyperparameters) -> int:
    return max(round(TUNED_EPOCHS * context.steps_per_epoch(point, whole=True)), 1)


def _without(context: Context, point: Hyperparameters, fold: int, steps: int) -> Fold:
    """Train without a fold, and ask the network about it."""
    held = HeldOut(fold=fold, folds=FOLDS, seed=context.settings.seed)
    spec = context.spec(point, total_steps=steps, decay_from=tail_start(point, steps), held_out=held)
    # What takes long leaves checkpoints on its way.
    rungs = Rungs() if context.is_frozen(point) else Rungs(shares=(1 / 3, 2 / 3, 1.0), keep=(1, 1))
    commits = halve(context.trials, [spec], rungs, stage="refined", round=1, always=frozenset({spec.number}))
    spend(context, commits)
    commit = commits[spec.number]
    setup = rebuild(spec, factory=context.trials.factory).setup
    labels = setup.targets[setup.validation]
    if not commit.checkpoint:
        logits = torch.full((len(labels), context.dataset.record.output.size), math.nan)
    else:
        network = finished_model(context, spec)
        logits = outputs(network, setup.inputs, setup.validation, precision=spec.precision, device=spec.device).cpu()
    return Fold(spec=spec, commit=commit, logits=logits, labels=labels)


def _lead(base: list[Fold], others: list[Fold]) -> float:
    """By how many standard errors the losses of the others are lower; 0 where a training diverged.

    Each kind at its own temperature: what label smoothing does to confidence is no merit and no fault.
    """
    losses = []
    for kind in (base, others):
        logits, labels = _joined(kind)
        if not bool(logits.isfinite().all()):
            return 0.0
        scaled = logits.double() / fit_temperature(logits, labels)
        losses.append(functional.cross_entropy(scaled, labels, reduction="none").tolist())
    return round(paired_lead(*losses), 2)


def _joined(folds: list[Fold]) -> tuple[Tensor, Tensor]:
    return torch.cat([fold.logits.float() for fold in folds]), torch.cat([fold.labels for fold in folds])


def _accuracy(folds: list[Fold]) -> float:
    logits, labels = _joined(folds)
    return (logits.argmax(dim=1) == labels).double().mean().item()


def _sentence(decision: TransferDecision, base: list[Fold], tried: list[Tried], best: Tried | None) -> str:
    held = len(_joined(base)[1])
    said = f"The best output layer reaches {percent(_accuracy(base))} on {held} pictures held out"
    if decision.taken != "freeze" and all(each.rival.name != TUNED for each in tried):
        said += "; there is no budget left to train stages below it"
    if not tried:
        return f"{said}; nothing below it is trained." if decision.taken == "freeze" else f"{said}."
    for each in tried:
        said += f"; {each.rival.name} {percent(_accuracy(each.folds))}, a lead of {each.lead:.1f} standard errors"
    if best is None:
        return f"{said}. That is no reason to leave the frozen network."
    return f"{said}. {best.rival.name[:1].upper()}{best.rival.name[1:]} is taken."


def _named(point: Hyperparameters) -> str:
    if not is_backbone(point.architecture.name):
        return SCRATCHED
    return TUNED if point.transfer.tuned_stages else FROZEN


def _as_grid(*kinds: list[Fold]) -> Trained:
    """The first trainings of some kinds as a grid; the first kind is judged."""
    firsts = [kind[0] for kind in kinds]
    candidates = {
        fold.spec.number: Candidate(
            label=_named(fold.spec.hyperparameters),
            point=fold.spec.hyperparameters,
            is_base=number == 0,
        )
        for number, fold in enumerate(firsts)
    }
    return Trained(
        candidates=candidates,
        specs={fold.spec.number: fold.spec for fold in firsts},
        commits={fold.spec.number: fold.commit for fold in firsts},
        finished=tuple(fold.spec.number for fold in firsts if fold.commit.checkpoint),
    )


def _end(context: Context, visit: int) -> Evidence:
    spent = min(context.clock.spent() / context.clock.total, 1.0)
    return Evidence(
        step=7,
        name=NAMES[7],
        visit=visit,
        passed=True,
        verdict="What an output layer can vary has been tried: the best is trained on all pictures but the test's.",
        seconds=0.0,
        numbers={"spent": spent},
        detail=(Next(go_on=False, choices=(), spent_fraction=spent),),
    )
