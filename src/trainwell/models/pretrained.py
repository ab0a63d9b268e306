"""A pretrained network behind an input of its own: pictures as they were decoded in, features out.

The picture is brought to the size, the range and the channels that the network was trained on inside the module, so
that training, prediction and an exported graph cannot differ in it.
"""

from time import perf_counter

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.core.records.trial import Precision
from trainwell.models.backbones import Backbone, Weights

FASTER = 1.1
"""bfloat16 is taken where it is at least so many times as fast."""
TIMED = 8
"""Pictures that both precisions are timed on."""


class PretrainedInput(nn.Module):
    r"""Pictures (batch, height, width, channels) in uint8 to (batch, 3, rows, columns) as the pretraining saw them.

    .. math:: y = \frac{\text{clip}(R_h\, x\, R_w^\top,\ 0,\ 255) - \mu}{\sigma}

    :math:`R_h` and :math:`R_w` are the fixed matrices of a resizing with antialiasing. The longer side becomes the
    pretraining's size and the other keeps its share: a network that ends in a mean over the map takes any shape, and
    nothing is squeezed or cut off. Grey pictures have their channel three times.

    Args:
        layout: a picture's.
        about: what the weights want to see.
    Raises:
        SettingError: the layout is no picture's.
    Source: notes, Transfer Learning; Tan and Le 2019 (its size and interpolation).
    """

    rows: Tensor
    columns: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, layout: InputLayout, about: Weights) -> None:
        super().__init__()
        if layout.kind != "image" or min(layout.height, layout.width) < 1 or layout.channels not in (1, 3):
            raise SettingError(
                f"A pretrained network sees pictures of 1 or 3 channels, but got {layout.kind} of shape "
                f"{layout.shape}. Take the layout that the pictures were read with."
            )
        self.layout = layout
        height, width = pretrained_size(layout, about.size)
        self.register_buffer("rows", resizing(layout.height, height, mode=about.interpolation), persistent=False)
        self.register_buffer("columns", resizing(layout.width, width, mode=about.interpolation), persistent=False)
        self.register_buffer("mean", torch.tensor(about.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(about.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: UInt8[Tensor, "batch height width channels"]) -> Float[Tensor, "batch 3 rows columns"]:
        """Preprocessed pictures, laid out channels last."""
        pixels = pictures.permute(0, 3, 1, 2).to(self.mean.dtype)
        # Half precision would round pixels above 256 steps away: resizing stays in float32.
        with torch.autocast(pixels.device.type, enabled=False):
            sized = self.rows @ pixels @ self.columns.T
            found = (sized.clamp(0.0, 255.0) - self.mean) / self.std
        return found.contiguous(memory_format=torch.channels_last)


class Pretrained(nn.Module):
    """Input and backbone: pictures in uint8 to features.

    Args:
        layout: a picture's.
        backbone: with its weights.
    """

    def __init__(self, layout: InputLayout, backbone: Backbone) -> None:
        super().__init__()
        self.input = PretrainedInput(layout, backbone.about)
        # torch's `Module.to` takes a memory format, but its types do not say so.
        self.backbone: nn.Module = backbone.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: UInt8[Tensor, "batch height width channels"]) -> Float[Tensor, "batch features"]:
        """Features of pictures as they were decoded."""
        features: Tensor = self.backbone(self.input(pictures))
        return features


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
    batch = pictures[:TIMED]
    seconds: dict[Precision, float] = {}
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    for precision in precisions:
        times = []
        for _ in range(3):
            began = perf_counter()
            features_of(model, batch, precision=precision)
            times.append(perf_counter() - began)
        # The first pays for allocation and for choosing kernels.
        seconds[precision] = min(times[1:])
    return "bfloat16" if seconds["float32"] > FASTER * seconds["bfloat16"] else "float32"


def features_of(
    model: Pretrained, pictures: UInt8[Tensor, "batch height width channels"], *, precision: Precision = "float32"
) -> Float[Tensor, "batch features"]:
    """Features of a batch in float32, without gradients.

    Args:
        model: in test mode.
        pictures: as they were decoded.
        precision: of the network's pass.
    """
    device = next(model.parameters()).device
    with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        features: Tensor = model(pictures.to(device))
        return features.float()
