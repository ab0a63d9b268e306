"""Mirror images: each sample by its own coin, or every other epoch."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from trainwell.augmentation.pixels import Images, draw_coins, like, refuse


@dataclass(frozen=True, kw_only=True)
class HorizontalFlip:
    """`horizontal_flip` with its settings.

    Args:
        probability: of a flip, in [0, 1].
    Raises:
        SettingError: probability outside [0, 1].
    """

    probability: float = 0.5
    invariance: ClassVar[str] = "a picture and its mirror image show the same thing"

    def __post_init__(self) -> None:
        refuse(_probability_problems(self.probability))

    def __call__(self, images: Images, *, generator: torch.Generator) -> Images:
        """The batch with each sample flipped or not."""
        return horizontal_flip(images, probability=self.probability, generator=generator)


@dataclass(frozen=True, kw_only=True)
class AlternatingFlip:
    """`alternating_flip` with its settings; it asks which samples these are and which epoch it is.

    Args:
        seed: of the samples' first sides.
    """

    seed: int = 0
    invariance: ClassVar[str] = "a picture and its mirror image show the same thing"

    def __call__(self, images: Images, *, indices: Int64[Tensor, " batch"], epoch: int) -> Images:
        """The batch with each sample on the side that is its turn in this epoch."""
        return alternating_flip(images, indices=indices, epoch=epoch, seed=self.seed)


def horizontal_flip(
    images: Images,
    *,
    generator: torch.Generator,
    probability: float = 0.5,
    flips: Bool[Tensor, " batch"] | None = None,
) -> Images:
    r"""Mirror each sample left to right with a probability.

    .. math:: y_{n,c,i,j} = x_{n,c,i,W-1-j} \text{ if } b_n \text{ else } x_{n,c,i,j}, \quad
        b_n \sim \text{Bernoulli}(p)

    Args:
        images: the batch.
        generator: draws b.
        probability: p, in [0, 1].
        flips: b, in place of drawing it.
    Returns:
        The batch, each sample mirrored or not.
    Raises:
        SettingError: probability outside [0, 1].
    Example:
        >>> row = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
        >>> horizontal_flip(row, generator=torch.Generator(), flips=torch.tensor([True])).flatten().tolist()
        [3, 2, 1]

    Source: notes, Data Augmentation, 1; Krizhevsky et al. 2012, section 4.1.
    """
    refuse(_probability_problems(probability))
    if flips is None:
        flips = draw_coins(images, probability=probability, generator=generator)
    return _mirrored(images, flips)


def alternating_flip(images: Images, *, indices: Int64[Tensor, " batch"], epoch: int, seed: int = 0) -> Images:
    r"""Mirror each sample every other epoch: two epochs in a row show both sides of it, which coins leave to luck.

    .. math:: b_n = (\text{epoch} + h(\text{index}_n, \text{seed})) \bmod 2, \quad h \text{ a hash to } \{0, 1\}

    Args:
        images: the batch.
        indices: which sample of the data each is, so that its side does not depend on the order.
        epoch: number of the epoch, >= 0.
        seed: of the hash.
    Returns:
        The batch, each sample mirrored or not.
    Raises:
        SettingError: epoch < 0.
    Example:
        >>> row = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
        >>> sides = [alternating_flip(row, indices=torch.tensor([7]), epoch=epoch) for epoch in (0, 1)]
        >>> sorted(side.flatten().tolist() for side in sides)
        [[1, 2, 3], [3, 2, 1]]

    Source: Jordan 2024 (airbench), section 3.6.
    """
    if epoch < 0:
        refuse([f"`epoch >= 0` must hold, but got {epoch}. Count epochs from zero."])
    flips = (_first_sides(indices, seed=seed) + epoch) % 2 == 1
    return _mirrored(images, flips)


def _mirrored(images: Images, flips: Bool[Tensor, " batch"]) -> Images:
    chosen = flips.to(images.device)[:, None, None, None]
    return like(torch.where(chosen, images.flip(3), images), images)


def _first_sides(indices: Int64[Tensor, " batch"], *, seed: int) -> Int64[Tensor, " batch"]:
    # A finalizer in the manner of MurmurHash3; masked to 32 bits, its products stay below 2**63.
    mixed = (indices + (seed * 0x9E3779B1 & 0xFFFFFFFF)) & 0xFFFFFFFF
    for multiplier in (0x21F0AAAD, 0x735A2D97):
        mixed = ((mixed ^ (mixed >> 16)) * multiplier) & 0xFFFFFFFF
    return (mixed >> 15) & 1


def _probability_problems(probability: float) -> list[str]:
    if 0.0 <= probability <= 1.0:
        return []
    return [f"`0 <= probability <= 1` must hold, but got {probability}. Give a probability such as 0.5."]
