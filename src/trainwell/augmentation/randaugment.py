"""RandAugment: a few operations drawn by name for each sample, all at one magnitude; and the table of operations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from trainwell.augmentation.color import adjust_brightness, adjust_contrast, adjust_saturation, adjust_sharpness
from trainwell.augmentation.geometry import rotate, shear_x, shear_y, translate_x, translate_y
from trainwell.augmentation.pixels import Images, draw_coins, draw_integers, refuse
from trainwell.augmentation.tone import autocontrast, equalize, invert, posterize, solarize
from trainwell.core.errors import suggestion


@dataclass(frozen=True)
class Operation:
    """A change of images, and the range of its setting.

    Args:
        apply: (images) -> images, or (images, a setting for each sample) -> images.
        at_zero: the setting at magnitude 0, where the operation does nothing; None: it has no setting.
        at_full: the setting at magnitude 10.
        signed: whether the setting goes to either side of at_zero, by a coin for each sample.
    """

    apply: Callable[..., Images]
    at_zero: float | None = None
    at_full: float = 0.0
    signed: bool = False

    def __call__(self, images: Images, *, magnitude: float, signs: Float[Tensor, " batch"]) -> Images:
        """The batch changed at a magnitude from 0 to 10; `signs` are +1 or -1, and count only where `signed`."""
        if self.at_zero is None:
            return self.apply(images)
        distance = (self.at_full - self.at_zero) * magnitude / MAX_MAGNITUDE
        return self.apply(images, self.at_zero + distance * (signs if self.signed else torch.ones_like(signs)))


def identity(images: Images) -> Images:
    """The images as they are."""
    return images


def rand_augment(
    images: Images,
    *,
    generator: torch.Generator,
    num_operations: int = 2,
    magnitude: float = 9.0,
    operations: tuple[str, ...] | None = None,
    choices: Int64[Tensor, "batch num_operations"] | None = None,
    signs: Float[Tensor, "batch num_operations"] | None = None,
) -> Images:
    r"""Apply operations drawn for each sample, one after the other, all at the same magnitude.

    .. math:: y_n = o_{k_{n,N}}(\dots o_{k_{n,1}}(x_n; \pm M) \dots; \pm M), \quad k_{n,i} \sim U\{1, \dots, K\}

    Args:
        images: the batch, uint8 or in [0, 1]; operations on colour leave images without three channels as they are.
        generator: draws k and the signs.
        num_operations: N, >= 1.
        magnitude: M, from 0 (hardly a change) to 10.
        operations: names in OPERATIONS to draw from; None: the paper's fourteen.
        choices: k, as places in `operations`, in place of drawing them.
        signs: +1 or -1 of each choice, in place of drawing them.
    Returns:
        The changed batch.
    Raises:
        SettingError: num_operations or magnitude outside its range, no operations, or one that is not known.
    Example:
        >>> black = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
        >>> generator = torch.Generator().manual_seed(0)
        >>> rand_augment(black, operations=("invert",), num_operations=1, generator=generator).flatten().tolist()
        [255, 255, 255]

    Source: notes, Data Augmentation, 4; Cubuk et al. 2020; ranges: its code (AutoAugment's, with M up to 10).
    """
    names = PAPER_OPERATIONS if operations is None else operations
    refuse(_rand_augment_problems(num_operations, magnitude, names))
    result = images
    for place in range(num_operations):
        chosen = draw_integers(images, below=len(names), generator=generator) if choices is None else choices[:, place]
        coins = draw_coins(images, probability=0.5, generator=generator)
        sides = torch.where(coins, 1.0, -1.0) if signs is None else signs[:, place]
        chosen, sides = chosen.to(images.device), sides.to(images.device)
        changed = result.clone(memory_format=torch.preserve_format)
        for number, name in enumerate(names):
            (members,) = torch.where(chosen == number)
            if name != "identity" and len(members) > 0:
                picked = result.index_select(0, members)
                changed[members] = OPERATIONS[name](picked, magnitude=magnitude, signs=sides[members])
        result = changed
    return result


@dataclass(frozen=True, kw_only=True)
class RandAugment:
    """`rand_augment` with its settings.

    Args:
        num_operations: operations on each sample, >= 1.
        magnitude: of all of them, from 0 to 10.
        operations: names in OPERATIONS to draw from; None: the paper's fourteen.
    Raises:
        SettingError: num_operations or magnitude outside its range, no operations, or one that is not known.
    """

    num_operations: int = 2
    magnitude: float = 9.0
    operations: tuple[str, ...] | None = None
    invariance: ClassVar[str] = "a thing is the same turned, slanted, moved, and in other light, tones and colours"

    def __post_init__(self) -> None:
        names = PAPER_OPERATIONS if self.operations is None else self.operations
        refuse(_rand_augment_problems(self.num_operations, self.magnitude, names))

    def __call__(self, images: Images, *, generator: torch.Generator) -> Images:
        """The batch with operations of its own applied to each sample."""
        return rand_augment(
            images,
            num_operations=self.num_operations,
            magnitude=self.magnitude,
            operations=self.operations,
            generator=generator,
        )


def _rand_augment_problems(num_operations: int, magnitude: float, names: tuple[str, ...]) -> list[str]:
    problems = []
    if num_operations < 1:
        problems.append(f"`num_operations >= 1` must hold, but got {num_operations}. Leave RandAugment out instead.")
    if not 0.0 <= magnitude <= MAX_MAGNITUDE:
        problems.append(f"`0 <= magnitude <= 10` must hold, but got {magnitude}. Choose a magnitude such as 9.")
    if not names:
        problems.append("`operations` must name at least one, but got none. Leave it out for the paper's fourteen.")
    problems += [
        f'`operations` must be known, but got "{name}". {suggestion(name, OPERATIONS)}'
        for name in names
        if name not in OPERATIONS
    ]
    return problems


MAX_MAGNITUDE = 10.0

OPERATIONS = {
    "identity": Operation(identity),
    "autocontrast": Operation(autocontrast),
    "equalize": Operation(equalize),
    "invert": Operation(invert),
    "rotate": Operation(rotate, at_zero=0.0, at_full=30.0, signed=True),
    "posterize": Operation(posterize, at_zero=8.0, at_full=4.0),
    "solarize": Operation(solarize, at_zero=256.0, at_full=0.0),
    "color": Operation(adjust_saturation, at_zero=1.0, at_full=1.9, signed=True),
    "contrast": Operation(adjust_contrast, at_zero=1.0, at_full=1.9, signed=True),
    "brightness": Operation(adjust_brightness, at_zero=1.0, at_full=1.9, signed=True),
    "sharpness": Operation(adjust_sharpness, at_zero=1.0, at_full=1.9, signed=True),
    "shear_x": Operation(shear_x, at_zero=0.0, at_full=0.3, signed=True),
    "shear_y": Operation(shear_y, at_zero=0.0, at_full=0.3, signed=True),
    "translate_x": Operation(translate_x, at_zero=0.0, at_full=0.45, signed=True),
    "translate_y": Operation(translate_y, at_zero=0.0, at_full=0.45, signed=True),
}
"""Name -> operation. Settings: degrees, bits kept, level, factors, pixels per pixel, parts of the size."""

PAPER_OPERATIONS = tuple(name for name in OPERATIONS if name != "invert")
"""The fourteen of the paper's section 3, which leaves `invert` out."""
