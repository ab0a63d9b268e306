"""Pictures as short vectors that lie as far apart as the pictures do, or nearer; and whether two are nearly identical.

Two pictures are nearly identical if they differ by at most NEAR of the standard deviation of their pixels (saving as
JPEG of quality 75 costs 0.02 to 0.08), or by one level of 255. A sketch is a picture centred, in units of its contrast,
shrunk to SIDE x SIDE where it is larger, and projected on WIDTH drawn directions. Centring, shrinking and dividing by
the contrast bring pictures nearer, never further apart; a Gaussian projection keeps each distance up to a factor
sqrt(chi2_WIDTH / WIDTH), which is above SLACK once in 10^9 pairs (Johnson and Lindenstrauss 1984; Dasgupta and Gupta
2003). Sketches further apart than `radius` are therefore no near pair.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from trainwell.core.seeds import generator
from trainwell.data.storage import ArrayWriter

NEAR = 0.1
ONE_LEVEL = 1.0
WIDTH = 64
# The quantile of chi2_64 for 1 - 10^-9 is 156.6.
SLACK = 1.565
SIDE = 64
BLOCK_BYTES = 1 << 22
# Sums in float32 are not exact.
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sketches:
    """What is compared before pixels are.

    Attributes:
        values: (pictures, WIDTH or fewer).
        contrasts: standard deviation of each picture's pixels, in levels.
        means: in levels.
        radius: sketches of nearly identical pictures lie within it.
    """

    values: NDArray[np.float32]
    contrasts: NDArray[np.float32]
    means: NDArray[np.float32]
    radius: float

    def may_be_near(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether means and contrasts allow it: neither differs by more than the pixels do."""
        a, b = self.contrasts[left], self.contrasts[right]
        most = np.maximum(NEAR * np.minimum(a, b), ONE_LEVEL) * (1 + _ROUNDING)
        made: NDArray[np.bool_] = (np.abs(a - b) <= most) & (np.abs(self.means[left] - self.means[right]) <= most)
        return made


def rows_of_a_block(stored: NDArray[np.uint8]) -> int:
    """Pictures whose pixels as float32 take BLOCK_BYTES."""
    return max(1, BLOCK_BYTES // (4 * max(1, stored[:1].size)))


def _area(size: int, cells: int) -> NDArray[np.float32]:
    # Row i holds the share of each pixel in cell i.
    edges = np.linspace(0, size, cells + 1)
    pixels = np.arange(size)
    shares = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    made: NDArray[np.float32] = (np.clip(shares, 0, None) * cells / size).astype(np.float32)
    return made


def _shrunk(block: NDArray[np.float32]) -> NDArray[np.float32]:
    count, height, width, channels = block.shape
    if height > SIDE:
        block = (_area(height, SIDE) @ block.reshape(count, height, -1)).reshape(count, SIDE, width, channels)
    if width > SIDE:
        block = (block.transpose(0, 1, 3, 2) @ _area(width, SIDE).T).transpose(0, 1, 3, 2)
    return np.ascontiguousarray(block).reshape(count, -1)


def sketches_of(stored: NDArray[np.uint8], rows: NDArray[np.int64], *, scratch: Path) -> Sketches:
    """Sketches of some pictures.

    Args:
        stored: (samples, height, width, channels); may be a memory map.
        rows: which of them.
        scratch: a file that is written and mapped: memory stays flat however many there are. The caller removes it.
    """
    height, width, channels = stored.shape[1:]
    size = min(height, SIDE) * min(width, SIDE) * channels
    exact = size <= WIDTH
    if exact:
        directions = np.eye(size, dtype=np.float32)
    else:
        drawn = torch.randn(size, WIDTH, generator=generator(0, "sketches"), dtype=torch.float32)
        directions = (drawn / math.sqrt(WIDTH)).numpy()
    contrasts, means = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    step = rows_of_a_block(stored)
    with ArrayWriter(scratch, shape=directions.shape[1:], dtype=np.float32) as writer:
        for start in range(0, len(rows), step):
            piece = slice(start, start + step)
            block = stored[rows[piece]].astype(np.float32)
            contrasts[piece], means[piece] = block.std((1, 2, 3)), block.mean((1, 2, 3))
            small = _shrunk(block)
            small = small - means[piece, None]
            # In units of the picture's own contrast, but never finer than what one level may change.
            small /= np.maximum(contrasts[piece, None], ONE_LEVEL / NEAR) * math.sqrt(size)
            writer.append(small @ directions)
    values = np.load(scratch, mmap_mode="r", allow_pickle=False)
    radius = NEAR * (1.0 if exact else SLACK) * (1 + _ROUNDING)
    return Sketches(values=values, contrasts=contrasts, means=means, radius=radius)


def differ_little(
    stored: NDArray[np.uint8], contrasts: NDArray[np.float32], left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether pictures left[i] and right[i] are nearly identical.

    Args:
        stored: all pictures.
        contrasts: min of the two standard deviations, a pair.
        left: of each pair.
        right: of each pair.
    """
    made = np.zeros(len(left), bool)
    step = rows_of_a_block(stored)
    for start in range(0, len(left), step):
        piece = slice(start, start + step)
        apart = stored[left[piece]].astype(np.float32)
        apart -= stored[right[piece]]
        np.square(apart, out=apart)
        made[piece] = np.sqrt(apart.mean((1, 2, 3))) <= np.maximum(NEAR * contrasts[piece], ONE_LEVEL)
    return made
