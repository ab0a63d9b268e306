"""Pictures of samples: a montage of the training part, and single ones."""

import io

import numpy as np
from PIL import Image
from torch import Tensor

from trainwell.core.seeds import generator
from trainwell.data.dataset import Dataset

SIDE = 48
"""Smallest side of a picture in a montage, in pixels: small ones are enlarged by whole factors."""
COLUMNS = 12
ROWS = 6


def montage_png(dataset: Dataset, *, seed: int) -> bytes:
    """Some training pictures, as the network sees them before augmentation; the same number of each class where it can.

    Args:
        dataset: of images.
        seed: of the choice.
    Returns:
        A PNG.
    """
    import torch

    index = dataset.parts["train"]
    order = index[torch.randperm(len(index), generator=generator(seed, "montage"))]
    targets = dataset.targets[order]
    chosen: list[int] = []
    if dataset.record.task == "classification":
        # Class after class in turn, so that a rare class is seen too.
        queues = [order[targets == label].tolist() for label in range(dataset.record.output.size)]
        while any(queues) and len(chosen) < COLUMNS * ROWS:
            chosen += [queue.pop() for queue in queues if queue]
    else:
        chosen = order.tolist()
    chosen = chosen[: COLUMNS * ROWS]
    tiles = [enlarged(dataset.inputs[i]) for i in chosen]
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // COLUMNS)
    sheet = np.full((rows * (height + 2), COLUMNS * (width + 2), 3), 255, dtype=np.uint8)
    for position, tile in enumerate(tiles):
        top, left = divmod(position, COLUMNS)
        sheet[top * (height + 2) :, left * (width + 2) :][:height, :width] = tile
    return png(sheet)


def picture_png(image: Tensor) -> bytes:
    """One picture (height, width, channels), uint8, enlarged by a whole factor, as a PNG."""
    return png(enlarged(image))


def enlarged(image: Tensor) -> np.ndarray:
    """A picture in three channels whose larger side is at least `SIDE` pixels and, by skipping, at most twice that."""
    array = image.numpy()
    factor = max(-(-SIDE // max(array.shape[:2])), 1)
    stride = max(max(array.shape[:2]) // (2 * SIDE), 1)
    array = array[::stride, ::stride].repeat(factor, axis=0).repeat(factor, axis=1)
    return array.repeat(3, axis=2) if array.shape[2] == 1 else array


def png(array: np.ndarray) -> bytes:
    """An array (height, width, 3), uint8, as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
