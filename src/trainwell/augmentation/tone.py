"""Map the levels of images: invert, solarize, posterize, autocontrast, equalize; each channel of each sample by itself.

As Pillow's ImageOps, for whole batches and any number of channels. Floating images are taken as 256 levels where
levels are counted (posterize, equalize).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from trainwell.augmentation.pixels import Images, columns, from_levels, from_unit, like, to_levels, to_unit


def invert(images: Images) -> Images:
    """Black becomes white: 255 - x, or 1 - x. Source: Pillow, ImageOps.invert."""
    return like((255 if images.dtype == torch.uint8 else 1) - images, images)


def solarize(images: Images, thresholds: Float[Tensor, " batch"]) -> Images:
    """What is at or above the sample's threshold, 0 to 256, is inverted. Source: Pillow, ImageOps.solarize."""
    levels = images.float() if images.dtype == torch.uint8 else to_unit(images) * 255.0
    return like(torch.where(levels >= columns(thresholds, levels), invert(images), images), images)


def posterize(images: Images, bits: Float[Tensor, " batch"]) -> Images:
    """Only the sample's highest bits of each level are kept, 0 to 8, rounded. Source: Pillow, ImageOps.posterize."""
    dropped = 8 - bits.round().clamp(0, 8).to(torch.int64)
    mask = ((255 << dropped) & 255).to(device=images.device, dtype=torch.uint8)
    return from_levels(to_levels(images) & mask[:, None, None, None], images)


def autocontrast(images: Images) -> Images:
    """Each channel stretched so that its darkest pixel is black and its lightest white; a flat channel stays.

    Source: Pillow, ImageOps.autocontrast with cutoff 0.
    """
    unit = to_unit(images)
    low, high = unit.amin((2, 3), keepdim=True), unit.amax((2, 3), keepdim=True)
    spread = high - low
    return from_unit(torch.where(spread > 0.0, (unit - low) / torch.where(spread > 0.0, spread, 1.0), unit), images)


def equalize(images: Images) -> Images:
    """Each channel's levels respaced so that all are about equally frequent.

    As with Pillow, a channel with fewer than 255 pixels below its highest level stays: so do all images under 16 x 16.

    Source: Pillow, ImageOps.equalize.
    """
    levels = to_levels(images)
    batch, channels, height, width = levels.shape
    flat = levels.reshape(batch * channels, height * width).long()
    counts = torch.zeros(batch * channels, 256, dtype=torch.int64, device=levels.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat))
    highest = flat.amax(1, keepdim=True)
    stride = (height * width - counts.gather(1, highest)) // 255
    below = counts.cumsum(1) - counts
    table = ((below + stride // 2) // stride.clamp(min=1)).clamp(max=255)
    table = torch.where(stride > 0, table, torch.arange(256, device=levels.device))
    return from_levels(table.gather(1, flat).to(torch.uint8).view(batch, channels, height, width), images)
