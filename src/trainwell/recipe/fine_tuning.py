"""Steps 5 to 7 on a pretrained network: the frozen one, and beside it the one whose last stages are trained too."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from trainwell.core.records.evidence import Evidence, Next, TransferDecision
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.trial import HeldOut, TrialSpec
from trainwell.diagnosis.leads import KIND, paired_lead
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.grids import Candidate, Trained, grid_record, spend, tail_start
from trainwell.recipe.look_at_curves import look_at_curves
from trainwell.recipe.outcome import finished_model
from trainwell.recipe.plan import end_reserve, step_cost
from trainwell.recipe.transfer import TUNED_EPOCHS, is_tiny, tuned_point
from trainwell.recipe.wording import counted, percent
from trainwell.search.halving import Rungs, halve
from trainwell.search.heads import FOLDS, STEPS
from trainwell.search.rebuild import rebuild
from trainwell.store.study import RungCommit
from trainwell.training.calibration import fit_temperature
from trainwell.training.observe import outputs

FROZEN = "the frozen network"
TUNED = "its last stages trained too"


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


def fine_tune(context: Context, decision: TransferDecision) -> None:
    """Train the best output layer on the frozen network and, where that was decided, its last stages beside it.

    Fine-tuning is kept where its losses on pictures held out are lower beyond the noise, picture by picture: those of
    one fold, or of all folds where pictures are few.

    Args:
        context: of the run; its point becomes the better one.
        decision: of step 0.
    """
    frozen, tuned = context.point, _affordable(context, decision)
    folds = FOLDS if tuned is not None and is_tiny(context) else 1
    base = [_without(context, frozen, fold, STEPS) for fold in range(folds)]
    others: list[Fold] = []
    if tuned is not None:
        steps = max(round(_tuned_steps(context, tuned) * (FOLDS - 1) / FOLDS), 1)
        others = [_without(context, tuned, fold, steps) for fold in range(folds)]
    lead = _lead(base, others)
    better = lead > KIND

    def compute(visit: int) -> Evidence:
        numbers: dict[str, float | int] = {"points": 1 + bool(others), "steps": base[0].spec.total_steps}
        if others:
            numbers["lead"] = lead
        if better:
            numbers["temperature"] = fit_temperature(*_joined(others))
        return Evidence(
            step=5,
            name=NAMES[5],
            visit=visit,
            passed=True,
            verdict=_sentence(base, others, lead, stages=0 if tuned is None else tuned.transfer.tuned_stages)
            if others or decision.taken == "freeze"
            else "Fine-tuning is not tried: it no longer fits into the budget. The network stays frozen.",
            seconds=0.0,
            numbers=numbers,
            detail=(grid_record(_as_grid(base[:1] + others[:1]), axes=()),),
        )

    context.leave(5, compute)
    chosen = others if better else base
    point = chosen[0].spec.hyperparameters
    context.point = point
    steps = _tuned_steps(context, point) if better else STEPS
    context.epochs = steps / context.steps_per_epoch(point, whole=True)
    look_at_curves(context, _as_grid(chosen[:1]))
    context.leave(7, lambda visit: _end(context, visit))


def _affordable(context: Context, decision: TransferDecision) -> Hyperparameters | None:
    """The point of fine-tuning where the measured cost of a step still allows it."""
    if decision.taken == "freeze":
        return None
    stages = max(context.derived)
    sizes = context.dataset.record.sizes
    point = tuned_point(context.point, stages=stages, samples=sizes["train"] + sizes["validation"])
    steps = _tuned_steps(context, point) * (1 + (FOLDS if is_tiny(context) else 1))
    cost = step_cost(context, point)

    def fits() -> bool:
        return steps * cost <= context.clock.left() - end_reserve(context)

    affords: bool = context.study.once("transfer/affords", bool, fits)
    return point if affords else None


def _tuned_steps(context: Context, point: Hyperparameters) -> int:
    return max(round(TUNED_EPOCHS * context.steps_per_epoch(point, whole=True)), 1)


def _without(context: Context, point: Hyperparameters, fold: int, steps: int) -> Fold:
    """Train without a fold, and ask the network about it."""
    held = HeldOut(fold=fold, folds=FOLDS, seed=context.settings.seed)
    spec = context.spec(point, total_steps=steps, decay_from=tail_start(point, steps), held_out=held)
    rungs = Rungs(shares=(1 / 3, 2 / 3, 1.0), keep=(1, 1)) if point.transfer.tuned_stages else Rungs()
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
    """By how many standard errors fine-tuning's losses are lower; 0 where it was not tried, or diverged."""
    if not others:
        return 0.0
    losses = [functional.cross_entropy(*_joined(each), reduction="none").double() for each in (base, others)]
    if not all(bool(each.isfinite().all()) for each in losses):
        return 0.0
    return round(paired_lead(losses[0].tolist(), losses[1].tolist()), 2)


def _joined(folds: list[Fold]) -> tuple[Tensor, Tensor]:
    return torch.cat([fold.logits.float() for fold in folds]), torch.cat([fold.labels for fold in folds])


def _accuracy(folds: list[Fold]) -> float:
    logits, labels = _joined(folds)
    return (logits.argmax(dim=1) == labels).double().mean().item()


def _sentence(base: list[Fold], others: list[Fold], lead: float, *, stages: int) -> str:
    if not others:
        return (
            f"The best output layer reaches {percent(_accuracy(base))} on {len(base[0].labels)} pictures held out; "
            "nothing below it is trained."
        )
    said = (
        f"With its last {counted(stages, 'stage')} trained too, the network reaches {percent(_accuracy(others))} on "
        f"{len(_joined(others)[1])} pictures held out, frozen {percent(_accuracy(base))}: "
    )
    if lead > KIND:
        return said + f"its loss is lower by {lead:.1f} standard errors, and it is taken."
    return said + f"a lead of {lead:.1f} standard errors in loss is no reason to move it, so it stays frozen."


def _as_grid(folds: list[Fold]) -> Trained:
    """Trainings as a grid whose first one is judged."""
    labels = (FROZEN, TUNED) if len(folds) > 1 or not folds[0].spec.hyperparameters.transfer.tuned_stages else (TUNED,)
    candidates = {
        fold.spec.number: Candidate(label=label, point=fold.spec.hyperparameters, is_base=number == 0)
        for number, (fold, label) in enumerate(zip(folds, labels, strict=False))
    }
    return Trained(
        candidates=candidates,
        specs={fold.spec.number: fold.spec for fold in folds},
        commits={fold.spec.number: fold.commit for fold in folds},
        finished=tuple(fold.spec.number for fold in folds if fold.commit.checkpoint),
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
