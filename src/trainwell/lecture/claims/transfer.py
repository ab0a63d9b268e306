"""The claim about transfer and the amount of data, on a small scale: half of the digits' classes help the other half.

Networks pretrained on photographs are another matter: they are measured where their weights are at hand.
"""

import contextlib
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from trainwell.core.records.layout import InputLayout
from trainwell.core.records.trial import Score
from trainwell.core.seeds import generator, seeded
from trainwell.lecture.claims.experiment import TUNING_SEEDS, best_lr, fit, mean, measure
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
    lrs: tuple[float, ...] = (1e-3, 1e-2, 1e-1),
    pretrain: bool = True,
) -> ClaimResult:
    """Freeze, fine-tune and start from scratch, with few and with many new samples.

    Args:
        seeds: >= 2.
        steps: of each training on the new task.
        pretraining_steps: on the old one.
        sizes: samples a class of the new task, rising.
        lrs: rates to choose from, for each way at the middle size.
        pretrain: False as a control: the "pretrained" weights are the initial ones.
    """
    task = _Task(*digit_images(), steps=steps, most=max(sizes))
    weights = {
        seed: task.pretrained(pretraining_steps if pretrain else 0, seed=seed)
        for seed in (*TUNING_SEEDS, *range(seeds))
    }
    accuracy: dict[tuple[str, int], list[float]] = {}
    for arm in _ARMS:

        def lost(lr: float, seed: int, arm: str = arm) -> float:
            return task.carried_over(weights[seed], arm, size=sizes[len(sizes) // 2], lr=lr, seed=seed).loss

        lr = best_lr(lost, lrs)
        for size in sizes:
            found = [task.carried_over(weights[seed], arm, size=size, lr=lr, seed=seed) for seed in range(seeds)]
            accuracy[arm, size] = [100.0 * score.metric for score in found]
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
        f"class ({steps} steps of AdamW): frozen with a new output layer, fine-tuned whole, from scratch, each at "
        f"the best of {len(lrs)} rates. (No network pretrained on photographs.)",
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


@dataclass(frozen=True, eq=False)
class _Task:
    """Both tasks' images, and how networks are trained on them."""

    images: Tensor
    labels: Tensor
    steps: int
    most: int

    def network(self, images: Tensor, *, seed: int) -> ConvNet:
        with seeded(seed, "network"):
            entry = ImageInput(InputLayout(kind="image", height=8, width=8, channels=1))
            entry.fit(images)
            draw = generator(seed, "weights")
            return ConvNet(entry, width=16, depth=1, outputs=SOURCE_CLASSES, activation=nn.ReLU, generator=draw)

    def pretrained(self, steps: int, *, seed: int) -> dict[str, Tensor]:
        """Weights after learning the old classes."""
        old = (self.labels < SOURCE_CLASSES).nonzero().flatten()
        model = self.network(self.images[old], seed=seed)
        if steps > 0:
            source = Split(inputs=self.images, targets=self.labels, train=old, test=old)
            fit(model, source, lr=3e-3, steps=steps, seed=seed, optimizer="adamw")
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def split(self, size: int, *, seed: int) -> Split:
        """So many samples of each new class to train on; those to measure on are the same whatever the size."""
        new = (self.labels >= SOURCE_CLASSES).nonzero().flatten()
        order = new[torch.randperm(len(new), generator=generator(seed, "new"))]
        test = order[~torch.isin(order, self.balanced(order, self.most))]
        targets = self.labels - SOURCE_CLASSES
        return Split(inputs=self.images, targets=targets, train=self.balanced(order, size), test=test)

    def balanced(self, order: Int64[Tensor, " samples"], size: int) -> Int64[Tensor, " chosen"]:
        classes = range(SOURCE_CLASSES, 2 * SOURCE_CLASSES)
        return torch.cat([order[self.labels[order] == label][:size] for label in classes])

    def carried_over(self, weights: dict[str, Tensor], arm: str, *, size: int, lr: float, seed: int) -> Score:
        """Loss and accuracy on the new task."""
        split = self.split(size, seed=seed)
        model = self.network(self.images[split.train], seed=seed)
        if arm != "from_scratch":
            fresh = model.state_dict()
            carried = {name: fresh[name] if _is_output(name) else tensor for name, tensor in weights.items()}
            model.load_state_dict(carried)
        if arm == "freeze":
            freeze(model, prefixes=[name for name, _ in model.named_parameters() if not _is_output(name)])
        with frozen_batch_norm(model) if arm == "freeze" else contextlib.nullcontext():
            fit(model, split, lr=lr, steps=self.steps, seed=seed, batch_size=32, optimizer="adamw")
        return measure(model, split)


def _is_output(name: str) -> bool:
    return name.startswith("output.")


_ARMS = ("freeze", "tune_all", "from_scratch")
"""Actions of the transfer table."""
