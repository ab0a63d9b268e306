"""Images as they were decoded in, what a convolution learns well from out.

Everything that is fitted is a buffer or a parameter: it travels with the weights, and a model that is loaded needs no
second file for its preprocessing.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.errors import DataError, SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.preprocessing import Normalize, whitening_convolution

# Maps are at most this large where the first block begins; larger images are whitened in strides of 2, 4, 8, ...
LARGEST_MAP = 56
# Directions of a patch that are kept, strongest first; each is there twice, once negated.
MOST_DIRECTIONS = 32
# Of an image, about so many pixels a side tell its channels' mean and deviation: neighbours say the same.
FITTED_SIDE = 28
# Numbers in all patches together at most: those of 5,000 gray images of 28 x 28. The covariance has a few hundred
# entries to a few thousand.
WHITENED_NUMBERS = 5_000 * 28 * 28 * 9
# Images that patches are taken from at least, however large.
LEAST_WHITENED = 200
# Of the largest variance, added to all: the weakest directions are noise, and would be blown up.
WHITENING_EPSILON = 1e-3


class ImageInput(nn.Module):
    r"""Images (batch, height, width, channels) in uint8 to maps (batch, width, rows, columns) in float.

    .. math:: z_c = \frac{x_c / 255 - \mu_c}{\sigma_c}, \qquad y = [\,W z + b,\ -W z + b'\,]

    First each channel is normalized; then, with whitening, a frozen convolution makes the patches' principal
    directions equally strong. Its biases begin so that its outputs are centred, and are learnt.

    Args:
        layout: an image's.
        whitening: add the convolution; without it the maps are the normalized images.
    Raises:
        SettingError: the layout is no image's or has no pixels.
    Example:
        >>> images = torch.randint(0, 256, (64, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        >>> maps = ImageInput(InputLayout(kind="image", height=8, width=8, channels=1))
        >>> maps.fit(images)
        >>> maps(images).shape
        torch.Size([64, 18, 8, 8])

    Source: notes, Data Preprocessing; Jordan 2024, "94% on CIFAR-10 in 3.29 seconds" (frozen patch whitening).
    """

    mean: Tensor
    std: Tensor
    weight: Tensor

    def __init__(self, layout: InputLayout, *, whitening: bool = True) -> None:
        super().__init__()
        if layout.kind != "image" or min(layout.height, layout.width, layout.channels) < 1:
            raise SettingError(
                f"An image's layout must have at least one pixel, but got kind {layout.kind} and shape {layout.shape}. "
                "Take the layout that the images were read with."
            )
        self.layout = layout
        self.whitening = whitening
        self.stride = whitening_stride(layout) if whitening else 1
        self.register_buffer("mean", torch.zeros(layout.channels))
        self.register_buffer("std", torch.ones(layout.channels))
        # Patches overlap their neighbours by one pixel on each side.
        self.kernel = min(self.stride + 2, layout.height, layout.width)
        self.padding = (self.kernel - 1) // 2
        directions = min(self.kernel**2 * layout.channels, MOST_DIRECTIONS)
        if whitening:
            # A buffer: the optimizer, the decay and `initialize` are to leave it alone.
            self.register_buffer("weight", torch.zeros(2 * directions, layout.channels, self.kernel, self.kernel))
            self.bias = nn.Parameter(torch.zeros(2 * directions))

    @property
    def width(self) -> int:
        """Channels of the maps."""
        return self.bias.shape[0] if self.whitening else self.layout.channels

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the maps."""
        if not self.whitening:
            return self.layout.height, self.layout.width
        rows, columns = (
            (pixels + 2 * self.padding - self.kernel) // self.stride + 1
            for pixels in (self.layout.height, self.layout.width)
        )
        return rows, columns

    @torch.no_grad()
    def fit(self, images: UInt8[Tensor, "samples height width channels"]) -> None:
        """Take mean, standard deviation and patches' directions from the training images.

        Args:
            images: training images alone, as in `InputLayout`; possibly memory-mapped.
        Raises:
            DataError: no images, or of another shape than the layout's.
        """
        if images.shape[0] == 0 or tuple(images.shape[1:]) != self.layout.shape:
            raise DataError(
                f"Images must be (at least 1, {', '.join(map(str, self.layout.shape))}) as the layout says, but got "
                f"{tuple(images.shape)}. Give the training images in the layout's size."
            )
        down, right = (max(side // FITTED_SIDE, 1) for side in (self.layout.height, self.layout.width))
        statistics = Normalize(per="channel", channel_axis=-1).fit(images[:, ::down, ::right], split="train")
        self.mean.copy_(statistics.mean)
        self.std.copy_(statistics.std)
        if not self.whitening:
            return
        numbers = self.layout.height * self.layout.width * self.kernel**2 * self.layout.channels
        most = max(WHITENED_NUMBERS // numbers, LEAST_WHITENED)
        chosen = images[:: -(-images.shape[0] // most)].to(self.mean.device)
        found = whitening_convolution(
            self._normalized(chosen), kernel_size=self.kernel, split="train", epsilon=WHITENING_EPSILON
        )
        directions = self.width // 2
        weight, bias = found.weight[:directions], found.bias[:directions]
        self.weight.copy_(torch.cat([weight, -weight]))
        self.bias.copy_(torch.cat([bias, -bias]))

    def forward(
        self, images: UInt8[Tensor, "batch height width channels"] | Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch maps rows columns"]:
        """Maps of a batch, laid out channels last.

        Args:
            images: as decoded; or, from an augmentation, floating in [0, 1] with the channels second.
        """
        normalized = self._normalized(images)
        if not self.whitening:
            return normalized
        return functional.conv2d(normalized, self.weight, self.bias, stride=self.stride, padding=self.padding)

    def _normalized(self, images: Tensor) -> Tensor:
        # The maps lie channels last in memory, where convolutions are 1.4 times as fast. The weights need not, and must
        # not: torch's fused optimizers misread a state that was saved contiguously and is loaded beside them.
        # `contiguous` would not do: it leaves a single channel's strides, by which convolutions choose, as they are.
        if images.dtype == torch.uint8:
            unit = images.permute(0, 3, 1, 2).to(self.mean.dtype, memory_format=torch.channels_last).div_(255.0)
        else:
            unit = torch.empty_like(images, memory_format=torch.channels_last).copy_(images)
        shape = (1, -1, 1, 1)
        return (unit - self.mean.view(shape)).div_(self.std.view(shape))


def whitening_stride(layout: InputLayout) -> int:
    """The smallest power of two that brings the longer side to at most `LARGEST_MAP`.

    Args:
        layout: an image's.
    Returns:
        1, 2, 4, ...
    Example:
        >>> whitening_stride(InputLayout(kind="image", height=96, width=64, channels=3))
        2
    """
    stride = 1
    while -(-max(layout.height, layout.width) // stride) > LARGEST_MAP:
        stride *= 2
    return stride
