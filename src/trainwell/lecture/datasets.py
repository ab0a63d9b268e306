"""The small real data that pictures and claims are made from; scikit-learn carries them, so nothing is downloaded."""

from dataclasses import dataclass

import numpy as np
import sklearn.datasets
import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from trainwell.core.seeds import generator
from trainwell.preprocessing import Normalize

CLASSES = 10
"""Classes of digits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Data, and which samples are trained on.

    Attributes:
        inputs: all samples, as a network takes them.
        targets: class indices.
        train: the samples to train on.
        test: the samples to measure on.
    """

    inputs: Shaped[Tensor, "samples ..."]
    targets: Int64[Tensor, " samples"]
    train: Int64[Tensor, " train"]
    test: Int64[Tensor, " test"]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.targets.max()) + 1


def digit_images() -> tuple[UInt8[Tensor, "samples height width channels"], Int64[Tensor, " samples"]]:
    """All 1797 handwritten digits of 8 x 8 pixels, brightness 0 to 255, and what they show.

    Example:
        >>> images, labels = digit_images()
        >>> tuple(images.shape)
        (1797, 8, 8, 1)

    Source: Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits.
    """
    bunch = sklearn.datasets.load_digits()
    levels = np.round(bunch.images * (255.0 / 16.0)).astype(np.uint8)
    return torch.from_numpy(levels)[..., None], torch.from_numpy(bunch.target.astype(np.int64))


def digits(*, seed: int, train_size: int = 1000, normalize: bool = True) -> Split:
    """Digits as rows of 64 numbers, split at random.

    Args:
        seed: of the split.
        train_size: samples to train on, 1 to 1796; the others are to measure on.
        normalize: zero-centre and normalize each pixel, fitted on the training part; else brightness 0 to 16.
    Returns:
        The split.
    """
    bunch = sklearn.datasets.load_digits()
    return _split(bunch.data, bunch.target, seed=seed, train_size=train_size, normalize=normalize)


def wine(*, seed: int, train_size: int = 100, normalize: bool = True) -> Split:
    """178 wines by 13 measurements whose units differ: some lie below 1, one above 1000.

    Args:
        seed: of the split.
        train_size: samples to train on, 1 to 177.
        normalize: zero-centre and normalize each measurement, fitted on the training part.
    Returns:
        The split.
    """
    bunch = sklearn.datasets.load_wine()
    return _split(bunch.data, bunch.target, seed=seed, train_size=train_size, normalize=normalize)


def _split(data: np.ndarray, target: np.ndarray, *, seed: int, train_size: int, normalize: bool) -> Split:
    inputs, targets = torch.from_numpy(data.astype(np.float32)), torch.from_numpy(target.astype(np.int64))
    order = torch.randperm(len(inputs), generator=generator(seed, "split"))
    train, test = order[:train_size], order[train_size:]
    if normalize:
        inputs = Normalize().fit(inputs[train], split="train")(inputs)
    return Split(inputs=inputs, targets=targets, train=train, test=test)


def petals() -> tuple[Float[Tensor, "flowers 2"], Int64[Tensor, " flowers"]]:
    """Length and width of the petals of 150 irises in cm, and their species.

    Source: Fisher 1936; Anderson 1935.
    """
    bunch = sklearn.datasets.load_iris()
    return torch.from_numpy(bunch.data[:, 2:].astype(np.float32)), torch.from_numpy(bunch.target.astype(np.int64))


def photographs(*, side: int = 144) -> UInt8[Tensor, "photographs channels side side"]:
    """Two photographs, a Chinese palace and a flower, cut to squares.

    Args:
        side: pixels, 1 to 427.
    Returns:
        Brightness 0 to 255, red, green, blue.
    """
    found = []
    for image in sklearn.datasets.load_sample_images().images:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
        height, width = pixels.shape[1:]
        square = min(height, width)
        top, left = (height - square) // 2, (width - square) // 2
        cut = pixels[None, :, top : top + square, left : left + square]
        small = functional.interpolate(cut, size=(side, side), mode="bilinear", antialias=True)
        found.append(small.round().clamp(0, 255).to(torch.uint8))
    return torch.cat(found)
