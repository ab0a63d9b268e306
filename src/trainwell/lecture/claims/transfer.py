"""The claim about transfer and the amount of data, on a small scale: half of the digits' classes help the other half.

Networks pretrained on photographs are another matter: they are measured where their weights are at hand.
"""

import contextlib

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from trainwell.core.records.layout import InputLayout
from trainwell.core.seeds import generator, seeded
from trainwell.lecture.claims.experiment import fit, mean, measure
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import Split, digit_images
from trainwell.models.convnet import ConvNet
from trainwell.models.image_input import ImageInput
from trainwell.transfer import freeze, frozen_batch_norm

SOURCE_CLASSES = 5
"""Digits 0 to 4 are learnt first, 5 to 9 are the new task."""


def transfer_by_data_size(
    *,
    seeds: int = 8,
    steps: int = 120,
    pretraining_steps: int = 300,
    sizes: tuple[int, ...] = (2, 10, 100),
    pretrain: bool = True,
) -> ClaimResult:
    """Freeze, fine-tune and start from scratch, with few and with many new samples.

    Args:
        seeds: >= 2.
        steps: of each training on the new task.
        pretraining_steps: on the old one.
        sizes: samples a class of the new task, rising.
        pretrain: False as a control: the "pretrained" weights are the initial ones.
    """
    images, labels = digit_images()
    old = (labels < SOURCE_CLASSES).nonzero().flatten()
    new = (labels >= SOURCE_CLASSES).nonzero().flatten()
    accuracy: dict[tuple[str, int], list[float]] = {(arm, size): [] for arm in _ARMS for size in sizes}
    for seed in range(seeds):
        first = _network(images[old], seed=seed)
        source = Split(inputs=images, targets=labels, train=old, test=old)
        if pretrain:
            fit(first, source, lr=3e-3, steps=pretraining_steps, seed=seed, optimizer="adamw")
        weights = {name: tensor.clone() for name, tensor in first.state_dict().items()}
        order = new[torch.randperm(len(new), generator=generator(seed, "new"))]
        for size in sizes:
            train = _balanced(order, labels, size)
            # The same samples to measure on, whatever the size.
            held_out = order[~torch.isin(order, _balanced(order, labels, max(sizes)))]
            split = Split(inputs=images, targets=labels - SOURCE_CLASSES, train=train, test=held_out)
            for arm in _ARMS:
                model = _network(images[train], seed=seed)
                accuracy[arm, size].append(_carried_over(model, weights, split, arm, steps=steps, seed=seed))
    few, many = sizes[0], sizes[-1]
    ahead = {
        size: [
            max(frozen, tuned) - scratch
            for frozen, tuned, scratch in zip(*(accuracy[arm, size] for arm in _ARMS), strict=True)
        ]
        for size in sizes
    }
    tuned_over_frozen = [a - b for a, b in zip(accuracy["tune_all", many], accuracy["freeze", many])]
    frozen_over_scratch = [a - b for a, b in zip(accuracy["freeze", few], accuracy["from_scratch", few])]
    return judged(
        "transfer_by_data_size",
        chapter="transfer",
        statement="Little data: freeze the network, train a classifier on top; much data: fine-tune more layers; "
        "the more data, the less transfer gains.",
        measured=f"A small convolutional network learns digits 0 to 4, then 5 to 9 from {few} to {many} samples a "
        f"class ({steps} steps of AdamW): frozen with a new output layer, fine-tuned whole, from scratch. (No network "
        "pretrained on photographs.)",
        conditions=[
            condition(f"freeze over scratch at {few} a class, points", frozen_over_scratch, above=0.0),
            condition(f"fine-tune over freeze at {many} a class, points", tuned_over_frozen, above=0.0),
            condition(
                f"transfer's lead over scratch, {few} less {many} a class, points",
                [a - b for a, b in zip(ahead[few], ahead[many])],
                above=0.0,
            ),
        ],
        numbers={f"test accuracy, {arm}, {size} a class, %": mean(accuracy[arm, size]) for arm, size in accuracy},
        seeds=range(seeds),
    )


def _network(images: Tensor, *, seed: int) -> ConvNet:
    with seeded(seed, "network"):
        entry = ImageInput(InputLayout(kind="image", height=8, width=8, channels=1))
        entry.fit(images)
        return ConvNet(
            entry,
            width=16,
            depth=1,
            outputs=SOURCE_CLASSES,
            activation=nn.ReLU,
            generator=generator(seed, "weights"),
        )


def _balanced(order: Int64[Tensor, " samples"], labels: Int64[Tensor, " all"], size: int) -> Int64[Tensor, " chosen"]:
    classes = range(SOURCE_CLASSES, 2 * SOURCE_CLASSES)
    return torch.cat([order[labels[order] == label][:size] for label in classes])


def _carried_over(
    model: ConvNet, weights: dict[str, Tensor], split: Split, arm: str, *, steps: int, seed: int
) -> float:
    """Test accuracy on the new task in %."""
    if arm != "from_scratch":
        fresh = model.state_dict()
        model.load_state_dict({name: fresh[name] if _is_output(name) else tensor for name, tensor in weights.items()})
    still = contextlib.nullcontext()
    if arm == "freeze":
        freeze(model, prefixes=[name for name, _ in model.named_parameters() if not _is_output(name)])
    with frozen_batch_norm(model) if arm == "freeze" else still:
        fit(model, split, lr=3e-3, steps=steps, seed=seed, batch_size=32, optimizer="adamw")
    return 100.0 * measure(model, split).metric


def _is_output(name: str) -> bool:
    return name.startswith("output.")


_ARMS = ("freeze", "tune_all", "from_scratch")
"""Actions of the transfer table."""
