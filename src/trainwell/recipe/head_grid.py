"""Step 4 on fixed features: many output layers, cross-validated at once."""

from dataclasses import replace
from time import perf_counter

import torch
from torch import Tensor

from trainwell.core.records.evidence import Evidence, HeadGrid, HeadPoint
from trainwell.models.transferred import FeatureHead
from trainwell.recipe.context import NAMES, Context
from trainwell.recipe.outcome import wilson
from trainwell.recipe.plan import end_reserve
from trainwell.recipe.transfer import is_tiny
from trainwell.recipe.wording import counted, percent, rate
from trainwell.search.heads import FOLDS, HeadTrial, search_heads
from trainwell.training.calibration import fit_temperature

REPEATS = 3
"""Of the cross-validation, for tiny data: one dealing of so few is luck."""
AROUND_SECONDS = 12.0
"""Beside the reserve, what the run's clock does not see of a command, or has not seen yet: Python's start, the training
of the best output layer, the report."""


def head_grid(context: Context) -> Evidence:
    """Cross-validate output layers on everything but the test part, and take the best."""

    def compute(visit: int) -> Evidence:
        dataset = context.dataset
        pool = pooled(context)
        features, labels = dataset.inputs[pool], dataset.targets[pool]
        classes = dataset.record.output.size
        head = FeatureHead(features.shape[1], classes)
        head.fit(features)
        folds = min(FOLDS, int(torch.bincount(labels).clamp(min=2).min()))
        repeats = REPEATS if is_tiny(context) else 1
        device = context.settings.device
        began = perf_counter()

        def more() -> bool:
            took = (perf_counter() - began) / 5
            left = context.clock.left() - end_reserve(context) - AROUND_SECONDS
            return not context.clock.reads_time or took < left

        search = search_heads(
            head.scaled(features).to(device),
            labels.to(device),
            classes=classes,
            folds=folds,
            repeats=repeats,
            seed=context.settings.seed,
            more=more,
        )
        best = search.trials[0]
        interval = wilson(round(best.accuracy * len(pool)), len(pool))
        again = f", {search.repeats} times over" if search.repeats > 1 else ""
        verdict = (
            f"Of {counted(len(search.trials), 'output layer')} rate {rate(best.setting.lr)}, weight decay "
            f"{rate(best.setting.weight_decay)}, dropout {best.setting.dropout:g} and label smoothing "
            f"{best.setting.label_smoothing:g} is best: {percent(best.accuracy)} on pictures that it had not learnt "
            f"from ({counted(folds, 'fold')}{again})."
        )
        grid = HeadGrid(
            points=tuple(_point(each) for each in search.trials),
            folds=folds,
            repeats=search.repeats,
            samples=len(pool),
            interval=interval,
        )
        return Evidence(
            step=4,
            name=NAMES[4],
            visit=visit,
            passed=True,
            verdict=verdict,
            seconds=0.0,
            numbers={
                "points": len(search.trials),
                "steps": search.steps,
                "accuracy": best.accuracy,
                "temperature": fit_temperature(search.held_out.cpu(), labels),
            },
            detail=(grid,),
        )

    evidence = context.leave(4, compute)
    best = next(detail for detail in evidence.detail if isinstance(detail, HeadGrid)).points[0]
    point = context.point
    context.point = replace(
        point,
        optimization=replace(point.optimization, lr=best.lr),
        regularization=replace(
            point.regularization,
            weight_decay=best.weight_decay,
            dropout=best.dropout,
            label_smoothing=best.label_smoothing,
        ),
    )
    return evidence


def pooled(context: Context) -> Tensor:
    """Everything but the test part: cross-validation needs no part of its own."""
    parts = context.dataset.parts
    return torch.cat([parts["train"], parts["validation"]]).sort().values


def _point(trial: HeadTrial) -> HeadPoint:
    setting = trial.setting
    return HeadPoint(
        lr=setting.lr,
        weight_decay=setting.weight_decay,
        dropout=setting.dropout,
        label_smoothing=setting.label_smoothing,
        loss=trial.loss,
        accuracy=trial.accuracy,
        folds=trial.folds,
    )
