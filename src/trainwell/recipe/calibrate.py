"""The temperature at which the finished network says its probabilities."""

import torch
from torch import Tensor, nn

from trainwell.core.records.trial import TrialSpec
from trainwell.core.seeds import generator
from trainwell.recipe.context import Context
from trainwell.recipe.outcome import finished_model
from trainwell.recipe.plan import LEAST_STEPS
from trainwell.search.augment import views_of
from trainwell.store.study import TrialEntry
from trainwell.training.calibration import carry_temperature, fit_temperature
from trainwell.training.observe import outputs

MOST_SAMPLES = 4000
"""So many give the one number to about a hundredth; the budget's end has other uses."""
UNCHANGED = 1.0
"""Logits as they are: what is taken where nothing that was not trained on can say better."""
LEAST_SHARE = 0.03
"""A training shorter than this share of the kept one, than an epoch, or that stands in for a grid, says nothing of it.

Measured on five sets (digits, breast cancer, icons, churn, storms) with trainings of 1% to 80% of the kept one's
length: from 4% and one epoch on, the temperature carried over made each set's calibration error smaller than it is
without one; at a third of an epoch it doubled one's."""


def calibrate(context: Context, kept: TrialSpec, network: nn.Module) -> float:
    """Fit one temperature on validation samples, decided once in the life of the run.

    The kept training has seen the validation part, so its own outputs there say nothing. Those of a refined training
    of the same network under the same regularization do: it had the training part alone. It was shorter and its logits
    are smaller, so the temperature is carried over in the units of the kept one's. Where the budget allowed no grid, or
    only trainings far shorter than the kept one, the logits stay as they are. On a pretrained network's features the
    cross-validation has fitted it on all samples, each under a training that had not seen it.

    Args:
        context: of the run.
        kept: the training that is kept.
        network: its network.
    Returns:
        T, > 0; 1 for a regression.
    Source: Guo et al. 2017, section 4.2.
    """
    fitted_before = [each.numbers["temperature"] for each in context.evidence if "temperature" in each.numbers]
    if fitted_before:
        return fitted_before[-1]
    index = context.dataset.parts["validation"]
    source = _source(context, kept) if context.dataset.record.task == "classification" and len(index) else None
    if source is None:
        return UNCHANGED

    chosen = _some(index)
    # Both trainings have seen it, so that their logits there differ by how far each has come.
    known = _some(context.dataset.parts["train"])

    def compute() -> float:
        model = finished_model(context, source)
        unseen = _logits(context, source, model, chosen)
        before = _logits(context, source, model, known)
        after = _logits(context, kept, network, known)
        # A training may end finite on average and still overflow on a sample.
        if not all(bool(each.isfinite().all()) for each in (unseen, before, after)):
            return UNCHANGED
        fitted = fit_temperature(unseen, context.dataset.targets[chosen])
        return fitted if source == kept else carry_temperature(fitted, source=before, to=after)

    return context.study.once(
        "temperature",
        float,
        compute,
        text="divide the logits by {value} wherever probabilities are said",
        why=f"fitted on {len(chosen):,} validation samples, which trial {source.number} was not trained on",
    )


def _some(index: Tensor) -> Tensor:
    """At most `MOST_SAMPLES` of them, drawn: parts may be in the order of their classes."""
    if len(index) <= MOST_SAMPLES:
        return index
    return index[torch.randperm(len(index), generator=generator(0, "calibrate"))[:MOST_SAMPLES].sort().values]


def _logits(context: Context, spec: TrialSpec, model: nn.Module, index: Tensor) -> Tensor:
    views = views_of(spec.hyperparameters.augmentation)
    return outputs(model, context.dataset.inputs, index, precision=spec.precision, device=spec.device, views=views)


def _source(context: Context, kept: TrialSpec) -> TrialSpec | None:
    """A training that did not see the validation part and is as like the kept one as any."""
    if "validation" not in kept.parts:
        return kept
    point = kept.hyperparameters
    least = max(LEAST_SHARE * kept.total_steps, context.steps_per_epoch(point), LEAST_STEPS + 1)

    def is_alike(entry: TrialEntry) -> bool:
        found = entry.spec.hyperparameters
        same = (found.architecture, found.activation, found.regularization)
        return (
            entry.stage == "refined"
            and entry.state == "completed"
            and "validation" not in entry.spec.parts
            and same == (point.architecture, point.activation, point.regularization)
            and entry.rungs[-1].until_step >= least
        )

    def rank(entry: TrialEntry) -> tuple[bool, bool, int, float, float, int]:
        found, last = entry.spec.hyperparameters, entry.rungs[-1]
        differs = (found != point, found.augmentation != point.augmentation)
        return *differs, -last.until_step, last.value, last.loss, entry.spec.number

    alike = [entry for entry in context.study.trials() if is_alike(entry)]
    return min(alike, key=rank).spec if alike else None
