"""Augmentations admitted by evidence: the network is asked which changes leave what a picture shows alone."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from trainwell.augmentation import adjust_brightness, adjust_contrast, random_crop
from trainwell.core.records.evidence import Invariance
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.seeds import generator
from trainwell.diagnosis.invariances import judged
from trainwell.recipe.context import Context
from trainwell.recipe.grids import Trained
from trainwell.search.rebuild import rebuild
from trainwell.training.observe import evaluate
from trainwell.training.state import load_weights

SAMPLES = 2000
FLIP = "horizontal flip"
SHIFT = "shift"
COLOUR = "brightness and contrast"
STATEMENTS = {
    FLIP: "a picture and its mirror image show the same thing",
    SHIFT: "a picture moved by a few pixels shows the same thing",
    COLOUR: "a brighter or flatter picture shows the same thing",
}


def look_for_invariances(context: Context, trained: Trained) -> tuple[Invariance, ...]:
    """Judge the best coarse network on changed validation pictures.

    Returns:
        One Invariance an augmentation; empty for tables, or where nothing was trained or can be judged.
    """
    record = context.dataset.record
    if record.input.kind != "image" or not trained.finished or not record.sizes["validation"]:
        return ()
    return context.study.once("invariances", tuple[Invariance, ...], lambda: _judge(context, trained))


def admitted_point(point: Hyperparameters, invariances: tuple[Invariance, ...], *, height: int) -> Hyperparameters:
    """A point with the admitted augmentations switched on, for pictures of some height."""
    settings = point.augmentation
    names = {each.name for each in invariances if each.admitted}
    if FLIP in names and settings.flip == "none":
        settings = replace(settings, flip="alternating", views=max(settings.views, 2))
    if SHIFT in names and not settings.translate:
        settings = replace(settings, translate=shift_of(height))
    if COLOUR in names and not settings.colour:
        settings = replace(settings, colour=0.2)
    return replace(point, augmentation=settings)


def shift_of(height: int) -> int:
    """Pixels that a picture can be moved by: 1 in 14, at least 1."""
    return max(height // 14, 1)


def _judge(context: Context, trained: Trained) -> tuple[Invariance, ...]:
    spec = trained.specs[trained.best]
    rebuilt = rebuild(spec, factory=context.trials.factory)
    setup = rebuilt.setup
    averaged = spec.hyperparameters.optimization.averaging > 0
    load_weights(context.trials.state_of(spec.number), setup.model, averaged=averaged)
    index = setup.validation[:SAMPLES]
    pictures = setup.inputs[index]
    targets = setup.targets[index]
    pixels = shift_of(pictures.shape[1])

    def metric(change: Callable[[Tensor], Tensor]) -> float:
        changed = change(pictures.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        everything = torch.arange(len(changed))
        return evaluate(
            setup.model, changed, targets, everything, setup.output, precision=spec.precision, device=spec.device
        ).metric

    def shifted(images: Tensor) -> Tensor:
        return random_crop(images, padding=pixels, generator=generator(0, "shift"))

    def recoloured(images: Tensor) -> Tensor:
        factors = torch.full((len(images),), 1.3)
        return adjust_contrast(adjust_brightness(images, factors), 1 / factors)

    chance = context.yardsticks[0].metric
    without = metric(lambda images: images)
    changes: dict[str, Callable[[Tensor], Tensor]] = {FLIP: lambda images: images.flip(3), SHIFT: shifted}
    if pictures.shape[3] == 3:
        changes[COLOUR] = recoloured
    found = []
    for name, change in changes.items():
        found.append(judged(name, STATEMENTS[name], without=without, changed=metric(change), chance=chance))
    return tuple(found)
