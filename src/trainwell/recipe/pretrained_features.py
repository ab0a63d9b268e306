"""The pictures of a run as a pretrained network's features: computed once, then the data that the steps go on with."""

import math
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from trainwell.core.records.evidence import TransferDecision
from trainwell.core.records.hyperparameters import (
    Architecture,
    Hyperparameters,
    Optimization,
    Regularization,
    Schedule,
)
from trainwell.core.records.trial import Precision
from trainwell.data.dataset import Dataset
from trainwell.data.features import compute_features
from trainwell.data.images import DEFAULT_MAX_SIDE
from trainwell.models.backbones import Backbone, load_backbone
from trainwell.models.pretrained import Pretrained, batch_size_for, choose_precision, features_of
from trainwell.recipe.context import Context
from trainwell.search.heads import BATCH, STEPS
from trainwell.training.heads import HeadSetting

LARGEST_BYTES = 2_000_000_000
"""Of all pictures at the pretrained network's size; more are seen as they were prepared."""
TOP = 3
"""Parts of the network above which "the last stages" begin: of EfficientNet-Lite0 a fifth of the work, and two thirds
of the weights."""
FIRST_HEAD = HeadSetting(lr=1e-2, weight_decay=3.0)
"""An output layer before any search: good on all of the development splits, best on none."""
FEW = 16
"""Pictures that are measured on."""


def take_features(context: Context, decision: TransferDecision) -> None:
    """Compute the features, and go on with them as the run's data.

    Of each picture once: a mirrored view beside it costs a second pass, and output layers trained on both were no
    better on 20 development splits (accuracy -0.011 to +0.003 from set to set).

    Args:
        context: of the run; its dataset becomes the features, its point their output layer.
        decision: which network, and what of it is to be trained.
    """
    backbone = load_backbone(decision.backbone, cache=weights_folder(context))
    context.given = _enlarged(context, backbone)
    layout = context.given.record.input
    stages = stages_of(decision.taken, backbone)
    between = 0 if stages == len(backbone.parts) else stages
    network = Pretrained(layout, backbone, above=between).to(context.settings.device)
    precision = feature_precision(context, network)
    pictures, size = context.given.inputs, batch_size_for(context.settings.device)
    name = "-".join(
        [re.sub(r"[^\w.]+", "_", backbone.name), backbone.digest[:8], f"{layout.height}x{layout.width}", precision]
    )
    derived: dict[int, Dataset] = {}
    if between:
        with torch.inference_mode():
            shape = tuple(network(pictures[:1].to(context.settings.device)).shape[1:])
        maps = compute_features(
            context.dataset,
            lambda batch: features_of(network, batch, precision=precision),
            width=math.prod(shape),
            name=f"{name}-below-{between}",
            maps=shape,
            inputs=pictures,
            batch_size=size,
            progress=context.progress,
        )
        derived[between] = maps.dataset
        upper = nn.Sequential(*backbone.parts[len(backbone.parts) - between :]).to(context.settings.device)
        above = compute_features(
            context.dataset,
            lambda batch: _through(upper, batch, shape, context.settings.device),
            width=backbone.features,
            name=f"{name}-from-{between}",
            inputs=maps.dataset.inputs,
            progress=context.progress,
        )
        derived[0] = above.dataset
    else:
        made = compute_features(
            context.dataset,
            lambda batch: features_of(network, batch, precision=precision),
            width=backbone.features,
            name=name,
            inputs=pictures,
            batch_size=size,
            progress=context.progress,
        )
        derived[0] = made.dataset
        if stages:
            derived[stages] = context.given
    context.derived = derived
    context.dataset = derived[0]
    _start(context, backbone)


def stages_of(action: str, backbone: Backbone) -> int:
    """Parts of a network that an action of the notes' table trains, counted from the top."""
    parts = len(backbone.parts)
    return {"tune_top": min(TOP, parts), "tune_all": parts}.get(action, 0)


def feature_precision(context: Context, network: Pretrained) -> Precision:
    """What the network computes in: bfloat16 where it is faster here and its features are as good.

    Args:
        context: of the run.
        network: on the run's device.
    """
    if not context.clock.reads_time:
        return "float32"
    found: str = context.study.once(
        "transfer/precision",
        str,
        lambda: choose_precision(network, some_pictures(context)),
        text="features are computed in {value}",
        why="measured on some of the pictures",
    )
    return "bfloat16" if found == "bfloat16" else "float32"


def some_pictures(context: Context) -> Tensor:
    """A few of the pictures that are trained on, to measure on."""
    return context.dataset.inputs[context.dataset.parts["train"][:FEW]]


def weights_folder(context: Context) -> Path:
    """Where converted weights are kept, beside the prepared data."""
    return context.dataset.folder.parent / "backbones"


def _through(upper: nn.Module, batch: Tensor, shape: tuple[int, ...], device: str) -> Tensor:
    with torch.inference_mode():
        found: Tensor = upper(batch.to(device).unflatten(1, shape))
        return found


def _start(context: Context, backbone: Backbone) -> None:
    """The head's point in place of the network that would be trained from scratch."""
    sizes = context.dataset.record.sizes
    samples = sizes["train"] + sizes["validation"]
    batch = min(BATCH, samples)
    context.point = Hyperparameters(
        architecture=Architecture(name=backbone.name, width=0, depth=0, embedding="none"),
        activation="relu",
        regularization=Regularization(weight_decay=FIRST_HEAD.weight_decay),
        optimization=Optimization(optimizer="adamw", lr=FIRST_HEAD.lr, beta2=0.99, batch_size=batch),
        schedule=Schedule(decay="linear", warmup_fraction=0.1, decay_fraction=0.9),
    )
    context.known = (context.point,)
    context.epochs = STEPS / context.steps_per_epoch(context.point, whole=True)


def _enlarged(context: Context, backbone: Backbone) -> Dataset:
    """The pictures at the size that the network was trained on, where they were made smaller for other networks."""
    dataset, size = context.dataset, backbone.sees.size
    layout = dataset.record.input
    longest = max(layout.height, layout.width)
    fits = len(dataset.inputs) * size * size * layout.channels <= LARGEST_BYTES
    if context.enlarge is None or not DEFAULT_MAX_SIDE <= longest < size or not fits:
        return dataset
    return context.enlarge(size)
