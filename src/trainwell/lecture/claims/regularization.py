"""Claims about dropout, and about what a residual network needs."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainwell.core.records.layout import InputLayout
from trainwell.core.seeds import generator, seeded
from trainwell.lecture.claims.experiment import fit, mean, measure, network, points
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import CLASSES, Split, digit_images, digits
from trainwell.models.image_input import ImageInput
from trainwell.models.resnet import ResNet
from trainwell.regularization import draw_kept
from trainwell.training.objective import accuracy

WIDTHS = (64, 256, 256, 10)


def dropout_forces_redundancy(
    *, seeds: int = 10, steps: int = 500, p: float = 0.5, removed: float = 0.5
) -> ClaimResult:
    """Remove hidden units from trained networks: what does it cost with dropout, and without?

    Args:
        seeds: >= 2.
        steps: of each training.
        p: probability to drop in training.
        removed: share of hidden units that are taken away afterwards.
    """
    harm: dict[float, list[float]] = {p: [], 0.0: []}
    gained = []
    for seed in range(seeds):
        split = digits(seed=seed, train_size=500)
        scores = {}
        for drop in dict.fromkeys((p, 0.0)):
            model = network(WIDTHS, "relu", seed=seed, dropout=drop)
            fit(model, split, lr=0.03, steps=steps, seed=seed)
            scores[drop] = measure(model, split)
            left = [_accuracy_without(model, split, removed, seed=seed, draw=draw) for draw in range(10)]
            harm[drop].append(100.0 * (scores[drop].metric - mean(left)))
        gained.append(points(scores[p], scores[0.0]))
    spared = [without - held for without, held in zip(harm[0.0], harm[p])]
    return judged(
        "dropout_forces_redundancy",
        chapter="regularization",
        statement="Dropout forces the network to have a redundant representation; prevents co-adaptation of features.",
        measured=f"500 digits, two hidden layers of 256, {steps} steps of SGD: test accuracy lost when {removed:.0%} "
        f"of the hidden units are taken away, without dropout and with p = {p:g}.",
        conditions=[condition("accuracy lost without dropout less with it, points", spared, above=0.0)],
        numbers={
            "accuracy lost without dropout, points": mean(harm[0.0]),
            "accuracy lost with dropout, points": mean(harm[p]),
            "test accuracy gained by dropout, whole network, points": mean(gained),
        },
        seeds=range(seeds),
    )


def _accuracy_without(model: nn.Sequential, split: Split, share: float, *, seed: int, draw: int) -> float:
    source = generator(seed, "removed", draw)
    values = split.inputs[split.test]
    with torch.no_grad():
        for layer in model.eval():
            values = layer(values)
            if isinstance(layer, nn.ReLU):
                # Scaled as inverted dropout does, or the layers above would see inputs of another size.
                values = values * draw_kept((values.shape[1],), p=share, generator=source) / (1.0 - share)
    return accuracy(values, split.targets[split.test])


def dropout_is_an_ensemble(
    *, seeds: int = 8, steps: int = 500, p: float = 0.5, masks: int = 50, members: int = 3
) -> ClaimResult:
    """One mask's network, the average over many masks, and the whole network with scaled weights.

    Args:
        seeds: >= 2.
        steps: of each training.
        p: probability to drop.
        masks: that are averaged.
        members: networks of a real ensemble without dropout, to compare with.
    """
    over_one, gap, over_plain, real = [], [], [], []
    for seed in range(seeds):
        split = digits(seed=seed, train_size=500)
        truth = split.targets[split.test]
        model = network(WIDTHS, "relu", seed=seed, dropout=p)
        fit(model, split, lr=0.03, steps=steps, seed=seed)
        whole = measure(model, split).metric
        singles = [_one_mask(model, split, seed=seed, mask=mask) for mask in range(masks)]
        average = accuracy(torch.stack(singles).mean(dim=0), truth)
        over_one.append(100.0 * (average - mean([accuracy(single, truth) for single in singles])))
        gap.append(100.0 * abs(average - whole))
        plain = []
        for member in range(members):
            one = network(WIDTHS, "relu", seed=1000 * (member + 1) + seed)
            fit(one, split, lr=0.03, steps=steps, seed=1000 * (member + 1) + seed)
            plain.append(_probabilities(one, split))
        alone = mean([accuracy(one, truth) for one in plain])
        over_plain.append(100.0 * (whole - alone))
        real.append(100.0 * (accuracy(torch.stack(plain).mean(dim=0), truth) - alone))
    return judged(
        "dropout_is_an_ensemble",
        chapter="regularization",
        statement="Dropout is training a large ensemble of models that share parameters.",
        measured=f"500 digits, two hidden layers of 256, p = {p:g}, {steps} steps of SGD: test accuracy of single "
        f"masks, of the average of {masks} masks' probabilities, and of the whole network with dropout off.",
        conditions=[
            condition("accuracy gained by averaging masks over one mask, points", over_one, above=0.0),
            condition("|average of masks less whole network|, points", gap, below=0.5),
        ],
        numbers={
            "accuracy gained over a network without dropout, points": mean(over_plain),
            f"accuracy gained by a real ensemble of {members}, points": mean(real),
        },
        seeds=range(seeds),
    )


def _one_mask(model: nn.Sequential, split: Split, *, seed: int, mask: int) -> Tensor:
    """Probabilities of one thinned network: the same units are dropped for every sample."""
    source = generator(seed, "mask", mask)
    values = split.inputs[split.test]
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Dropout):
                values = values * draw_kept((values.shape[1],), p=layer.p, generator=source) / (1.0 - layer.p)
            else:
                values = layer(values)
    return values.softmax(dim=1)


def _probabilities(model: nn.Module, split: Split) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.eval()(split.inputs[split.test]).softmax(dim=1)
    return found


def l2_and_batch_norm_suffice(
    *, seeds: int = 8, steps: int = 200, width: int = 16, train_size: int = 600, bar: float = 0.3
) -> ClaimResult:
    """A small residual network with L2 and batch norm, and with one more regularizer at a time.

    Args:
        seeds: >= 2.
        steps: of each training.
        width: channels of the first stage.
        train_size: images to train on.
        bar: points of test accuracy that count as a gain.
    """
    found: dict[str, list[float]] = {name: [] for name in _ADDED}
    base, by_l2 = [], []
    for seed in range(seeds):

        def trained(options: _Options, seed: int = seed) -> float:
            return _residual(options, seed=seed, steps=steps, width=width, train_size=train_size)

        plain = trained(_Options())
        base.append(plain)
        by_l2.append(plain - trained(_Options(weight_decay=0.0)))
        for name, options in _ADDED.items():
            found[name].append(trained(options) - plain)
    return judged(
        "l2_and_batch_norm_suffice",
        chapter="regularization",
        statement="For ResNet and later, often L2 and Batch Normalization are the only regularizers.",
        measured=f"{train_size} digits, a residual network of two stages, {steps} steps of AdamW with decay 0.05: test "
        f"accuracy gained by one more regularizer; {bar:g} points count as a gain.",
        conditions=[condition(f"gained by {name}, points", values, below=bar) for name, values in found.items()],
        numbers={"test accuracy with L2 and batch norm, %": mean(base), "gained by L2, points": mean(by_l2)},
        seeds=range(seeds),
    )


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What regularizes the residual network besides its batch norm."""

    weight_decay: float = 0.05
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    smoothing: float = 0.0


def _residual(options: _Options, *, seed: int, steps: int, width: int, train_size: int) -> float:
    """Test accuracy in %."""
    images, labels = digit_images()
    order = torch.randperm(len(images), generator=generator(seed, "split"))
    split = Split(inputs=images, targets=labels, train=order[:train_size], test=order[train_size:])
    with seeded(seed, "network"):
        entry = ImageInput(InputLayout(kind="image", height=8, width=8, channels=1))
        entry.fit(images[split.train])
        model = ResNet(
            entry,
            width=width,
            depth=1,
            outputs=CLASSES,
            dropout=options.dropout,
            stochastic_depth=options.stochastic_depth,
            generator=generator(seed, "weights"),
        )
    fit(
        model,
        split,
        lr=3e-3,
        steps=steps,
        seed=seed,
        optimizer="adamw",
        weight_decay=options.weight_decay,
        label_smoothing=options.smoothing,
    )
    return 100.0 * measure(model, split).metric


_ADDED = {
    "dropout 0.2": _Options(dropout=0.2),
    "stochastic depth 0.2": _Options(stochastic_depth=0.2),
    "label smoothing 0.1": _Options(smoothing=0.1),
}
