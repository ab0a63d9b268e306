"""Cutout, mixup, CutMix: whole batches on the device, each sample with its own draw.

Images keep their dtype (uint8 is rounded) and their memory format. Soft targets go to `torch.nn.CrossEntropyLoss` as
they are.
"""

import random
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from trainwell.core.errors import SettingError
from trainwell.regularization.label_smoothing import one_hot_targets


class Mixed(NamedTuple):
    """A batch and its soft targets."""

    images: Shaped[Tensor, "batch channels height width"]
    targets: Float[Tensor, "batch classes"]


def cutout(
    images: Shaped[Tensor, "batch channels height width"],
    *,
    size: int,
    fill: float = 0.0,
    generator: torch.Generator | None = None,
    centres: Int[Tensor, "batch 2"] | None = None,
) -> Shaped[Tensor, "batch channels height width"]:
    """Cutout: a square of each image is filled; it may hang over the border.

    Args:
        images: floating or uint8.
        size: side of the square, pixels, >= 0.
        fill: value in the hole, in the images' units (of normalized images 0 is the mean).
        generator: None takes the global one.
        centres: (row, column) of the squares' centres, instead of drawing them uniformly over the image.
    Returns:
        The same shape, dtype and memory format. Rows and columns from centre - size // 2, `size` of them, are filled.
    Raises:
        SettingError: size < 0.
    Example:
        >>> cutout(torch.ones(1, 1, 2, 4), size=2, centres=torch.tensor([[1, 1]]))
        tensor([[[[0., 0., 1., 1.],
                  [0., 0., 1., 1.]]]])

    Source: notes, Regularization (common pattern); DeVries and Taylor 2017.
    """
    if size < 0:
        raise SettingError(f"`size >= 0` must hold, but got {size}. Give the side of the hole in pixels.")
    at = _centres(images, generator) if centres is None else centres.to(images.device)
    sides = torch.full((len(images), 2), size, device=images.device)
    hole = _boxes(at, sides, height=images.shape[2], width=images.shape[3])
    # clone keeps the memory format, masked_fill does not.
    return images.clone().masked_fill_(hole, fill)


def mixup(
    images: Shaped[Tensor, "batch channels height width"],
    targets: Int[Tensor, " batch"] | Float[Tensor, "batch classes"],
    *,
    alpha: float,
    classes: int | None = None,
    generator: torch.Generator | None = None,
    mixing: Float[Tensor, " batch"] | None = None,
    indices: Int[Tensor, " batch"] | None = None,
) -> Mixed:
    r"""Mixup: each sample is blended with another one, and so are the targets.

    .. math::
        x' = \lambda x + (1 - \lambda) x_j, \quad t' = \lambda t + (1 - \lambda) t_j, \quad
        \lambda \sim \text{Beta}(\alpha, \alpha)

    The paper draws one lambda a batch; here each sample has its own.

    Args:
        images: floating or uint8.
        targets: class indices, or probabilities (or the targets of a regression).
        alpha: > 0; 0.2 to 1 is usual, larger mixes more.
        classes: needed with class indices.
        generator: None takes the global one. One on the processor saves a round trip to the device.
        mixing: lambda, instead of drawing it.
        indices: j, instead of drawing a permutation.
    Returns:
        Images of the same shape, dtype and memory format; soft targets.
    Raises:
        SettingError: alpha is outside its range, or classes is missing.
        TargetError: a class index is outside its range.
    Example:
        >>> images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
        >>> both = mixup(images, torch.tensor([0, 1]), alpha=1.0, classes=2,
        ...              mixing=torch.tensor([0.75, 1.0]), indices=torch.tensor([1, 0]))
        >>> both.images.flatten(), both.targets
        (tensor([0.2500, 1.0000]), tensor([[0.7500, 0.2500],
                [0.0000, 1.0000]]))

    Source: notes, Regularization (common pattern); Zhang et al. 2018.
    """
    share, partners, soft = _draws(images, targets, alpha, classes, generator, mixing, indices)
    wide = images if images.dtype in (torch.float32, torch.float64) else images.float()
    blended = torch.lerp(wide[partners], wide, share.to(wide.dtype).reshape(-1, 1, 1, 1))
    if not images.is_floating_point():
        blended = blended.round()
    return Mixed(
        _like(blended.to(images.dtype), images), torch.lerp(soft[partners], soft, share.to(soft.dtype)[:, None])
    )


def cutmix(
    images: Shaped[Tensor, "batch channels height width"],
    targets: Int[Tensor, " batch"] | Float[Tensor, "batch classes"],
    *,
    alpha: float,
    classes: int | None = None,
    generator: torch.Generator | None = None,
    mixing: Float[Tensor, " batch"] | None = None,
    indices: Int[Tensor, " batch"] | None = None,
    centres: Int[Tensor, "batch 2"] | None = None,
) -> Mixed:
    r"""CutMix: a box of each image is replaced by the same box of another one; targets are mixed by area.

    .. math:: x' = (1 - B) x + B x_j, \quad t' = (1 - a) t + a t_j, \quad a = \text{area}(B) / HW

    The box has sides H sqrt(1 - lambda) and W sqrt(1 - lambda), lambda ~ Beta(alpha, alpha), rounded down, around a
    uniform centre. What hangs over the border is lost, so targets go by the area that was really pasted. The paper
    draws one box a batch; here each sample has its own.

    Args:
        images: floating or uint8.
        targets: class indices, or probabilities (or the targets of a regression).
        alpha: > 0; 1 is usual.
        classes: needed with class indices.
        generator: None takes the global one. One on the processor saves a round trip to the device.
        mixing: lambda, instead of drawing it.
        indices: j, instead of drawing a permutation.
        centres: (row, column) of the boxes' centres, instead of drawing them.
    Returns:
        Images of the same shape, dtype and memory format; soft targets.
    Raises:
        SettingError: alpha is outside its range, or classes is missing.
        TargetError: a class index is outside its range.
    Example:
        >>> images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2).contiguous()
        >>> both = cutmix(images, torch.tensor([0, 1]), alpha=1.0, classes=2, mixing=torch.tensor([0.75, 1.0]),
        ...               indices=torch.tensor([1, 0]), centres=torch.zeros(2, 2, dtype=torch.long))
        >>> both.images[0, 0], both.targets[0]
        (tensor([[1., 0.],
                [0., 0.]]), tensor([0.7500, 0.2500]))

    Source: notes, Regularization (common pattern); Yun et al. 2019.
    """
    share, partners, soft = _draws(images, targets, alpha, classes, generator, mixing, indices)
    at = _centres(images, generator) if centres is None else centres.to(images.device)
    height, width = images.shape[2:]
    extent = torch.tensor([height, width], dtype=torch.float64, device="cpu")
    # The little more undoes the rounding of lambda to float32, which would cost a whole pixel.
    sides = (extent * (1 - share.cpu().double()).clamp(min=0).sqrt()[:, None] + 1e-6).floor().long().to(images.device)
    box = _boxes(at, sides, height=height, width=width)
    pasted = box.flatten(1).sum(dim=1).to(soft.dtype) / (height * width)
    mixed = torch.where(box, images[partners], images)
    return Mixed(_like(mixed, images), torch.lerp(soft, soft[partners], pasted[:, None]))


def draw_mixing(count: int, *, alpha: float, generator: torch.Generator | None = None) -> Float[Tensor, " batch"]:
    """Draws from Beta(alpha, alpha), on the processor.

    Args:
        count: how many.
        alpha: > 0.
        generator: None takes the global one.
    Returns:
        float32 in [0, 1].
    Raises:
        SettingError: alpha is outside its range.
    Example:
        >>> draw_mixing(3, alpha=1.0, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([3])
    """
    if not 0 < alpha < float("inf"):
        raise SettingError(f"`alpha > 0` must hold, but got {alpha}. 0.2 is usual for mixup, 1 for CutMix.")
    # torch's Beta takes no generator: one draw from it seeds Python's, which has no global state.
    device = "cpu" if generator is None else generator.device
    seed = int(torch.randint(2**62, (), generator=generator, device=device))
    source = random.Random(seed)
    return torch.tensor([source.betavariate(alpha, alpha) for _ in range(count)], dtype=torch.float32)


def _draws(
    images: Tensor,
    targets: Tensor,
    alpha: float,
    classes: int | None,
    generator: torch.Generator | None,
    mixing: Tensor | None,
    indices: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    if not targets.is_floating_point() and classes is None:
        raise SettingError(
            "Class indices can be mixed only where the number of `classes` is known, but got None. Give it, or "
            "one-hot targets."
        )
    soft = targets if targets.is_floating_point() else one_hot_targets(targets, classes=classes or 0)
    share = draw_mixing(len(images), alpha=alpha, generator=generator) if mixing is None else mixing
    partners = indices
    if partners is None:
        device = "cpu" if generator is None else generator.device
        partners = torch.randperm(len(images), generator=generator, device=device)
    return share.to(images.device), partners.to(images.device), soft.to(images.device)


def _centres(images: Tensor, generator: torch.Generator | None) -> Tensor:
    device = torch.device("cpu") if generator is None else generator.device
    draws = [torch.randint(side, (len(images),), generator=generator, device=device) for side in images.shape[2:]]
    return torch.stack(draws, dim=1).to(images.device)


def _boxes(centres: Tensor, sides: Tensor, *, height: int, width: int) -> Bool[Tensor, "batch 1 height width"]:
    first = centres - sides // 2
    rows = torch.arange(height, device=centres.device)
    columns = torch.arange(width, device=centres.device)
    inside_rows = (rows >= first[:, :1]) & (rows < (first + sides)[:, :1])
    inside_columns = (columns >= first[:, 1:]) & (columns < (first + sides)[:, 1:])
    return (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]


def _like(made: Tensor, images: Tensor) -> Tensor:
    # Indexing by a tensor gives up channels_last.
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return made.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
