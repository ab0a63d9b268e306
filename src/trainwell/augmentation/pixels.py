"""What every augmentation needs: the type of a batch of images, its two scales of brightness, and draws, one a sample.

A batch is uint8 with levels 0 to 255, or floating with brightness 0 to 1. Results keep dtype and memory format.
"""

from collections.abc import Iterable
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from trainwell.core.errors import SettingError

Images: TypeAlias = UInt8[Tensor, "batch channels height width"] | Float[Tensor, "batch channels height width"]
"""A batch of images, uint8 in 0 to 255 or floating in 0 to 1."""

Cropped: TypeAlias = (
    UInt8[Tensor, "batch channels new_height new_width"] | Float[Tensor, "batch channels new_height new_width"]
)
"""A batch of images of another height and width."""


def to_unit(images: Images) -> Float[Tensor, "batch channels height width"]:
    """Brightness from 0 to 1 in float32 (float64 stays)."""
    if images.dtype == torch.uint8:
        return images.float() / 255.0
    if not images.is_floating_point():
        raise SettingError(f"Images must be uint8 or floating, but got {images.dtype}. Convert them with `.to()`.")
    return images if images.dtype == torch.float64 else images.float()


def from_unit(unit: Float[Tensor, "batch channels height width"], images: Images) -> Images:
    """Brightness from 0 to 1, clamped, as dtype and memory format of `images`."""
    if images.dtype == torch.uint8:
        return like((unit * 255.0).round_().clamp_(0.0, 255.0).to(torch.uint8), images)
    return like(unit.clamp(0.0, 1.0).to(images.dtype), images)


def to_levels(images: Images) -> UInt8[Tensor, "batch channels height width"]:
    """Brightness as one of 256 levels."""
    if images.dtype == torch.uint8:
        return images
    return (to_unit(images) * 255.0).round().clamp(0.0, 255.0).to(torch.uint8)


def from_levels(levels: UInt8[Tensor, "batch channels height width"], images: Images) -> Images:
    """Levels as dtype and memory format of `images`."""
    if images.dtype == torch.uint8:
        return like(levels, images)
    return like((levels.float() / 255.0).to(images.dtype), images)


def like(result: Cropped, images: Images) -> Cropped:
    """`result` in the memory format of `images`; copied only where it has another."""
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return result.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def columns(settings: Float[Tensor, " batch"], unit: Tensor) -> Float[Tensor, "batch 1 1 1"]:
    """One setting a sample, shaped and typed to be multiplied with a batch."""
    return settings.to(unit)[:, None, None, None]


def draw_uniform(images: Images, *, low: float, high: float, generator: torch.Generator) -> Float[Tensor, " batch"]:
    """One number a sample, uniform in [low, high); drawn where the generator lives: the same on any device."""
    drawn = torch.rand(images.shape[0], generator=generator, device=generator.device)
    return (low + (high - low) * drawn).to(images.device)


def draw_coins(images: Images, *, probability: float, generator: torch.Generator) -> Bool[Tensor, " batch"]:
    """One coin a sample, true with `probability`."""
    return draw_uniform(images, low=0.0, high=1.0, generator=generator) < probability


def draw_integers(images: Images, *, below: int, generator: torch.Generator) -> Int64[Tensor, " batch"]:
    """One integer a sample, uniform in 0 to below - 1."""
    return torch.randint(below, (images.shape[0],), generator=generator, device=generator.device).to(images.device)


def refuse(problems: Iterable[str]) -> None:
    """Raise one SettingError that names all problems, if there are any."""
    message = " ".join(problems)
    if message:
        raise SettingError(message)
