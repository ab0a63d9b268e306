"""Where the recipe begins: the network and settings that the data and the budget suggest."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import nn

from trainwell.core.records.data import DataRecord
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters
from trainwell.core.records.run import Budget
from trainwell.core.records.trial import Precision, TrialSpec
from trainwell.data.dataset import Dataset
from trainwell.models.backbones import is_backbone, load_backbone
from trainwell.models.build import build_model
from trainwell.models.defaults import Start, defaults_for
from trainwell.models.precision import faster_precision, knows_bfloat16
from trainwell.search.rebuild import rebuild
from trainwell.training.loop import train

FOREIGN_LR = 1e-3
FOREIGN_DECAY = 0.01


def starting_point(
    record: DataRecord,
    *,
    model: str,
    budget: Budget,
    factory: Callable[[], nn.Module] | None,
    sha256: str,
    steps_per_second: float | None = None,
) -> Start:
    """Hyperparameters to begin with.

    Args:
        record: of the data.
        model: auto, a name, or file.py:function.
        budget: decides how large a network can be trained.
        factory: makes a network that exists only in Python; tried out here.
        sha256: of the user's model file.
        steps_per_second: measured with the first point of what is returned without it; None: estimated.
    Raises:
        SettingError: a network that is not for such data.
        ModelError: the user's network cannot be built or returns another shape.
    """
    start = defaults_for(
        record.input,
        record.output,
        samples=record.sizes["train"],
        budget_seconds=budget.seconds,
        budget_steps=budget.steps,
        name=model,
        steps_per_second=steps_per_second,
    )
    if is_backbone(model):
        # Refused before anything is written, where it cannot be had.
        load_backbone(model)
    if factory is not None or (":" in model and not is_backbone(model)):
        start = Start(points=(_foreign(start.points[0], model),), epochs=start.epochs)
    elif model != "auto":
        named = (replace(point, architecture=replace(point.architecture, name=model)) for point in start.points)
        start = replace(start, points=tuple(named))
    # What cannot be built is refused before anything is written.
    for point in start.points:
        build_model(point, input=record.input, output=record.output, factory=factory, model_sha256=sha256)
    return start


def _foreign(point: Hyperparameters, model: str) -> Hyperparameters:
    """A point for somebody else's network: what suits ours, but AdamW at a rate that most networks bear."""
    optimization = replace(point.optimization, optimizer="adamw", lr=FOREIGN_LR, momentum=0.9)
    regularization = replace(point.regularization, dropout=0.0, stochastic_depth=0.0, weight_decay=FOREIGN_DECAY)
    return replace(
        point, architecture=Architecture(name=model), optimization=optimization, regularization=regularization
    )


def choose_precision(
    dataset: Dataset,
    point: Hyperparameters,
    *,
    device: str,
    threads: int,
    factory: Callable[[], nn.Module] | None,
) -> Precision:
    """bfloat16 where a training step is faster with it on this machine, by measurement; else float32."""
    if not knows_bfloat16(device):
        return "float32"
    spec = TrialSpec(
        number=-1,
        data=str(dataset.folder),
        fingerprint=dataset.record.fingerprint,
        hyperparameters=point,
        total_steps=100,
        decay_from=100,
        seed=0,
        threads=threads,
        device=device,
    )
    setup = rebuild(spec, factory=factory).setup

    def steps(precision: Precision) -> Iterator[object]:
        return train(
            setup.model,
            setup.batches(),
            loss=setup.loss,
            optimizer=setup.optimizer(setup.model),
            schedule=lambda _: 0.0,
            until_step=spec.total_steps,
            seed=0,
            precision=precision,
            device=device,
        )

    return faster_precision(steps)
