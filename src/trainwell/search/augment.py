"""The augmentation of a batch as the hyperparameters say, and the views of a picture at test time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainwell.augmentation import (
    ColorJitter,
    RandAugment,
    Views,
    alternating_flip,
    horizontal_flip,
    random_crop,
    random_resized_crop,
)
from trainwell.core.records.hyperparameters import Augmentation, Regularization
from trainwell.core.records.layout import OutputLayout
from trainwell.core.seeds import generator
from trainwell.regularization import cutmix, cutout, mixup


@dataclass(frozen=True)
class Augment:
    """Changes a whole batch, each sample by its own draw; which draw, the step number decides.

    Attributes:
        augmentation: which invariances.
        regularization: mixup, CutMix, cutout.
        kind: image or table; tables are only mixed.
        output: of the network.
        steps_per_epoch: to know the epoch that alternating flips need.
        seed: of the draws.
    """

    augmentation: Augmentation
    regularization: Regularization
    kind: str
    output: OutputLayout
    steps_per_epoch: int
    seed: int

    @property
    def changes_anything(self) -> bool:
        """Whether any of it is on."""
        settings, mixing = self.augmentation, self.regularization
        seen = settings.flip != "none" or settings.translate or settings.scale < 1 or settings.colour
        mixed = mixing.mixup_alpha or mixing.cutmix_alpha or mixing.cutout
        return self.kind == "image" and bool(seen or settings.randaugment or mixed)

    def __call__(self, inputs: Tensor, targets: Tensor, chosen: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """A batch (batch, height, width, channels), changed."""
        draw = generator(self.seed, "step", step, device=inputs.device)
        settings, mixing = self.augmentation, self.regularization
        images = inputs.permute(0, 3, 1, 2)
        if settings.flip == "random":
            images = horizontal_flip(images, generator=draw)
        elif settings.flip == "alternating":
            images = alternating_flip(
                images, indices=chosen.to(images.device), epoch=step // self.steps_per_epoch, seed=self.seed
            )
        if settings.translate:
            images = random_crop(images, padding=settings.translate, generator=draw)
        if settings.scale < 1:
            images = random_resized_crop(images, scale=(settings.scale, 1.0), generator=draw)
        if settings.colour:
            jitter = ColorJitter(
                brightness=settings.colour,
                contrast=settings.colour,
                saturation=settings.colour if images.shape[1] == 3 else 0.0,
                hue=0.1 * settings.colour if images.shape[1] == 3 else 0.0,
            )
            images = jitter(images, generator=draw)
        if settings.randaugment:
            images = RandAugment(magnitude=settings.randaugment)(images, generator=draw)
        if mixing.cutout:
            images = cutout(images, size=max(round(mixing.cutout * images.shape[-1]), 1), generator=draw)
        if mixing.mixup_alpha or mixing.cutmix_alpha:
            one_hot = targets
            if self.output.task == "classification":
                one_hot = functional.one_hot(targets, self.output.size).float()
            if mixing.mixup_alpha:
                images, one_hot = mixup(images.float() / 255.0, one_hot, alpha=mixing.mixup_alpha, generator=draw)
            if mixing.cutmix_alpha:
                images, one_hot = cutmix(images, one_hot, alpha=mixing.cutmix_alpha, generator=draw)
            targets = one_hot
        # Networks take whole numbers as they are stored, and mixed pictures in [0, 1] with the channels second.
        return (images.permute(0, 2, 3, 1) if images.dtype == torch.uint8 else images), targets


def views_of(augmentation: Augmentation) -> Callable[[Tensor], Iterator[Tensor]] | None:
    """The views of a picture that are averaged at test time: what training showed, and no more.

    Args:
        augmentation: `views` 1 is the picture alone, 2 adds its mirror image, 10 shifts by one pixel too.
    Returns:
        Batch (batch, height, width, channels) -> views; None where there is one.
    """
    flip = augmentation.flip != "none" and augmentation.views >= 2
    crops = 5 if augmentation.translate and augmentation.views >= 5 else 1
    if not flip and crops == 1:
        return None
    made = Views(flip=flip, crops=crops, padding=1 if crops > 1 else 0)

    def views(batch: Tensor) -> Iterator[Tensor]:
        for view in made(batch.permute(0, 3, 1, 2)):
            yield view.permute(0, 2, 3, 1)

    return views
