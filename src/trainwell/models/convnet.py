"""A small convolutional network: the most accuracy for little time, on images up to some 64 pixels."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from trainwell.core.errors import SettingError
from trainwell.models.image_input import ImageInput

# The outputs' factor: with it an ordinary first weight gives logits near 0, and the last layer learns at a rate that
# suits the others. Jordan 2024 takes 1/9.
OUTPUT_SCALE = 0.125
# A map is halved while at least this much of it is left.
SMALLEST_MAP = 2
MOST_STAGES = 4
# Widths grow with depth up to this many times the first.
WIDEST = 4
# Share of the newest batch in batch norm's running statistics: a short training's weights change too fast for 0.1.
NORM_MOMENTUM = 0.4


class ConvNet(nn.Module):
    r"""Stages of 3 x 3 convolutions, each of which halves the map; the largest answer anywhere; a linear layer.

    .. math:: h_{s} = f(\text{BN}(W_2 * f(\text{BN}(\text{pool}(W_1 * h_{s-1}))))), \quad
        y = \tfrac18 (V \max_{p} h_{S,p} + v)

    Stage s has min(2^s, 4) x width channels. Convolutions begin as the identity on the channels they are given.

    Args:
        input: makes the maps.
        width: channels of the first stage, >= 1.
        depth: convolutions a stage, >= 1.
        outputs: classes or targets, >= 1.
        activation: makes the activation after one convolution.
        dropout: probability to drop one of the last features, in [0, 1).
        generator: draws the initial weights.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> from trainwell.core.records.layout import InputLayout
        >>> layout = InputLayout(kind="image", height=28, width=28, channels=1)
        >>> generator = torch.Generator().manual_seed(0)
        >>> network = ConvNet(ImageInput(layout), width=8, depth=2, outputs=10, generator=generator)
        >>> network(torch.zeros(5, 28, 28, 1, dtype=torch.uint8)).shape
        torch.Size([5, 10])

    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds" (stages, identity, scale); Page 2018, "How to train your
    ResNet".
    """

    def __init__(
        self,
        input: ImageInput,  # noqa: A002 - the floor plan's word for it
        *,
        width: int,
        depth: int,
        outputs: int,
        activation: Callable[[], nn.Module] = nn.GELU,
        dropout: float = 0.0,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        refuse_image_network(width=width, depth=depth, outputs=outputs, dropout=dropout)
        self.input = input
        widths = stage_widths(min(input.size), width=width)
        maps, side = input.width, min(input.size)
        stages = []
        for channels in widths:
            halved = side // 2 >= SMALLEST_MAP
            stages.append(Stage(maps, channels, depth=depth, halved=halved, activation=activation, generator=generator))
            maps, side = channels, side // 2 if halved else side
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.output = output_layer(maps, outputs, std=1.0 / math.sqrt(3 * maps), generator=generator)

    def forward(self, images: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch outputs"]:
        """Logits, or standardized predictions.

        Args:
            images: as `ImageInput` takes them.
        """
        features = self.stages(self.input(images)).amax(dim=(2, 3))
        outputs: Tensor = self.output(self.dropout(features)) * OUTPUT_SCALE
        return outputs


class Stage(nn.Module):
    """Convolution, half the map, norm, activation; then further convolutions with norm and activation."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        *,
        depth: int,
        halved: bool,
        activation: Callable[[], nn.Module],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [identity_convolution(inputs, channels, generator=generator)]
        # Before norm and activation, which then work on a quarter of the pixels.
        layers += [nn.MaxPool2d(2)] if halved else []
        layers += [nn.BatchNorm2d(channels, momentum=NORM_MOMENTUM), activation()]
        for _ in range(depth - 1):
            layers.append(identity_convolution(channels, channels, generator=generator))
            layers += [nn.BatchNorm2d(channels, momentum=NORM_MOMENTUM), activation()]
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Float[Tensor, "batch inputs rows columns"]) -> Float[Tensor, "batch channels less fewer"]:
        """The stage's maps."""
        result: Tensor = self.layers(maps)
        return result


def stage_widths(side: int, *, width: int) -> tuple[int, ...]:
    """Channels of each stage.

    Args:
        side: the shorter side of the first stage's maps, pixels, >= 1.
        width: channels of the first stage, >= 1.
    Returns:
        2 to 4 stages, so that the last map is some 3 pixels wide.
    Example:
        >>> stage_widths(8, width=32), stage_widths(28, width=32), stage_widths(56, width=32)
        ((32, 64), (32, 64, 128), (32, 64, 128, 128))
    """
    halvings = int(math.log2(max(side, 1) / 3)) if side > 3 else 0
    stages = min(max(halvings, 2), MOST_STAGES)
    return tuple(width * min(2**stage, WIDEST) for stage in range(stages))


def identity_convolution(inputs: int, channels: int, *, generator: torch.Generator) -> nn.Conv2d:
    """A 3 x 3 convolution that begins by handing its inputs on.

    Output channel i < inputs is input channel i; the others' weights have standard deviation 1 / sqrt(27 inputs).

    Args:
        inputs: channels in, >= 1.
        channels: channels out, >= 1.
        generator: draws the others.
    Example:
        >>> convolution = identity_convolution(2, 3, generator=torch.Generator().manual_seed(0))
        >>> maps = torch.randn(1, 2, 5, 5)
        >>> torch.equal(convolution(maps)[:, :2], maps)
        True

    Source: Zagoruyko and Komodakis 2017, "DiracNets"; Jordan 2024.
    """
    convolution = random_convolution(inputs, channels, std=1.0 / math.sqrt(27 * inputs), generator=generator)
    with torch.no_grad():
        nn.init.dirac_(convolution.weight[: min(inputs, channels)])
    return convolution


def random_convolution(inputs: int, channels: int, *, std: float, generator: torch.Generator) -> nn.Conv2d:
    """A 3 x 3 convolution without bias, its weights normal with this standard deviation."""
    # On "meta" torch draws no first weights of its own: they would come from the global generator.
    convolution = nn.Conv2d(inputs, channels, kernel_size=3, padding=1, bias=False, device="meta").to_empty(
        device="cpu"
    )
    with torch.no_grad():
        convolution.weight.normal_(0.0, std, generator=generator)
    return convolution


def output_layer(inputs: int, outputs: int, *, std: float, generator: torch.Generator) -> nn.Linear:
    """The last layer, its weights normal with this standard deviation, its biases 0."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.normal_(0.0, std, generator=generator)
        layer.bias.zero_()
    return layer


def refuse_image_network(*, width: int, depth: int, outputs: int, **probabilities: float) -> None:
    """Raise one SettingError that names every argument outside its range."""
    counts = {"width": width, "depth": depth, "outputs": outputs}
    problems = [f"`{name} >= 1` must hold, but got {count}." for name, count in counts.items() if count < 1]
    problems += [
        f"`0 <= {name} < 1` must hold, but got {p}. It is the probability to drop."
        for name, p in probabilities.items()
        if not 0.0 <= p < 1.0
    ]
    if problems:
        raise SettingError(" ".join(problems))
