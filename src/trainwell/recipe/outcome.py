"""The test part, touched once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.files import write_atomically, writing
from trainwell.core.records.outcome import CalibrationBin, ClassFigures, Interval, Mistake, Outcome
from trainwell.core.records.trial import Score, TrialSpec
from trainwell.data.dataset import Dataset
from trainwell.recipe.context import Context
from trainwell.recipe.montage import picture_png
from trainwell.search.augment import views_of
from trainwell.search.rebuild import rebuild
from trainwell.training.calibration import at_temperature
from trainwell.training.objective import score, standardize, unstandardize
from trainwell.training.observe import outputs
from trainwell.training.state import load_weights

MISTAKES = 24
SCATTER = 500
BINS = 15
RESAMPLES = 1000
Z = 1.959964
"""Standard normal quantile of a 95% interval."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A finished network and what it says of a part."""

    model: nn.Module
    outputs: Tensor
    score: Score


def finished_model(context: Context, spec: TrialSpec) -> nn.Module:
    """The kept network in test mode: averaged weights where there are any."""
    rebuilt = rebuild(spec, factory=context.trials.factory)
    model = rebuilt.setup.model
    averaged = spec.hyperparameters.optimization.averaging > 0
    load_weights(context.trials.state_of(spec.number), model, averaged=averaged)
    return model.eval()


def judge(context: Context, spec: TrialSpec, model: nn.Module, part: str) -> Judged:
    """A network on a part of the data, with the views that its training saw."""
    dataset = context.dataset
    index = dataset.parts[part]
    views = views_of(spec.hyperparameters.augmentation)
    inputs = context.dataset_of(spec.hyperparameters).inputs
    found = outputs(model, inputs, index, precision=spec.precision, device=spec.device, views=views)
    return Judged(model=model, outputs=found, score=score(found, dataset.targets[index], dataset.record.output))


def validation_losses(context: Context, spec: TrialSpec) -> list[float]:
    """The loss of each validation sample under a training that did not see it.

    Args:
        context: of the run.
        spec: of a training that was brought to its end.
    Returns:
        Cross-entropy in nats, or squared error of standardized targets.
    """
    judged = judge(context, spec, finished_model(context, spec), "validation")
    targets = context.dataset.targets[context.dataset.parts["validation"]]
    found = judged.outputs.double()
    if context.dataset.record.task == "classification":
        return functional.cross_entropy(found, targets, reduction="none").tolist()
    wanted = standardize(targets.double(), context.dataset.record.output)
    return (found - wanted).square().mean(dim=1).tolist()


def measure_outcome(context: Context, spec: TrialSpec, model: nn.Module, *, temperature: float) -> Outcome:
    """Everything that is said of the test part; pictures of mistakes are written beside.

    Args:
        context: of the run.
        spec: the kept training.
        model: its network.
        temperature: what logits are divided by before probabilities are said; no prediction depends on it.
    """
    dataset = context.dataset
    index = dataset.parts["test"]
    judged = judge(context, spec, model, "test")
    targets = dataset.targets[index]
    if dataset.record.task == "regression":
        return _regression(dataset, index, judged, targets, seed=context.settings.seed)
    predicted = judged.outputs.argmax(dim=1)
    confidence = at_temperature(judged.outputs, temperature).gather(1, predicted[:, None])[:, 0]
    size = dataset.record.output.size
    confusion = torch.bincount(targets * size + predicted, minlength=size * size).reshape(size, size)
    right = predicted == targets
    bins = calibration_bins(confidence, right)
    return Outcome(
        metric="accuracy",
        value=judged.score.metric,
        interval=wilson(int(right.sum()), len(index)),
        n=len(index),
        loss=score(judged.outputs.double() / temperature, targets, dataset.record.output).loss,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        classes=tuple(_class_figures(confusion, i, name) for i, name in enumerate(dataset.record.output.names)),
        mistakes=_mistakes(context, index, targets, predicted, confidence),
        calibration_error=calibration_error(bins),
        temperature=temperature,
        calibration=bins,
    )


def wilson(right: int, n: int) -> Interval:
    r"""Wilson's 95% interval of a share.

    .. math:: \frac{p + z^2/2n \pm z \sqrt{p(1-p)/n + z^2/4n^2}}{1 + z^2/n}

    Example:
        >>> tuple(round(bound, 3) for bound in wilson(98, 100))
        (0.93, 0.994)

    Source: Wilson 1927.
    """
    if n == 0:
        return (math.nan, math.nan)
    share = right / n
    middle = share + Z * Z / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    whole = 1 + Z * Z / n
    return ((middle - half) / whole, (middle + half) / whole)


def calibration_bins(
    confidence: Float[Tensor, " samples"], right: Bool[Tensor, " samples"]
) -> tuple[CalibrationBin, ...]:
    """How often what was said with about one confidence is so, in 15 equal bins of it; empty ones are left out.

    Args:
        confidence: probability given to each prediction.
        right: whether it was so.
    Source: Guo et al. 2017, section 2.
    """
    place = (confidence * BINS).long().clamp(max=BINS - 1)
    found = []
    for number in place.unique().tolist():
        inside = place == number
        count, hits = int(inside.sum()), int(right[inside].sum())
        found.append(
            CalibrationBin(
                confidence=confidence[inside].double().mean().item(),
                right=hits / count,
                count=count,
                interval=wilson(hits, count),
            )
        )
    return tuple(found)


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    r"""Expected calibration error, :math:`\sum_b \frac{n_b}{n} |\text{acc}_b - \text{conf}_b|`; NaN without samples.

    Source: Guo et al. 2017, section 2.
    """
    samples = sum(one.count for one in bins)
    return sum(one.count * abs(one.right - one.confidence) for one in bins) / samples if samples else math.nan


def _class_figures(confusion: Tensor, i: int, name: str) -> ClassFigures:
    right = int(confusion[i, i])
    there, said = int(confusion[i].sum()), int(confusion[:, i].sum())
    return ClassFigures(
        name=name,
        samples=there,
        precision=right / said if said else math.nan,
        recall=right / there if there else math.nan,
        recall_interval=wilson(right, there),
    )


def _mistakes(
    context: Context, index: Tensor, targets: Tensor, predicted: Tensor, confidence: Tensor
) -> tuple[Mistake, ...]:
    dataset = context.given
    names = dataset.record.output.names
    wrong = (predicted != targets).nonzero()[:, 0]
    worst = wrong[confidence[wrong].argsort(descending=True, stable=True)][:MISTAKES]
    folder = context.folder.evidence / "08-test"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = []
    for rank, position in enumerate(worst.tolist()):
        sample = int(index[position])
        picture = ""
        if dataset.record.input.kind == "image":
            picture = f"mistake-{rank:02d}.png"
            write_atomically(folder / picture, picture_png(dataset.inputs[sample]))
        found.append(
            Mistake(
                sample=sample,
                source=dataset.source_of(sample),
                truth=names[int(targets[position])],
                predicted=names[int(predicted[position])],
                probability=float(confidence[position]),
                picture=picture,
            )
        )
    return tuple(found)


def _regression(dataset: Dataset, index: Tensor, judged: Judged, targets: Tensor, *, seed: int) -> Outcome:
    predicted = unstandardize(judged.outputs, dataset.record.output).double()
    truth = targets.double()
    errors = (predicted - truth).square()
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        chosen = torch.from_numpy(generator.integers(0, len(index), len(index)))
        total = (truth[chosen] - truth[chosen].mean(dim=0)).square().sum(dim=0)
        if bool((total > 0).all()):
            draws.append((1 - errors[chosen].sum(dim=0) / total).mean().item())
    low, high = np.quantile(draws, [0.025, 0.975]).tolist() if draws else (math.nan, math.nan)
    worst = errors.sum(dim=1).argsort(descending=True, stable=True)[:MISTAKES]
    return Outcome(
        metric="r2",
        value=judged.score.metric,
        interval=(low, high),
        n=len(index),
        loss=judged.score.loss,
        mistakes=tuple(
            Mistake(
                sample=int(index[i]),
                source=dataset.source_of(int(index[i])),
                truth=f"{truth[i, 0]:.4g}",
                predicted=f"{predicted[i, 0]:.4g}",
                probability=math.nan,
            )
            for i in worst.tolist()
        ),
        truth=tuple(truth[:SCATTER, 0].tolist()),
        predicted=tuple(predicted[:SCATTER, 0].tolist()),
        rmse=tuple(errors.mean(dim=0).sqrt().tolist()),
    )
