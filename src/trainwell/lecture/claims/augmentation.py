"""The claim that augmentation encodes invariances."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainwell.augmentation import HorizontalFlip, RandomTranslation
from trainwell.core.records.trial import Score
from trainwell.core.seeds import generator
from trainwell.lecture.claims.experiment import fit, mean, measure, network, points
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import Split, digit_images
from trainwell.preprocessing import Normalize

Augment = Callable[..., Tensor]


def augmentation_encodes_invariance(
    *, seeds: int = 8, steps: int = 600, train_size: int = 500, max_shift: int = 1, probability: float = 0.5
) -> ClaimResult:
    """Train with shifted, with mirrored and with plain digits; ask how often a changed picture is read alike.

    Args:
        seeds: >= 2.
        steps: of each training.
        train_size: digits to train on.
        max_shift: pixels of the translation in training; 0 as a control.
        probability: of a flip in training; 0 as a control.
    """
    images, labels = digit_images()
    unit = images.permute(0, 3, 1, 2).float() / 255.0
    asked: dict[str, Augment] = {"shift": RandomTranslation(max_shift=1), "flip": HorizontalFlip(probability=1.0)}
    taught: dict[str, Augment] = {
        "shift": RandomTranslation(max_shift=max_shift),
        "flip": HorizontalFlip(probability=probability),
    }
    alike: dict[str, list[float]] = {name: [] for name in asked}
    gained: dict[str, list[float]] = {name: [] for name in asked}
    for seed in range(seeds):
        order = torch.randperm(len(unit), generator=generator(seed, "split"))
        split = Split(inputs=unit, targets=labels, train=order[:train_size], test=order[train_size:])
        plain, plain_score = _trained(split, None, steps=steps, seed=seed)
        for name, change in taught.items():
            model, score = _trained(split, change, steps=steps, seed=seed)
            agreed = [_read_alike(one, split, asked[name], seed=seed) for one in (model, plain)]
            alike[name].append(100.0 * (agreed[0] - agreed[1]))
            gained[name].append(points(score, plain_score))
    return judged(
        "augmentation_encodes_invariance",
        chapter="augmentation",
        statement="Data augmentation encodes invariances in your model.",
        measured=f"{train_size} digits, two hidden layers of 128, {steps} steps of SGD: how many more test pictures "
        "are read alike before and after the change, trained with it against without.",
        conditions=[
            condition("read alike after a shift of a pixel, gained, points", alike["shift"], above=0.0),
            condition("read alike when mirrored, gained, points", alike["flip"], above=0.0),
        ],
        numbers={
            "test accuracy gained by shifts (a digit stays what it is), points": mean(gained["shift"]),
            "test accuracy gained by flips (it does not), points": mean(gained["flip"]),
        },
        seeds=range(seeds),
    )


def _trained(split: Split, change: Augment | None, *, steps: int, seed: int) -> tuple[nn.Module, Score]:
    scaling = Normalize(per="pixel", channel_axis=1).fit(split.inputs[split.train], split="train")
    model = nn.Sequential(scaling, nn.Flatten(), *network((64, 128, 128, 10), "relu", seed=seed))

    def augmented(inputs: Tensor, targets: Tensor, chosen: Tensor, step: int) -> tuple[Tensor, Tensor]:
        del chosen
        assert change is not None
        return change(inputs, generator=generator(seed, "augment", step)), targets

    fit(model, split, lr=0.03, steps=steps, seed=seed, change=None if change is None else augmented)
    return model, measure(model, split)


def _read_alike(model: nn.Module, split: Split, change: Augment, *, seed: int) -> float:
    pictures = split.inputs[split.test]
    changed = change(pictures, generator=generator(seed, "asked"))
    with torch.no_grad():
        read = [model.eval()(shown).argmax(dim=1) for shown in (pictures, changed)]
    return float((read[0] == read[1]).double().mean())
