"""models/pretrained.py: pictures reach a pretrained network as it was trained to see them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.models.backbones import BACKBONES, Backbone, available_backbones, load_backbone
from trainwell.models.efficientnet_lite import EfficientNetLite
from trainwell.models.pretrained import (
    Pretrained,
    PretrainedInput,
    choose_precision,
    features_of,
    folded,
    pretrained_size,
    resizing,
)

ABOUT = BACKBONES["efficientnet_lite0"].sees
ours = pytest.mark.skipif("efficientnet_lite0" not in available_backbones(), reason="the extra `pretrained` is missing")


def layout(height: int, width: int, channels: int = 3) -> InputLayout:
    return InputLayout(kind="image", height=height, width=width, channels=channels)


def photograph() -> Tensor:
    """(427, 640, 3) in uint8."""
    from sklearn.datasets import load_sample_image

    return torch.tensor(load_sample_image("china.jpg"))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("before", "after"), [(427, 224), (28, 224), (8, 64), (224, 224), (225, 224), (1, 5), (5, 1)])
def test_a_matrix_resizes_as_torch_does(mode: str, before: int, after: int) -> None:
    picture = torch.rand(1, 3, before, 11, generator=torch.Generator().manual_seed(0))
    wanted = nn.functional.interpolate(picture, size=(after, 11), mode=mode, antialias=True, align_corners=False)
    matrix = resizing(before, after, mode=mode)
    assert torch.allclose(matrix @ picture, wanted, atol=1e-5)
    assert torch.allclose(matrix.sum(dim=1), torch.ones(after), atol=1e-5)


def test_pictures_look_as_pillow_makes_them() -> None:
    picture = photograph()
    made = PretrainedInput(layout(427, 640), ABOUT)(picture[None])
    small = Image.fromarray(picture.numpy()).resize((224, 149), Image.Resampling.BICUBIC)
    wanted = (torch.tensor(np.asarray(small)).permute(2, 0, 1).float() - 127.0) / 128.0
    assert made.shape == (1, 3, 149, 224)
    # Pillow rounds to whole pixel values after each direction.
    assert (made[0] - wanted).abs().mean() < 0.6 / 128
    assert (made[0] - wanted).abs().max() < 3.0 / 128
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_a_grey_picture_has_its_channel_three_times() -> None:
    grey = photograph()[:64, :48, :1]
    made = PretrainedInput(layout(64, 48, 1), ABOUT)(grey[None])
    coloured = PretrainedInput(layout(64, 48), ABOUT)(grey.expand(-1, -1, 3)[None].contiguous())
    assert torch.allclose(made.expand(-1, 3, -1, -1), coloured, atol=1e-5)
    assert made.shape == coloured.shape


def test_bicubic_overshoot_stays_in_the_range_of_pixels() -> None:
    step = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    step[:, :, 8:] = 255
    made = PretrainedInput(layout(16, 16), ABOUT)(step)
    assert made.min() == pytest.approx(-127 / 128)
    assert made.max() == pytest.approx(1.0)


def test_half_precision_leaves_the_pixels_alone() -> None:
    module = PretrainedInput(layout(40, 40), ABOUT)
    picture = photograph()[None, :40, :40]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(picture), module(picture.clone()))
        assert module(picture).dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "size"), [((60, 80), (168, 224)), ((8, 8), (224, 224)), ((1, 500), (1, 224)), ((300, 100), (224, 75))]
)
def test_the_longer_side_gets_the_size(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert pretrained_size(layout(*shape), 224) == size


@pytest.mark.parametrize("wrong", [InputLayout(kind="table", numbers=3), layout(0, 4), layout(4, 4, 2)])
def test_what_is_no_picture_is_refused(wrong: InputLayout) -> None:
    with pytest.raises(SettingError, match="pictures of 1 or 3 channels"):
        PretrainedInput(wrong, ABOUT)


@pytest.mark.parametrize(("before", "after", "mode"), [(0, 3, "bicubic"), (3, 0, "bicubic"), (3, 3, "nearest")])
def test_what_is_no_resizing_is_refused(before: int, after: int, mode: str) -> None:
    with pytest.raises(SettingError, match="A line of pixels"):
        resizing(before, after, mode=mode)


def untrained() -> Backbone:
    torch.manual_seed(0)
    network = EfficientNetLite("lite0").eval().requires_grad_(False)
    return Backbone(
        name="untrained", network=network, parts=network.parts, features=EfficientNetLite.features, sees=ABOUT
    )


def test_batch_norms_fold_into_convolutions_without_changing_the_function() -> None:
    network = EfficientNetLite("lite0").double()
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]  # torch's may be None; these are not
                norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
                norm.weight.uniform_(0.5, 1.5)
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    picture = torch.rand(2, 3, 50, 38, dtype=torch.float64)
    plain, parts = network(picture), nn.Sequential(*network.parts)
    quick = folded(parts)
    assert torch.allclose(quick(picture), plain, rtol=1e-9, atol=1e-12)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert torch.equal(network(picture), plain)


def test_a_cut_divides_the_network_without_changing_it() -> None:
    backbone = untrained()
    picture = photograph()[None, :70, :50]
    whole = features_of(Pretrained(layout(70, 50), backbone), picture)
    for above in (1, 3, 9):
        below = Pretrained(layout(70, 50), backbone, above=above)
        assert not any(parameter.requires_grad for parameter in below.parameters())
        with torch.no_grad():
            crossing = below(picture)
            for part in backbone.parts[9 - above :]:
                crossing = part(crossing)
        assert torch.allclose(crossing, whole, atol=1e-4)
    with pytest.raises(SettingError, match="no further parts"):
        Pretrained(layout(70, 50), backbone, above=10)


def test_features_do_not_depend_on_the_batch_or_on_the_layout_in_memory() -> None:
    backbone = untrained()
    model = Pretrained(layout(60, 80), backbone).eval()
    pictures = torch.stack([photograph()[top : top + 60, :80] for top in (0, 100, 200)])
    found = features_of(model, pictures)
    assert found.shape == (3, 1280)
    assert torch.allclose(found[1:2], features_of(model, pictures[1:2]), atol=1e-4)
    plain = backbone.network(model.input(pictures).contiguous())
    assert torch.allclose(found, plain, atol=1e-4)
    assert choose_precision(model, pictures) in ("float32", "bfloat16")


@ours
def test_half_precision_moves_features_little() -> None:
    model = Pretrained(layout(427, 427), load_backbone("efficientnet_lite0")).eval()
    pictures = torch.stack([photograph()[:, left : left + 427] for left in (0, 100, 213)])
    exact, half = features_of(model, pictures), features_of(model, pictures, precision="bfloat16")
    assert half.dtype == torch.float32
    assert nn.functional.cosine_similarity(exact, half).min() > 0.995


@ours
def test_a_picture_and_its_larger_self_have_nearly_the_same_features() -> None:
    picture = photograph()[:, 100:527]
    backbone = load_backbone("efficientnet_lite0")
    whole = features_of(Pretrained(layout(427, 427), backbone).eval(), picture[None])
    half = torch.tensor(np.asarray(Image.fromarray(picture.numpy()).resize((224, 224), Image.Resampling.BICUBIC)))
    small = features_of(Pretrained(layout(224, 224), backbone).eval(), half[None])
    other = features_of(Pretrained(layout(427, 427), backbone).eval(), picture.flip(0)[None])
    assert nn.functional.cosine_similarity(whole, small) > 0.99
    assert nn.functional.cosine_similarity(whole, small) > nn.functional.cosine_similarity(whole, other)
