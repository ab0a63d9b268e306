"""A pretrained network behind an input of its own: pictures as they were decoded in, features out.

The picture is brought to the size, the range and the channels that the network was trained on inside the module, so
that training, prediction and an exported graph cannot differ in it.
"""

import copy
from collections.abc import Iterator

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.core.records.trial import Precision
from trainwell.models.backbones import Backbone, Sees
from trainwell.models.precision import faster_precision, knows_bfloat16

BATCH_CPU, BATCH_GPU = 8, 64
"""Pictures at once. The first maps of 64 are 150 MB, which a CPU writes to memory that must be mapped anew each time:
a picture of EfficientNet-Lite0 takes 45 ms among 64, 30 among 32, 16 among 4."""


class PretrainedInput(nn.Module):
    r"""Pictures (batch, height, width, channels) in uint8 to (batch, 3, rows, columns) as the pretraining saw them.

    .. math:: y = \frac{\text{clip}(R_h\, x\, R_w^\top,\ 0,\ 255) - \mu}{\sigma}

    :math:`R_h` and :math:`R_w` are the fixed matrices of a resizing with antialiasing. The longer side becomes the
    pretraining's size and the other keeps its share: a network that ends in a mean over the map takes any shape, and
    nothing is squeezed or cut off. Grey pictures have their channel three times.

    Args:
        layout: a picture's.
        sees: what the weights were trained on.
    Raises:
        SettingError: the layout is no picture's.
    Source: notes, Transfer Learning; Tan and Le 2019 (its size and interpolation).
    """

    rows: Tensor
    columns: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, layout: InputLayout, sees: Sees) -> None:
        super().__init__()
        if layout.kind != "image" or min(layout.height, layout.width) < 1 or layout.channels not in (1, 3):
            raise SettingError(
                f"A pretrained network sees pictures of 1 or 3 channels, but got {layout.kind} of shape "
                f"{layout.shape}. Take the layout that the pictures were read with."
            )
        self.layout = layout
        height, width = pretrained_size(layout, sees.size)
        self.resizes = (height, width) != (layout.height, layout.width)
        self.register_buffer("rows", resizing(layout.height, height, mode=sees.interpolation), persistent=False)
        self.register_buffer("columns", resizing(layout.width, width, mode=sees.interpolation), persistent=False)
        self.register_buffer("mean", torch.tensor(sees.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(sees.std).view(1, 3, 1, 1), persistent=False)
        above, left = ((sees.size - height) // 2, (sees.size - width) // 2) if sees.square else (0, 0)
        self.bars = (left, sees.size - width - left, above, sees.size - height - above) if sees.square else (0, 0, 0, 0)

    def forward(self, pictures: UInt8[Tensor, "batch height width channels"]) -> Float[Tensor, "batch 3 rows columns"]:
        """Preprocessed pictures, laid out channels last."""
        pixels = pictures.permute(0, 3, 1, 2).to(self.mean.dtype)
        # Half precision would round pixels above 256 steps away: resizing stays in float32.
        with torch.autocast(pixels.device.type, enabled=False):
            if self.resizes:
                pixels = (self.rows @ pixels @ self.columns.T).clamp(0.0, 255.0)
            found = functional.pad((pixels - self.mean) / self.std, self.bars)
        return found.contiguous(memory_format=torch.channels_last)


class Pretrained(nn.Module):
    """A pretrained network from pictures in uint8 up to a cut, frozen and in test mode whatever is asked of it.

    Args:
        layout: a picture's.
        backbone: with its weights.
        above: parts of the backbone that lie above the cut, from 0 (the whole network: features come out).
    Raises:
        SettingError: a cut that the backbone has not.
    """

    def __init__(self, layout: InputLayout, backbone: Backbone, *, above: int = 0) -> None:
        super().__init__()
        if not 0 <= above <= len(backbone.parts):
            raise SettingError(
                f"`0 <= above <= {len(backbone.parts)}` must hold for {backbone.name}, but got {above}. It has no "
                "further parts."
            )
        self.input = PretrainedInput(layout, backbone.sees)
        parts = folded(nn.Sequential(*backbone.parts[: len(backbone.parts) - above])).requires_grad_(False)
        # torch's `Module.to` takes a memory format, but its types do not say so.
        self.parts: nn.Module = parts.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval()

    def train(self, mode: bool = True) -> "Pretrained":  # noqa: ARG002 - torch's signature
        """Stay in test mode: the statistics of the pretraining are worth more than those of a few new batches."""
        return super().train(False)

    def forward(self, pictures: UInt8[Tensor, "batch height width channels"]) -> Float[Tensor, "batch *features"]:
        """Features, or maps, of pictures as they were decoded."""
        found: Tensor = self.parts(self.input(pictures))
        return found


def folded(network: nn.Sequential) -> nn.Sequential:
    r"""A copy in test mode whose batch norms are part of the convolutions before them: the same function, sooner.

    .. math:: \frac{\gamma}{\sqrt{v + \epsilon}} (W x - m) + \beta = W' x + b'

    A pass of EfficientNet-Lite0 on a CPU takes 0.6 times as long: maps are read and written less often. What follows a
    convolution in another way than within a Sequential stays as it is.

    Args:
        network: in test mode.
    Source: Jacob et al. 2018, section 3.2 (batch normalization folding).
    """
    found = copy.deepcopy(network).eval()
    for sequence in [module for module in found.modules() if isinstance(module, nn.Sequential)]:
        layers: list[nn.Module] = []
        for layer in sequence:
            if isinstance(layer, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.Conv2d):
                layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
                continue
            if isinstance(layer, nn.ReLU | nn.ReLU6):
                # What it is given is the convolution's own: nothing else reads it.
                layer.inplace = bool(layers) and isinstance(layers[-1], nn.Conv2d)
            layers.append(layer)
        if len(layers) < len(sequence):
            sequence._modules.clear()
            sequence.extend(layers)
    return found


def pretrained_size(layout: InputLayout, size: int) -> tuple[int, int]:
    """Height and width at which pictures of a layout are shown.

    Args:
        layout: a picture's.
        size: of the pretraining's square pictures, pixels.
    Returns:
        The longer side has the size, the other its share of it.
    Example:
        >>> pretrained_size(InputLayout(kind="image", height=60, width=80, channels=3), 224)
        (168, 224)
    """
    scale = size / max(layout.height, layout.width)
    return max(round(layout.height * scale), 1), max(round(layout.width * scale), 1)


def resizing(before: int, after: int, *, mode: str = "bicubic") -> Float[Tensor, "after before"]:
    """The matrix that resizes a line of pixels, antialiased.

    Args:
        before: pixels of the line, >= 1.
        after: pixels wanted, >= 1.
        mode: bilinear or bicubic.
    Returns:
        Its rows sum to 1.
    Raises:
        SettingError: another mode, or a length below 1.
    Example:
        >>> resizing(4, 2, mode="bilinear").tolist()[0]
        [0.5, 0.375, 0.125, 0.0]
    """
    if mode not in ("bilinear", "bicubic") or min(before, after) < 1:
        raise SettingError(
            f'A line of pixels is resized by "bilinear" or "bicubic" between lengths >= 1, but got "{mode}", {before} '
            f"and {after}. Use bicubic."
        )
    if before == after:
        return torch.eye(before)
    # A resizing is linear, so what it makes of each single pixel is all there is to know.
    lines = torch.eye(before)[None, None]
    return functional.interpolate(lines, size=(after, before), mode=mode, antialias=True, align_corners=False)[0, 0]


def choose_precision(model: Pretrained, pictures: UInt8[Tensor, "samples height width channels"]) -> Precision:
    """bfloat16 where features come faster with it on this machine, by measurement; else float32.

    Args:
        model: in test mode.
        pictures: some of those it is to see, at least one.
    """
    if not knows_bfloat16(model.input.rows.device):
        return "float32"
    batch = pictures[: batch_size_for(model.input.rows.device)]

    def passes(precision: Precision) -> Iterator[None]:
        while True:
            features_of(model, batch, precision=precision)
            yield

    return faster_precision(passes)


def batch_size_for(device: str | torch.device) -> int:
    """Pictures at once on a device."""
    return BATCH_CPU if torch.device(device).type == "cpu" else BATCH_GPU


def features_of(
    model: Pretrained, pictures: UInt8[Tensor, "batch height width channels"], *, precision: Precision = "float32"
) -> Float[Tensor, "batch features"]:
    """Features of a batch in float32, without gradients; maps as one row of numbers a picture.

    Args:
        model: in test mode.
        pictures: as they were decoded.
        precision: of the network's pass.
    """
    device = model.input.rows.device
    with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        features: Tensor = model(pictures.to(device))
        return features.float().flatten(1)
