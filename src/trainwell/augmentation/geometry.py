"""Rotate, shear and translate images, each by its own amount: one bilinear sampler under all of them.

What moves in from beyond the border is mid-grey. Directions are Pillow's: a positive angle turns counter-clockwise.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trainwell.augmentation.pixels import Cropped, Images, like


def rotate(images: Images, degrees: Float[Tensor, " batch"]) -> Images:
    """Turn each sample counter-clockwise about its centre, by -360 to 360 degrees.

    Source: Cubuk et al. 2020, section 3 (Rotate).
    """
    angle = degrees * (math.pi / 180.0)
    return _affine(images, yy=angle.cos(), yx=angle.sin(), xy=-angle.sin(), xx=angle.cos())


def shear_x(images: Images, slopes: Float[Tensor, " batch"]) -> Images:
    """Shift each row sideways by slope x its height over the centre, in pixels per pixel.

    Source: Cubuk et al. 2020, section 3 (ShearX).
    """
    one, zero = torch.ones_like(slopes), torch.zeros_like(slopes)
    return _affine(images, yy=one, yx=zero, xy=slopes, xx=one)


def shear_y(images: Images, slopes: Float[Tensor, " batch"]) -> Images:
    """Shift each column up or down by slope x its distance from the centre, in pixels per pixel.

    Source: Cubuk et al. 2020, section 3 (ShearY).
    """
    one, zero = torch.ones_like(slopes), torch.zeros_like(slopes)
    return _affine(images, yy=one, yx=slopes, xy=zero, xx=one)


def translate_x(images: Images, parts: Float[Tensor, " batch"]) -> Images:
    """Shift each sample to the left by a part of its width, in [-1, 1].

    Source: Cubuk et al. 2020, section 3 (TranslateX).
    """
    one, zero = torch.ones_like(parts), torch.zeros_like(parts)
    return _affine(images, yy=one, yx=zero, xy=zero, xx=one, x_shift=parts * images.shape[3])


def translate_y(images: Images, parts: Float[Tensor, " batch"]) -> Images:
    """Shift each sample up by a part of its height, in [-1, 1].

    Source: Cubuk et al. 2020, section 3 (TranslateY).
    """
    one, zero = torch.ones_like(parts), torch.zeros_like(parts)
    return _affine(images, yy=one, yx=zero, xy=zero, xx=one, y_shift=parts * images.shape[2])


def sample_at(
    images: Images,
    *,
    y: Float[Tensor, "batch new_height new_width"],
    x: Float[Tensor, "batch new_height new_width"],
    edge: Literal["grey", "nearest"],
) -> Cropped:
    """Each sample's brightness at fractional places, bilinear.

    Args:
        images: the batch.
        y: rows, in pixels; 0 is the centre of the first row.
        x: columns, in pixels; 0 is the centre of the first column.
        edge: beyond the border mid-grey, or the nearest pixel.
    Returns:
        The sampled batch.
    """
    height, width = images.shape[2:]
    grid = torch.stack(((2.0 * x + 1.0) / width - 1.0, (2.0 * y + 1.0) / height - 1.0), dim=3)
    values = images if images.dtype == torch.float64 else images.float()
    # The sampler fills with zeros: grey is zero while it works.
    grey = (128.0 if images.dtype == torch.uint8 else 0.5) if edge == "grey" else 0.0
    sampled = torch.nn.functional.grid_sample(
        values - grey,
        grid.to(values.dtype),
        mode="bilinear",
        padding_mode="zeros" if edge == "grey" else "border",
        align_corners=False,
    )
    sampled = sampled + grey
    if images.dtype == torch.uint8:
        sampled = sampled.round().clamp(0.0, 255.0)
    return like(sampled.to(images.dtype), images)


def _affine(
    images: Images,
    *,
    yy: Float[Tensor, " batch"],
    yx: Float[Tensor, " batch"],
    xy: Float[Tensor, " batch"],
    xx: Float[Tensor, " batch"],
    y_shift: Float[Tensor, " batch"] | None = None,
    x_shift: Float[Tensor, " batch"] | None = None,
) -> Images:
    # A pixel of the result at (y, x) from the centre is fetched from (yy y + yx x, xy y + xx x), shifted.
    height, width = images.shape[2:]
    device = images.device
    rows = torch.arange(height, device=device)[None, :, None] - (height - 1) / 2
    across = torch.arange(width, device=device)[None, None, :] - (width - 1) / 2
    yy, yx, xy, xx = (part.to(device)[:, None, None] for part in (yy, yx, xy, xx))
    y = yy * rows + yx * across + (height - 1) / 2
    x = xy * rows + xx * across + (width - 1) / 2
    if y_shift is not None:
        y = y + y_shift.to(device)[:, None, None]
    if x_shift is not None:
        x = x + x_shift.to(device)[:, None, None]
    return sample_at(images, y=y, x=x, edge="grey")
