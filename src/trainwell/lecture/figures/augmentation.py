"""The picture of the augmentations, on real images."""

from collections.abc import Callable
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from trainwell.augmentation import AUGMENTATIONS, ColorJitter, HorizontalFlip, RandAugment
from trainwell.core.seeds import generator
from trainwell.lecture.datasets import digit_images, photographs
from trainwell.pictures.drawing import drawing, finished, sheet

_CHANGES: tuple[tuple[str, Callable[..., Tensor]], ...] = (
    ("horizontal\nflip", HorizontalFlip(probability=1.0)),
    ("random crop\nand scale", AUGMENTATIONS["random_resized_crop"]()),
    ("colour\njitter", ColorJitter(brightness=0.4, contrast=0.4, saturation=0.6, hue=0.1)),
    ("Rand-\nAugment", RandAugment()),
)


@drawing()
def augmentations(*, seed: int = 7) -> Figure:
    """Two photographs and a digit, and what the notes' four augmentations make of them.

    Args:
        seed: of the draws.
    """
    images, _ = digit_images()
    rows = [*photographs()[:, None], images[5].permute(2, 0, 1)[None]]
    names = ["palace", "flower", "digit"]
    figure, panels = sheet(340.0, rows=len(rows), columns=1 + len(_CHANGES))
    for row, image in enumerate(rows):
        shown = [("original", image)]
        shown += [(name, change(image, generator=generator(seed, name, row))) for name, change in _CHANGES]
        for column, (name, picture) in enumerate(shown):
            panel = panels[row * len(shown) + column]
            panel.imshow(as_pixels(picture), interpolation="nearest")
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
            if row == 0:
                panel.set_title(name, size=11, weight="normal")
            if column == 0:
                panel.set_ylabel(names[row], size=11)
    figure.supxlabel("photographs: 144 × 144 pixels, digit: 8 × 8 pixels", size=11)
    figure.suptitle("One image, four augmentations", x=0.01, ha="left", size=13, weight="bold")
    return finished(figure)


def as_pixels(image: Tensor) -> Any:
    """A batch of one image as an array (height, width, 3) of uint8."""
    channels_last = image[0].permute(1, 2, 0)
    return channels_last.expand(-1, -1, 3).contiguous().numpy() if image.dtype == torch.uint8 else None
