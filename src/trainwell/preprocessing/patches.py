"""Whitening of small image patches, as the first layer of a convolutional network."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trainwell.core.errors import DataError, SettingError
from trainwell.preprocessing.moments import Batches, read, require_train
from trainwell.preprocessing.rotation import principal_axes, whitening_scale


@dataclass(frozen=True, eq=False)
class WhiteningConvolution:
    """Weights for `torch.nn.functional.conv2d`, strongest direction first."""

    weight: Float[Tensor, "filters channels kernel kernel"]
    bias: Float[Tensor, " filters"]
    variances: Float[Tensor, " directions"]


def whitening_convolution(
    images: Batches,
    *,
    kernel_size: int,
    split: str,
    epsilon: float = 1e-4,
    mirrored: bool = False,
    channel_axis: int = 1,
) -> WhiteningConvolution:
    r"""A convolution whose outputs on the training images are centred, uncorrelated and of variance 1.

    .. math:: w_i = v_i / \sqrt{\lambda_i + \epsilon \lambda_1}, \qquad b_i = -w_i^\top \mu

    v, lambda: eigenvectors and eigenvalues of the covariance of all kernel x kernel patches; mu: the mean patch.
    The weights are usually frozen and the bias trained. A few thousand images are enough: the covariance has few
    entries.

    Args:
        images: training images as the network will see them (normalized, if it sees them so); uint8 is read as
            fractions of 255.
        kernel_size: side of a patch, pixels, >= 1.
        split: where the images come from; anything but "train" is refused.
        epsilon: relative to the largest eigenvalue, >= 0.
        mirrored: append the negative of every filter, so that a rectifier that follows loses nothing.
        channel_axis: 1 for NCHW, -1 or 3 for NHWC.
    Returns:
        weight (filters, channels, kernel, kernel) with filters = channels x kernel x kernel (twice that if mirrored),
        bias and eigenvalues.
    Raises:
        SettingError: an argument is outside its range.
        DataError: images that are no images or smaller than a patch, NaN or Inf.
    Example:
        >>> images = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> whitening_convolution(images, kernel_size=2, split="train").weight.shape
        torch.Size([12, 3, 2, 2])

    Source: notes, Data Preprocessing (whitened data); as a first layer: Jordan 2024, "94% on CIFAR-10 in 3.29
        seconds"; Page 2018, "How to train your ResNet".
    """
    require_train(split)
    faults = []
    if kernel_size < 1:
        faults.append(f"`kernel_size >= 1` must hold, but got {kernel_size}. Give a small side, such as 2 or 3.")
    if not (math.isfinite(epsilon) and epsilon >= 0):
        faults.append(
            f"`epsilon >= 0` must hold, but got {epsilon}. Give a small fraction of the largest variance, such as 1e-4."
        )
    if channel_axis not in (1, -1, 3):
        faults.append(f"`channel_axis` must be 1 (NCHW) or -1 (NHWC), but got {channel_axis}. Choose one of the two.")
    if faults:
        raise SettingError(" ".join(faults))

    channels = 0

    def rows(samples: Tensor) -> Tensor:
        nonlocal channels
        if samples.ndim != 4:
            raise DataError(
                f"Images must have four axes, but got shape {tuple(samples.shape)}. Give a batch of them, with "
                "channels."
            )
        ordered = samples.movedim(channel_axis, 1)
        if min(ordered.shape[2:]) < kernel_size:
            raise DataError(
                f"Images must be at least as large as a patch, but got {tuple(ordered.shape[2:])} for "
                f"kernel_size={kernel_size}. "
                "Take a smaller kernel."
            )
        channels = ordered.shape[1]
        patches = ordered.unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
        return patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * kernel_size**2)

    reading = read(images, rows=rows, joint=True, same_shape=False, noun="patch entry", growth=kernel_size**2)
    axes = principal_axes(reading.moments.scatter / reading.moments.rows)
    flat = (axes.directions / whitening_scale(axes.variances, epsilon=epsilon)).T
    bias = -(flat @ reading.moments.mean)
    if mirrored:
        flat, bias = torch.cat([flat, -flat]), torch.cat([bias, -bias])
    return WhiteningConvolution(
        weight=flat.reshape(-1, channels, kernel_size, kernel_size).to(reading.precision),
        bias=bias.to(reading.precision),
        variances=axes.variances.to(reading.precision),
    )
