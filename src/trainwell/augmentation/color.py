"""Change the light of images: brightness, contrast, saturation, hue, sharpness, each by its own factor.

The factors are Pillow's: 1 leaves a picture as it is, 0 is black, flat grey, grey or blurred, above 1 exaggerates.
Brightness, contrast and sharpness work on any number of channels; saturation and hue need red, green and blue, and
leave others as they are.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from trainwell.augmentation.pixels import Images, columns, draw_uniform, from_unit, refuse, to_unit

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """`color_jitter` with its settings.

    Args:
        brightness: most that the factor differs from 1, >= 0.
        contrast: most that the factor differs from 1, >= 0.
        saturation: most that the factor differs from 1, >= 0.
        hue: most turn of the colour wheel, in [0, 0.5].
    Raises:
        SettingError: a setting outside its range.
    """

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0
    invariance: ClassVar[str] = "a thing is the same in another light"

    def __post_init__(self) -> None:
        refuse(_jitter_problems(self.brightness, self.contrast, self.saturation, self.hue))

    def __call__(self, images: Images, *, generator: torch.Generator) -> Images:
        """The batch with each sample in a light of its own."""
        return color_jitter(
            images,
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            generator=generator,
        )


def color_jitter(
    images: Images,
    *,
    generator: torch.Generator,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
    factors: Float[Tensor, "batch 4"] | None = None,
) -> Images:
    r"""Brightness, contrast, saturation and hue, in this order, each by a factor drawn for each sample.

    .. math:: f_n \sim U(\max(0, 1 - s),\, 1 + s), \quad \text{hue: } t_n \sim U(-s, s)

    Args:
        images: the batch, uint8 or in [0, 1].
        generator: draws the factors.
        brightness: s, >= 0; 0: left alone, as with the others.
        contrast: s, >= 0.
        saturation: s, >= 0; images without three channels are left alone.
        hue: s, in turns of the colour wheel, in [0, 0.5]; images without three channels are left alone.
        factors: brightness, contrast, saturation, hue of each sample, in place of drawing them.
    Returns:
        The batch in other light; rounded once, at the end.
    Raises:
        SettingError: a setting outside its range.
    Example:
        >>> grey = torch.full((1, 3, 1, 1), 100, dtype=torch.uint8)
        >>> brighter = torch.tensor([[1.5, 1.0, 1.0, 0.0]])
        >>> color_jitter(grey, generator=torch.Generator(), factors=brighter).flatten().tolist()
        [150, 150, 150]

    Source: notes, Data Augmentation, 3; Howard 2013, section 2; Krizhevsky et al. 2012, section 4.1 (another form).
    """
    refuse(_jitter_problems(brightness, contrast, saturation, hue))
    unit = to_unit(images)
    if factors is not None:
        bright, contrasted, saturated, turned = factors.unbind(1)
        unit = _brightness(unit, bright)
        unit = _contrast(unit, contrasted)
        unit = _saturation(unit, saturated)
        return from_unit(_hue(unit, turned), images)
    for strength, change in ((brightness, _brightness), (contrast, _contrast), (saturation, _saturation)):
        if strength > 0.0:
            low = max(0.0, 1.0 - strength)
            unit = change(unit, draw_uniform(images, low=low, high=1.0 + strength, generator=generator))
    if hue > 0.0:
        unit = _hue(unit, draw_uniform(images, low=-hue, high=hue, generator=generator))
    return from_unit(unit, images)


def adjust_brightness(images: Images, factors: Float[Tensor, " batch"]) -> Images:
    """Each sample times its factor, >= 0; 0 is black. Source: Pillow, ImageEnhance.Brightness."""
    return from_unit(_brightness(to_unit(images), factors), images)


def adjust_contrast(images: Images, factors: Float[Tensor, " batch"]) -> Images:
    """Each sample's distance from its mean grey times its factor, >= 0. Source: Pillow, ImageEnhance.Contrast."""
    return from_unit(_contrast(to_unit(images), factors), images)


def adjust_saturation(images: Images, factors: Float[Tensor, " batch"]) -> Images:
    """Each pixel's distance from its own grey times the sample's factor, >= 0. Source: Pillow, ImageEnhance.Color."""
    return from_unit(_saturation(to_unit(images), factors), images)


def adjust_hue(images: Images, turns: Float[Tensor, " batch"]) -> Images:
    """Each sample's hues moved round the colour wheel by its turn; 1 is once around. Source: Smith 1978 (HSV)."""
    return from_unit(_hue(to_unit(images), turns), images)


def adjust_sharpness(images: Images, factors: Float[Tensor, " batch"]) -> Images:
    """Each pixel's distance from its smoothed neighbourhood times the sample's factor, >= 0; the border stays.

    Source: Pillow, ImageEnhance.Sharpness.
    """
    unit = to_unit(images)
    height, width = images.shape[2:]
    if height < 3 or width < 3:
        return images
    kernel = torch.tensor([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]).to(unit) / 13.0
    channels = unit.shape[1]
    smooth = unit.clone()
    smooth[:, :, 1:-1, 1:-1] = torch.nn.functional.conv2d(
        unit, kernel.expand(channels, 1, 3, 3).contiguous(), groups=channels
    )
    return from_unit(torch.lerp(smooth, unit, columns(factors, unit)), images)


def grey_of(unit: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch 1 height width"]:
    """Brightness as the eye sees it: 0.299 red + 0.587 green + 0.114 blue; of other channels, their mean."""
    if unit.shape[1] != 3:
        return unit.mean(1, keepdim=True)
    red, green, blue = unit.unbind(1)
    return (_LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue)[:, None]


def _brightness(unit: Tensor, factors: Tensor) -> Tensor:
    return (unit * columns(factors, unit)).clamp_(0.0, 1.0)


def _contrast(unit: Tensor, factors: Tensor) -> Tensor:
    return torch.lerp(grey_of(unit).mean((1, 2, 3), keepdim=True), unit, columns(factors, unit)).clamp_(0.0, 1.0)


def _saturation(unit: Tensor, factors: Tensor) -> Tensor:
    if unit.shape[1] != 3:
        return unit
    return torch.lerp(grey_of(unit), unit, columns(factors, unit)).clamp_(0.0, 1.0)


def _hue(unit: Tensor, turns: Tensor) -> Tensor:
    if unit.shape[1] != 3:
        return unit
    red, green, blue = unit.unbind(1)
    value = unit.amax(1)
    chroma = value - unit.amin(1)
    safe = torch.where(chroma > 0.0, chroma, 1.0)
    # Hue in sixths of a turn: 0 red, 2 green, 4 blue.
    sixths = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    sixths = sixths + 6.0 * columns(turns, unit)[:, 0]
    channels = []
    for place in (5.0, 3.0, 1.0):
        k = (place + sixths) % 6.0
        channels.append(value - chroma * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0))
    return torch.stack(channels, dim=1)


def _jitter_problems(brightness: float, contrast: float, saturation: float, hue: float) -> list[str]:
    problems = [
        f"`{name} >= 0` must hold, but got {strength}. Use 0 to leave it alone."
        for name, strength in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation))
        if not strength >= 0.0
    ]
    if not 0.0 <= hue <= 0.5:
        problems.append(f"`0 <= hue <= 0.5` must hold, but got {hue}. A turn of 0.5 reaches every hue.")
    return problems
