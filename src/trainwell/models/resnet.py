"""A residual network: deeper than the small convnet, for larger images and longer budgets."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trainwell.models.convnet import (
    NORM_MOMENTUM,
    SMALLEST_MAP,
    output_layer,
    random_convolution,
    refuse_image_network,
    stage_widths,
)
from trainwell.models.image_input import ImageInput
from trainwell.regularization import StochasticDepth, depth_rates

# Standard deviation of the first logits, roughly: the loss starts within 0.01 of log(classes).
FIRST_OUTPUT_STD = 0.05


class ResNet(nn.Module):
    r"""Stages that halve the map, residual blocks in each, the mean over the map, a linear layer.

    .. math:: h \leftarrow f\big(h + \text{BN}_0(W_2 * f(\text{BN}(W_1 * h)))\big), \quad y = V \bar h + v

    BN_0 begins with scale 0: each block begins as its activation alone. Stage s has min(2^s, 4) x width channels.

    Args:
        input: makes the maps.
        width: channels of the first stage, >= 1.
        depth: residual blocks a stage, >= 1.
        outputs: classes or targets, >= 1.
        activation: makes one activation.
        gain: of the initial weights, for the activation, > 0.
        dropout: probability to drop one of the last features, in [0, 1).
        stochastic_depth: probability to drop the last block, in [0, 1); earlier ones are dropped less.
        generator: draws the initial weights.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> from trainwell.core.records.layout import InputLayout
        >>> layout = InputLayout(kind="image", height=32, width=32, channels=3)
        >>> generator = torch.Generator().manual_seed(0)
        >>> network = ResNet(ImageInput(layout), width=8, depth=1, outputs=10, generator=generator)
        >>> network(torch.zeros(5, 32, 32, 3, dtype=torch.uint8)).shape
        torch.Size([5, 10])

    Source: He et al. 2016; scale 0: Goyal et al. 2017, section 5.1; Huang et al. 2016 (stochastic depth).
    """

    def __init__(
        self,
        input: ImageInput,  # noqa: A002 - the floor plan's word for it
        *,
        width: int,
        depth: int,
        outputs: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gain: float = math.sqrt(2.0),
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        refuse_image_network(
            width=width, depth=depth, outputs=outputs, dropout=dropout, stochastic_depth=stochastic_depth
        )
        self.input = input
        widths = stage_widths(min(input.size), width=width)
        rates = iter(depth_rates(len(widths) * depth, last_p=stochastic_depth))
        maps, side = input.width, min(input.size)
        layers: list[nn.Module] = []
        for channels in widths:
            layers.append(random_convolution(maps, channels, std=gain / math.sqrt(9 * maps), generator=generator))
            if side // 2 >= SMALLEST_MAP:
                layers.append(nn.MaxPool2d(2))
                side //= 2
            layers += [nn.BatchNorm2d(channels, momentum=NORM_MOMENTUM), activation()]
            layers += [
                Block(channels, activation=activation, gain=gain, drop=next(rates), generator=generator)
                for _ in range(depth)
            ]
            maps = channels
        self.stages = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.output = output_layer(maps, outputs, std=FIRST_OUTPUT_STD / math.sqrt(maps), generator=generator)

    def forward(self, images: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch outputs"]:
        """Logits, or standardized predictions.

        Args:
            images: as `ImageInput` takes them.
        """
        features = self.stages(self.input(images)).mean(dim=(2, 3))
        outputs: Tensor = self.output(self.dropout(features))
        return outputs


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(
        self,
        channels: int,
        *,
        activation: Callable[[], nn.Module],
        gain: float,
        drop: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        std = gain / math.sqrt(9 * channels)
        last = nn.BatchNorm2d(channels, momentum=NORM_MOMENTUM)
        nn.init.zeros_(last.weight)
        self.branch = nn.Sequential(
            random_convolution(channels, channels, std=std, generator=generator),
            nn.BatchNorm2d(channels, momentum=NORM_MOMENTUM),
            activation(),
            random_convolution(channels, channels, std=std, generator=generator),
            last,
        )
        self.drop = StochasticDepth(drop) if drop > 0 else nn.Identity()
        self.activation = activation()

    def forward(
        self, maps: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The block's maps."""
        result: Tensor = self.activation(maps + self.drop(self.branch(maps)))
        return result
