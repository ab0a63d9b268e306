"""Which output layer suits fixed features: many settings, judged by repeated cross-validation, trained all at once."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.record import record
from trainwell.core.seeds import generator
from trainwell.data.dataset import Dataset
from trainwell.models.transferred import TransferNetwork
from trainwell.training.heads import HeadSetting, train_heads

RATES = (3e-3, 1e-2, 3e-2, 6e-2)
DECAYS = (1.0, 3.0, 8.0, 15.0)
"""Decoupled decay bounds a weight by its inverse; few pictures a class want it strong."""
DROPOUTS = (0.0, 0.5)
SMOOTHINGS = (0.0, 0.1)
SETTINGS = tuple(
    HeadSetting(lr=lr, weight_decay=decay, dropout=dropout, label_smoothing=smoothing)
    for lr, decay, dropout, smoothing in itertools.product(RATES, DECAYS, DROPOUTS, SMOOTHINGS)
)
"""64 of them, for features that are centred and of about unit scale.

Measured on development splits 100 to 106 of `benchmarks/picture_sets.py`, 20 pictures a class: decays of 8 and 15 were
best on clip art and icons, of 3 and 8 on emoji and photographs.
"""

FOLDS = 5
TRIED_ON = 100
"""Samples, at least, of the folds on which all settings are tried."""
GOES_ON = 8
"""One setting in so many goes on to the other folds: on 8 draws of 500 and 827 pictures of 44 classes the best one was
the same as with one in 4, in two thirds of the time."""
REPEATED = 16
"""One in so many is tried again in the repeats."""
STEPS = 100
PASSED = 64
"""Samples that go through the network at once where only outputs are wanted."""
BATCH = 256
"""Samples a step: below it, every step sees all of them.

Measured on the four sets of `benchmarks/picture_sets.py` as one, mean of five drawn splits: 0.706 with 860 samples of
44 classes, 0.755 with 1,600, where batches of 1,024 reach 0.708 and 0.760 in four times the time.
"""


@record
class HeadTrial:
    """What a setting reached on samples that its heads had not learnt from.

    Attributes:
        setting: of the head.
        loss: mean cross-entropy in nats.
        accuracy: in [0, 1].
        folds: how many it was tried on.
    """

    setting: HeadSetting
    loss: float
    accuracy: float
    folds: int


@dataclass(frozen=True, kw_only=True)
class HeadSearch:
    """What a search found.

    Attributes:
        trials: one a setting, the best first: those tried on more folds before the others.
        steps: optimizer steps of a head.
        repeats: of the cross-validation that were made.
        held_out: logits of each sample under the best setting's heads that had not learnt from it, averaged over the
            repeats.
    """

    trials: tuple[HeadTrial, ...]
    steps: int
    repeats: int
    held_out: Float[Tensor, "samples classes"]

    @property
    def best(self) -> HeadSetting:
        """The setting whose held-out loss is lowest."""
        return self.trials[0].setting


def search_heads(
    features: Float[Tensor, "samples features"],
    labels: Int64[Tensor, " samples"],
    *,
    classes: int,
    settings: tuple[HeadSetting, ...] = SETTINGS,
    folds: int = FOLDS,
    repeats: int = 1,
    steps: int = STEPS,
    seed: int = 0,
    more: Callable[[], bool] = lambda: True,
) -> HeadSearch:
    """Cross-validate settings of a linear output layer.

    All are trained without each of the first folds, as many as hold a hundred samples; the eighth with the lowest
    held-out loss without each of the others too; the best half of these in the repeats. All heads of a rung are one
    batched computation (`train_heads`).

    Args:
        features: of the training part; best centred and of about unit scale.
        labels: class of each.
        classes: how many there are.
        settings: to try, at least one.
        folds: of the cross-validation, >= 2; no more are made than samples allow.
        repeats: of the cross-validation, with other folds, >= 1: for tiny data, where one dealing is luck.
        steps: optimizer steps of a head, >= 1.
        seed: of folds, batches and dropout, >= 0.
        more: asked before each repeat after the first; that takes at most a fifth of the time spent before.
    Returns:
        The settings by what they reached, and the best one's held-out logits.
    Raises:
        SettingError: an argument outside its range.
    Source: notes, Transfer Learning ("Freeze these, train the linear classifier") and Choosing Hyperparameters.
    """
    _check(features, settings, folds=folds, repeats=repeats)
    folds = min(folds, len(labels))
    dealt = torch.stack([deal_folds(labels, folds, seed=seed, repeat=repeat) for repeat in range(repeats)])
    train = _Trainer(features, labels, classes, steps, seed, dealt)
    first = min(math.ceil(TRIED_ON * folds / len(labels)), folds)
    ranked = _ranked(train(settings, [(0, fold) for fold in range(first)]))
    if first < folds:
        ranked = _further(train, ranked, GOES_ON, [(0, fold) for fold in range(first, folds)])
    made = 1
    while made < repeats and more():
        ranked = _further(train, ranked, REPEATED, [(made, fold) for fold in range(folds)])
        made += 1
    return HeadSearch(
        trials=tuple(_trial(each) for each in ranked),
        steps=steps,
        repeats=made,
        held_out=ranked[0].logits / ranked[0].seen.clamp(min=1)[:, None],
    )


def deal_folds(
    labels: Int64[Tensor, " samples"], folds: int, *, seed: int, repeat: int = 0
) -> Int64[Tensor, " samples"]:
    """A fold for each sample: the classes are shuffled and dealt in turn, so that folds are alike in size and classes.

    Args:
        labels: class of each.
        folds: >= 1.
        seed: of the shuffling.
        repeat: which dealing.
    Example:
        >>> deal_folds(torch.tensor([0, 0, 0, 0, 1, 1]), 2, seed=0).bincount().tolist()
        [3, 3]
    """
    shuffled = torch.randperm(len(labels), generator=generator(seed, "folds", repeat))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    found = torch.empty(len(labels), dtype=torch.int64)
    found[by_class] = torch.arange(len(labels)) % folds
    return found


def start_head(
    network: TransferNetwork, dataset: Dataset, index: Int64[Tensor, " samples"], point: Hyperparameters, *, seed: int
) -> None:
    """Train the output layer by itself where stages below it are trained next.

    A new layer's gradients would undo them first (linear probing, then fine-tuning).

    Args:
        network: its head is changed where it has parts to train below it.
        dataset: what the network is given.
        index: the training part of it.
        point: transfer and regularization are read.
        seed: of dropout.
    Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution".
    """
    if not len(network.upper) or dataset.record.task != "classification":
        return
    device = network.head.mean.device
    with torch.no_grad():
        parts = dataset.inputs[index].split(PASSED)
        features = torch.cat([network.head.scaled(network.features(part.to(device))) for part in parts])
    setting = HeadSetting(
        lr=point.transfer.head_lr,
        weight_decay=point.transfer.head_decay,
        dropout=point.regularization.dropout,
        label_smoothing=point.regularization.label_smoothing,
    )
    heads = train_heads(
        features,
        dataset.targets[index].to(device),
        classes=dataset.record.output.size,
        settings=(setting,),
        steps=STEPS,
        batch_size=BATCH,
        generator=generator(seed, "first head"),
    )
    with torch.no_grad():
        network.head.linear.weight.copy_(heads.weight[:, 0].T)
        network.head.linear.bias.copy_(heads.bias[0])


@dataclass(kw_only=True)
class _Held:
    """What a setting's heads said of samples they had not learnt from."""

    setting: HeadSetting
    logits: Tensor
    seen: Tensor
    losses: float
    right: int
    count: int
    folds: int

    @property
    def loss(self) -> float:
        """Mean held-out loss; infinite where it is not finite."""
        mean = self.losses / max(self.count, 1)
        return mean if math.isfinite(mean) else math.inf


class _Trainer:
    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        classes: int,
        steps: int,
        seed: int,
        dealt: Int64[Tensor, "repeats samples"],
    ) -> None:
        self.features, self.labels, self.classes, self.steps, self.seed = features, labels, classes, steps, seed
        self.dealt = dealt

    def __call__(self, settings: Sequence[HeadSetting], places: list[tuple[int, int]]) -> list[_Held]:
        """Train each setting without each of some folds, and judge it there."""
        held: Bool[Tensor, "places samples"] = torch.stack([self.dealt[repeat] == fold for repeat, fold in places])
        many = tuple(setting for setting in settings for _ in places)
        heads = train_heads(
            self.features,
            self.labels,
            classes=self.classes,
            settings=many,
            rows=(~held).repeat(len(settings), 1),
            steps=self.steps,
            batch_size=BATCH,
            generator=generator(self.seed, "heads", *places[0]),
        )
        logits = heads.logits(self.features).unflatten(1, (len(settings), len(places)))
        found = []
        for number, setting in enumerate(settings):
            mine = logits[:, number].transpose(0, 1)
            losses = functional.cross_entropy(
                mine.flatten(0, 1), self.labels.repeat(len(places)), reduction="none"
            ).view(len(places), -1)
            right = mine.argmax(dim=2) == self.labels
            found.append(
                _Held(
                    setting=setting,
                    logits=(mine * held[:, :, None]).sum(dim=0),
                    seen=held.sum(dim=0),
                    losses=float(losses[held].double().sum()),
                    right=int(right[held].sum()),
                    count=int(held.sum()),
                    folds=len(places),
                )
            )
        return found


def _ranked(found: list[_Held]) -> list[_Held]:
    return sorted(found, key=lambda each: each.loss)


def _further(train: _Trainer, ranked: list[_Held], one_in: int, places: list[tuple[int, int]]) -> list[_Held]:
    """The best ones on further folds, and the others behind them."""
    going_on = ranked[: max(len(ranked) // one_in, 1)]
    joined = _joined(going_on, train([each.setting for each in going_on], places))
    return [*_ranked(joined), *ranked[len(going_on) :]]


def _joined(some: list[_Held], others: list[_Held]) -> list[_Held]:
    return [
        _Held(
            setting=one.setting,
            logits=one.logits + other.logits,
            seen=one.seen + other.seen,
            losses=one.losses + other.losses,
            right=one.right + other.right,
            count=one.count + other.count,
            folds=one.folds + other.folds,
        )
        for one, other in zip(some, others, strict=True)
    ]


def _trial(held: _Held) -> HeadTrial:
    return HeadTrial(setting=held.setting, loss=held.loss, accuracy=held.right / max(held.count, 1), folds=held.folds)


def _check(features: Tensor, settings: tuple[HeadSetting, ...], *, folds: int, repeats: int) -> None:
    problems = []
    if not settings:
        problems.append("`settings` must name at least one head, but is empty.")
    if folds < 2:
        problems.append(f"`folds >= 2` must hold, but got {folds}. Five are usual.")
    if repeats < 1:
        problems.append(f"`repeats >= 1` must hold, but got {repeats}. One is usual; five for tiny data.")
    if len(features) < 2:
        problems.append(f"Cross-validation needs two samples, but got {len(features)}.")
    if problems:
        raise SettingError(" ".join(problems))
