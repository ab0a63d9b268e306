"""Several augmentations one after the other, and the table of all."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Int64
from torch import Tensor

from trainwell.augmentation.color import ColorJitter
from trainwell.augmentation.crop import RandomCrop, RandomResizedCrop, RandomTranslation
from trainwell.augmentation.flip import AlternatingFlip, HorizontalFlip
from trainwell.augmentation.pixels import Cropped, Images
from trainwell.augmentation.randaugment import RandAugment
from trainwell.core.errors import SettingError

Augmentation: TypeAlias = (
    HorizontalFlip | AlternatingFlip | RandomCrop | RandomTranslation | RandomResizedCrop | ColorJitter | RandAugment
)


@dataclass(frozen=True)
class Compose:
    """Augmentations applied in order to whole batches.

    Args:
        augmentations: any of AUGMENTATIONS with their settings; none: the images stay as they are.
    Example:
        >>> augment = Compose((HorizontalFlip(), RandomCrop(padding=4)))
        >>> images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
        >>> augment(images, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([8, 3, 32, 32])

    Source: notes, Data Augmentation.
    """

    augmentations: tuple[Augmentation, ...] = ()

    def __call__(
        self,
        images: Images,
        *,
        generator: torch.Generator,
        indices: Int64[Tensor, " batch"] | None = None,
        epoch: int | None = None,
    ) -> Cropped:
        """The augmented batch.

        Args:
            images: the batch.
            generator: draws what all of them draw, in order.
            indices: which sample of the data each is; AlternatingFlip asks for it.
            epoch: number of the epoch, >= 0; AlternatingFlip asks for it.
        Returns:
            The augmented batch.
        Raises:
            SettingError: AlternatingFlip without indices or epoch.
        """
        result: Tensor = images
        for augmentation in self.augmentations:
            if not isinstance(augmentation, AlternatingFlip):
                result = augmentation(result, generator=generator)
            elif indices is None or epoch is None:
                raise SettingError(
                    "AlternatingFlip needs `indices` and `epoch`, but got "
                    f"{'no indices' if indices is None else 'no epoch'}. Pass both, or use HorizontalFlip."
                )
            else:
                result = augmentation(result, indices=indices, epoch=epoch)
        return result

    @property
    def invariances(self) -> tuple[str, ...]:
        """What the augmentations say stays the same, in words."""
        return tuple(dict.fromkeys(augmentation.invariance for augmentation in self.augmentations))


AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "horizontal_flip": HorizontalFlip,
    "alternating_flip": AlternatingFlip,
    "random_crop": RandomCrop,
    "random_translation": RandomTranslation,
    "random_resized_crop": RandomResizedCrop,
    "color_jitter": ColorJitter,
    "rand_augment": RandAugment,
}
"""Name -> class. Each has settings with defaults, and says which invariance it encodes."""
