"""Move and cut images: pad and crop, whole-pixel translation, and crops of random area resized to one size."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from trainwell.augmentation.geometry import sample_at
from trainwell.augmentation.pixels import Cropped, Images, draw_integers, draw_uniform, refuse

Edge = Literal["reflect", "zeros"]
"""What lies beyond the border: the picture mirrored at its outermost pixels (and again, as far as needed), or zeros."""


@dataclass(frozen=True, kw_only=True)
class RandomCrop:
    """`random_crop` with its settings.

    Args:
        padding: pixels added on each side, >= 0.
        size: height and width cut out; None: those of the images.
        edge: what the padding holds.
    Raises:
        SettingError: padding < 0, a size < 1 or an unknown edge.
    """

    padding: int = 4
    size: tuple[int, int] | None = None
    edge: Edge = "reflect"
    invariance: ClassVar[str] = "a thing is the same wherever it stands in the picture"

    def __post_init__(self) -> None:
        refuse(_window_problems(self.padding, self.size, self.edge))

    def __call__(self, images: Images, *, generator: torch.Generator) -> Cropped:
        """The batch with a window of its own cut from each padded sample."""
        return random_crop(images, padding=self.padding, size=self.size, edge=self.edge, generator=generator)


@dataclass(frozen=True, kw_only=True)
class RandomTranslation:
    """`random_translation` with its settings.

    Args:
        max_shift: most pixels in each direction, >= 0.
        edge: what moves in from beyond the border.
    Raises:
        SettingError: max_shift < 0 or an unknown edge.
    """

    max_shift: int = 2
    edge: Edge = "zeros"
    invariance: ClassVar[str] = "a thing is the same wherever it stands in the picture"

    def __post_init__(self) -> None:
        refuse(_window_problems(self.max_shift, None, self.edge, name="max_shift"))

    def __call__(self, images: Images, *, generator: torch.Generator) -> Images:
        """The batch with each sample shifted."""
        return random_translation(images, max_shift=self.max_shift, edge=self.edge, generator=generator)


@dataclass(frozen=True, kw_only=True)
class RandomResizedCrop:
    """`random_resized_crop` with its settings.

    Args:
        scale: least and most of the picture's area, 0 < least <= most <= 1.
        ratio: least and most width / height of the box in units of the picture's own, 0 < least <= most.
        size: height and width of the result; None: those of the images.
    Raises:
        SettingError: scale, ratio or size outside its range.
    """

    scale: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    size: tuple[int, int] | None = None
    invariance: ClassVar[str] = "a thing is the same near and far, whole and in part"

    def __post_init__(self) -> None:
        refuse(_box_problems(self.scale, self.ratio, self.size))

    def __call__(self, images: Images, *, generator: torch.Generator) -> Cropped:
        """The batch with a box of its own cut from each sample and resized."""
        return random_resized_crop(images, scale=self.scale, ratio=self.ratio, size=self.size, generator=generator)


def random_crop(
    images: Images,
    *,
    padding: int,
    generator: torch.Generator,
    size: tuple[int, int] | None = None,
    edge: Edge = "reflect",
    offsets: Int64[Tensor, "batch 2"] | None = None,
) -> Cropped:
    r"""Pad each sample, and cut a window out of it at a place of its own.

    .. math:: y_{n,c,i,j} = \tilde x_{n,c,\,i + t_n - p,\, j + l_n - p}, \quad
        t_n \sim \{0, \dots, H + 2p - h\},\; l_n \sim \{0, \dots, W + 2p - w\}

    Args:
        images: the batch.
        padding: p, pixels added on each side, >= 0.
        generator: draws t and l.
        size: h and w; None: H and W.
        edge: what the padding holds.
        offsets: t and l, in place of drawing them; (p, p) is the picture itself.
    Returns:
        The windows, h x w.
    Raises:
        SettingError: padding, size or edge outside its range, or a window larger than the padded picture.
    Example:
        >>> row = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
        >>> offsets = torch.tensor([[1, 0]])
        >>> random_crop(row, padding=1, edge="zeros", generator=torch.Generator(), offsets=offsets).flatten().tolist()
        [0, 1, 2]

    Source: notes, Data Augmentation, 2; pad by 4 and crop: Lee et al. 2015, He et al. 2016, section 4.2.
    """
    height, width = images.shape[2:]
    problems = _window_problems(padding, size, edge)
    new_height, new_width = size or (height, width)
    spare_height, spare_width = height + 2 * padding - new_height, width + 2 * padding - new_width
    if not problems and (spare_height < 0 or spare_width < 0):
        problems.append(
            f"`size <= height and width + 2 * padding` must hold, but got {size} and images of {height} x {width} "
            f"with padding {padding}. Cut a smaller window or pad more."
        )
    refuse(problems)
    if offsets is None:
        top = draw_integers(images, below=spare_height + 1, generator=generator)
        left = draw_integers(images, below=spare_width + 1, generator=generator)
    else:
        top, left = offsets.unbind(1)
    return cut_windows(images, top=top - padding, left=left - padding, size=(new_height, new_width), edge=edge)


def random_translation(
    images: Images,
    *,
    max_shift: int,
    generator: torch.Generator,
    edge: Edge = "zeros",
    shifts: Int64[Tensor, "batch 2"] | None = None,
) -> Images:
    r"""Shift each sample by whole pixels, down and to the right (negative: up and to the left).

    .. math:: y_{n,c,i,j} = \tilde x_{n,c,\,i - d_n,\, j - r_n}, \quad d_n, r_n \sim \{-s, \dots, s\}

    Args:
        images: the batch.
        max_shift: s, in pixels, >= 0.
        generator: draws d and r.
        edge: what moves in from beyond the border.
        shifts: d and r, in place of drawing them.
    Returns:
        The shifted batch.
    Raises:
        SettingError: max_shift or edge outside its range.
    Example:
        >>> row = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
        >>> shifts = torch.tensor([[0, -1]])
        >>> random_translation(row, max_shift=1, generator=torch.Generator(), shifts=shifts).flatten().tolist()
        [2, 3, 0]

    Source: notes, Data Augmentation, 2; Jordan 2024 (airbench), section 3.1.
    """
    refuse(_window_problems(max_shift, None, edge, name="max_shift"))
    if shifts is None:
        down, right = (draw_integers(images, below=2 * max_shift + 1, generator=generator) - max_shift for _ in "yx")
    else:
        down, right = shifts.unbind(1)
    return cut_windows(images, top=-down, left=-right, size=(images.shape[2], images.shape[3]), edge=edge)


def random_resized_crop(
    images: Images,
    *,
    generator: torch.Generator,
    scale: tuple[float, float] = (0.35, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    size: tuple[int, int] | None = None,
    boxes: Float[Tensor, "batch 4"] | None = None,
) -> Cropped:
    r"""Cut a box of random area, shape and place from each sample, and resize it (bilinear, without antialiasing).

    .. math:: h_n = H \sqrt{a_n / r_n},\; w_n = W \sqrt{a_n r_n}, \quad
        a_n \sim U(\text{scale}),\; \ln r_n \sim U(\ln \text{ratio})

    A box that would be higher or wider than the picture is as high or wide as it (the paper's code draws anew).

    Args:
        images: the batch.
        generator: draws area, ratio and place.
        scale: least and most of the picture's area, 0 < least <= most <= 1; the paper's least is 0.08.
        ratio: least and most width / height in units of the picture's own, 0 < least <= most.
        size: height and width of the result; None: those of the images.
        boxes: top, left, height, width in pixels, in place of drawing them.
    Returns:
        The resized boxes.
    Raises:
        SettingError: scale, ratio or size outside its range.
    Example:
        >>> row = torch.tensor([[[[10, 20, 30, 40]]]], dtype=torch.uint8)
        >>> right_half = torch.tensor([[0.0, 2.0, 1.0, 2.0]])
        >>> random_resized_crop(row, generator=torch.Generator(), boxes=right_half).flatten().tolist()
        [28, 32, 38, 40]

    Source: notes, Data Augmentation, 2; Szegedy et al. 2015, section 6.
    """
    refuse(_box_problems(scale, ratio, size))
    height, width = images.shape[2:]
    if boxes is None:
        area = draw_uniform(images, low=scale[0], high=scale[1], generator=generator)
        shape = draw_uniform(images, low=math.log(ratio[0]), high=math.log(ratio[1]), generator=generator).exp()
        high, wide = height * (area / shape).sqrt().clamp(max=1.0), width * (area * shape).sqrt().clamp(max=1.0)
        top = draw_uniform(images, low=0.0, high=1.0, generator=generator) * (height - high)
        left = draw_uniform(images, low=0.0, high=1.0, generator=generator) * (width - wide)
    else:
        top, left, high, wide = boxes.to(images.device).unbind(1)
    new_height, new_width = size or (height, width)
    # Centres of the result's pixels, as parts of the box.
    rows = (torch.arange(new_height, device=images.device) + 0.5) / new_height
    across = (torch.arange(new_width, device=images.device) + 0.5) / new_width
    y = (top[:, None] + high[:, None] * rows - 0.5)[:, :, None].expand(-1, -1, new_width)
    x = (left[:, None] + wide[:, None] * across - 0.5)[:, None, :].expand(-1, new_height, -1)
    return sample_at(images, y=y, x=x, edge="nearest")


def cut_windows(
    images: Images,
    *,
    top: Int64[Tensor, " batch"],
    left: Int64[Tensor, " batch"],
    size: tuple[int, int],
    edge: Edge,
) -> Cropped:
    """A window from each sample at a place of its own, whole pixels, with what `edge` says where it reaches beyond.

    Args:
        images: the batch.
        top: the window's first row, in pixels; below zero: above the picture.
        left: the window's first column, in pixels; below zero: left of the picture.
        size: height and width of the windows.
        edge: "reflect" or "zeros".
    Returns:
        The windows.
    """
    batch, channels, height, width = images.shape
    top, left = top.to(images.device), left.to(images.device)
    rows, rows_inside = _fold(top[:, None] + torch.arange(size[0], device=images.device), height, edge=edge)
    across, across_inside = _fold(left[:, None] + torch.arange(size[1], device=images.device), width, edge=edge)
    flat = rows[:, :, None] * width + across[:, None, :]
    inside = rows_inside[:, :, None] & across_inside[:, None, :]
    # Beyond the border of "zeros" lies one more pixel, which is black: cheaper than a mask over all channels.
    if images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous():
        pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
        flat = flat + torch.arange(batch, device=images.device)[:, None, None] * (height * width)
        if edge == "zeros":
            flat = torch.where(inside, flat, batch * height * width)
            pixels = torch.cat((pixels, pixels.new_zeros(1, channels)))
        return pixels.index_select(0, flat.reshape(-1)).view(batch, *size, channels).permute(0, 3, 1, 2)
    planes = images.reshape(batch, channels, height * width)
    if edge == "zeros":
        flat = torch.where(inside, flat, height * width)
        planes = torch.cat((planes, planes.new_zeros(batch, channels, 1)), dim=2)
    places = flat.reshape(batch, 1, size[0] * size[1]).expand(-1, channels, -1)
    return planes.gather(2, places).view(batch, channels, *size)


def _fold(
    places: Int64[Tensor, "batch pixels"], length: int, *, edge: Edge
) -> tuple[Int64[Tensor, "batch pixels"], Bool[Tensor, "batch pixels"]]:
    inside = (places >= 0) & (places < length)
    if edge == "zeros":
        return places.clamp(0, length - 1), inside
    # A mirror wave of period 2 (length - 1): 0 1 2 1 0 1 2 ... for three pixels; one pixel has no mirror image.
    period = max(2 * (length - 1), 1)
    folded = places % period
    return torch.minimum(folded, period - folded) if length > 1 else torch.zeros_like(places), inside


def _window_problems(padding: int, size: tuple[int, int] | None, edge: str, *, name: str = "padding") -> list[str]:
    problems = []
    if padding < 0:
        problems.append(f"`{name} >= 0` must hold, but got {padding}. Count pixels.")
    if size is not None and min(size) < 1:
        problems.append(f"`size >= (1, 1)` must hold, but got {size}. Give height and width in pixels.")
    if edge not in ("reflect", "zeros"):
        problems.append(f'`edge` must be "reflect" or "zeros", but got "{edge}". Choose one of them.')
    return problems


def _box_problems(scale: tuple[float, float], ratio: tuple[float, float], size: tuple[int, int] | None) -> list[str]:
    problems = []
    if not 0.0 < scale[0] <= scale[1] <= 1.0:
        problems.append(f"`0 < scale[0] <= scale[1] <= 1` must hold, but got {scale}. Give parts of the area.")
    if not 0.0 < ratio[0] <= ratio[1] < math.inf:
        problems.append(f"`0 < ratio[0] <= ratio[1]` must hold, but got {ratio}. Give width / height.")
    if size is not None and min(size) < 1:
        problems.append(f"`size >= (1, 1)` must hold, but got {size}. Give height and width in pixels.")
    return problems
