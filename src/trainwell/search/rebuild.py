"""From a TrialSpec to something that trains."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainwell.core.errors import DataError
from trainwell.core.records.trial import TrialSpec
from trainwell.core.seeds import derive_seed
from trainwell.data.dataset import Dataset
from trainwell.data.prepare import open_prepared
from trainwell.models.build import build_model
from trainwell.models.table_defaults import learning_rate_factors
from trainwell.models.transferred import TransferNetwork
from trainwell.search.augment import Augment
from trainwell.search.heads import deal_folds, start_head
from trainwell.training.objective import Objective
from trainwell.training.optimizer import build_optimizer
from trainwell.training.setup import Setup

Factory = Callable[[], nn.Module]

GPU_SHARE = 0.25
"""Share of a GPU's free memory that the data may take."""


@dataclass(frozen=True)
class Rebuilt:
    """A training as its specification says.

    Attributes:
        spec: what it was rebuilt from.
        dataset: opened.
        setup: the untouched network with data, loss and optimizer.
    """

    spec: TrialSpec
    dataset: Dataset
    setup: Setup


@functools.lru_cache(maxsize=4)
def _opened(folder: str, fingerprint: str) -> Dataset:
    dataset = open_prepared(Path(folder))
    if dataset.record.fingerprint != fingerprint:
        raise DataError(
            f"A trial must find the data it was planned for, but {folder} holds other data "
            f"({dataset.record.fingerprint[:12]} instead of {fingerprint[:12]}). Start a new run."
        )
    return dataset


@functools.lru_cache(maxsize=1)
def _placed(folder: str, fingerprint: str, device: str) -> Tensor:
    """All inputs, on the GPU where they leave it room: gathering a batch there costs no transfer."""
    inputs = _opened(folder, fingerprint).inputs
    if torch.device(device).type != "cuda":
        return inputs
    free, _ = torch.cuda.mem_get_info(device)
    return inputs.to(device) if inputs.nbytes < GPU_SHARE * free else inputs


def rebuild(spec: TrialSpec, *, factory: Factory | None = None) -> Rebuilt:
    """Open the data and build network, loss and optimizer.

    Args:
        spec: all that is needed, but for a network that exists only in Python.
        factory: builds that one.
    Returns:
        The training, its network initialized by the trial's seed.
    Raises:
        DataError: the data is not what the trial was planned for.
        ModelError: the network cannot be built.
    """
    dataset = _opened(spec.data, spec.fingerprint)
    index = torch.cat([dataset.parts[part] for part in spec.parts]).sort().values
    validation = dataset.parts["validation"]
    if spec.held_out is not None:
        index = torch.cat([dataset.parts["train"], validation]).sort().values
        fold = spec.held_out.fold == deal_folds(dataset.targets[index], spec.held_out.folds, seed=spec.held_out.seed)
        index, validation = index[~fold], index[fold]
    point = spec.hyperparameters
    model = build_model(
        point,
        input=dataset.record.input,
        output=dataset.record.output,
        samples=dataset.inputs,
        index=index,
        seed=spec.seed,
        factory=factory,
        model_sha256=spec.model_sha256,
    )
    model.to(spec.device)
    if isinstance(model, TransferNetwork):
        start_head(model, dataset, index, point, seed=spec.seed)
        factors = model.rate_factors(point.transfer.rate_decay)
    else:
        factors = learning_rate_factors(model)
    augment = Augment(
        point.augmentation,
        point.regularization,
        kind=dataset.record.input.kind,
        output=dataset.record.output,
        steps_per_epoch=max(len(index) // min(point.optimization.batch_size, len(index)), 1),
        seed=derive_seed(spec.seed, "augmentation"),
    )
    setup = Setup(
        model=model,
        inputs=_placed(spec.data, spec.fingerprint, spec.device),
        targets=dataset.targets,
        train=index,
        validation=validation,
        output=dataset.record.output,
        loss=Objective(output=dataset.record.output, label_smoothing=point.regularization.label_smoothing),
        optimizer=functools.partial(build_optimizer, hyperparameters=point, lr_factors=factors),
        batch_size=point.optimization.batch_size,
        seed=spec.seed,
        change=augment if augment.changes_anything else None,
        precision=spec.precision,
        device=spec.device,
    )
    return Rebuilt(spec=spec, dataset=dataset, setup=setup)
