"""ImageInput: normalization and whitening of images."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional

from trainwell.core.errors import DataError, SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.models.image_input import LARGEST_MAP, MOST_DIRECTIONS, ImageInput, whitening_stride


def layout(height: int, width: int | None = None, channels: int = 1) -> InputLayout:
    return InputLayout(kind="image", height=height, width=width or height, channels=channels)


def pictures(count: int, height: int, width: int | None = None, channels: int = 1, *, seed: int = 0) -> Tensor:
    """Smooth pictures, whose neighbouring pixels are alike."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, -(-height // 2), -(-(width or height) // 2), generator=draw)
    smooth = functional.interpolate(coarse, size=(height, width or height), mode="bilinear")
    return (255 * smooth).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def test_channels_have_mean_0_and_deviation_1_on_the_training_images() -> None:
    images = pictures(40, 9, 7, 3)
    entry = ImageInput(layout(9, 7, 3), whitening=False)
    entry.fit(images)
    assert entry.width == 3
    assert entry.size == (9, 7)
    maps = entry(images)
    torch.testing.assert_close(maps.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    oracle = images.double().permute(0, 3, 1, 2) / 255
    oracle = (oracle - oracle.mean((0, 2, 3), keepdim=True)) / oracle.std((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(maps.double(), oracle, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_whitened_maps_are_centred_uncorrelated_and_equally_strong(side: int, channels: int) -> None:
    draw = torch.Generator().manual_seed(0)
    # Independent pixels: every direction is far stronger than what is added to all of them.
    images = torch.randint(0, 256, (400, side, side, channels), generator=draw, dtype=torch.uint8)
    entry = ImageInput(layout(side, channels=channels))
    entry.fit(images)
    inner = entry(images).detach()[:, : entry.width // 2, 1:-1, 1:-1]
    rows = inner.permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(rows.mean(dim=1), torch.zeros(len(rows)), atol=0.02, rtol=0)
    torch.testing.assert_close(torch.cov(rows), torch.eye(len(rows)), atol=0.05, rtol=0)


def test_large_images_are_fitted_on_some_pixels_as_on_all() -> None:
    images = pictures(600, 90, 60, 3)
    entry = ImageInput(layout(90, 60, 3))
    entry.fit(images)
    found = images.double().div(255).flatten(0, 2)
    torch.testing.assert_close(entry.mean.double(), found.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(entry.std.double(), found.std(0), atol=1e-3, rtol=0)
    inner = entry(images).detach()[:, : entry.width // 2, 1:-1, 1:-1]
    rows = inner.permute(1, 0, 2, 3).flatten(1)
    # The strongest directions, which smooth pictures have, whatever sample of them is taken.
    torch.testing.assert_close(rows.std(dim=1)[:3], torch.ones(3), atol=0.1, rtol=0)


def test_second_half_of_the_maps_is_the_first_negated() -> None:
    images = pictures(20, 12, channels=3)
    entry = ImageInput(layout(12, channels=3))
    entry.fit(images)
    first, second = entry(images).detach().chunk(2, dim=1)
    torch.testing.assert_close(first, -second)


@pytest.mark.parametrize("channels", [1, 3])
def test_floats_with_channels_second_give_the_same_as_bytes_with_channels_last(channels: int) -> None:
    images = pictures(6, 10, channels=channels)
    entry = ImageInput(layout(10, channels=channels))
    entry.fit(images)
    kept = images.clone()
    floats = images.permute(0, 3, 1, 2).float() / 255
    before = floats.clone()
    torch.testing.assert_close(entry(floats), entry(images))
    assert torch.equal(images, kept)
    assert torch.equal(floats, before)


def test_maps_of_colour_images_are_laid_out_channels_last() -> None:
    entry = ImageInput(layout(10, channels=3), whitening=False)
    assert entry(pictures(2, 10, channels=3)).is_contiguous(memory_format=torch.channels_last)


@given(height=st.integers(1, 130), width=st.integers(1, 130), channels=st.sampled_from([1, 3]), whitening=st.booleans())
@settings(deadline=None, max_examples=40)
def test_size_and_width_are_those_of_the_maps(height: int, width: int, channels: int, whitening: bool) -> None:
    entry = ImageInput(layout(height, width, channels), whitening=whitening)
    images = pictures(3, height, width, channels)
    entry.fit(images)
    maps = entry(images)
    assert tuple(maps.shape) == (3, entry.width, *entry.size)
    assert bool(maps.isfinite().all())
    assert not whitening or max(entry.size) <= LARGEST_MAP
    assert entry.width <= 2 * MOST_DIRECTIONS


@pytest.mark.parametrize(("side", "stride"), [(8, 1), (28, 1), (56, 1), (57, 2), (96, 2), (224, 4), (512, 16)])
def test_stride_is_the_smallest_power_of_2_that_suffices(side: int, stride: int) -> None:
    assert whitening_stride(layout(side)) == stride
    assert whitening_stride(layout(3, side)) == stride


def test_only_the_bias_is_learnt_and_everything_fitted_is_saved() -> None:
    images = pictures(10, 8)
    fitted = ImageInput(layout(8))
    fitted.fit(images)
    assert [name for name, _ in fitted.named_parameters()] == ["bias"]
    fresh = ImageInput(layout(8))
    assert not torch.equal(fresh(images), fitted(images))
    fresh.load_state_dict(load(save(fitted.state_dict())))
    assert torch.equal(fresh(images), fitted(images))


def test_constant_images_stay_finite() -> None:
    images = torch.full((5, 8, 8, 3), 7, dtype=torch.uint8)
    entry = ImageInput(layout(8, channels=3))
    entry.fit(images)
    assert bool(entry(images).isfinite().all())


@pytest.mark.parametrize(
    "given_layout", [InputLayout(kind="table", numbers=3), InputLayout(kind="image", height=0, width=3, channels=1)]
)
def test_refuses_a_layout_without_pixels(given_layout: InputLayout) -> None:
    with pytest.raises(SettingError, match=r"at least one pixel, but got kind .* Take the layout"):
        ImageInput(given_layout)


@pytest.mark.parametrize("shape", [(0, 8, 8, 1), (4, 8, 9, 1), (4, 8, 8, 3)])
def test_refuses_to_be_fitted_on_other_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"at least 1, 8, 8, 1\) as the layout says, but got"):
        ImageInput(layout(8)).fit(torch.zeros(shape, dtype=torch.uint8))
