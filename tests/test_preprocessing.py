"""Preprocessing: oracles in float64, one pass whatever the batches, inversion, and the refusals."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import conv2d

from trainwell.core.errors import DataError, ModelError, SettingError
from trainwell.preprocessing import (
    PREPROCESSORS,
    Decorrelate,
    Normalize,
    Whiten,
    ZeroCentre,
    moments,
    whitening_convolution,
)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def table(rows: int = 200, features: int = 6, seed: int = 0) -> Tensor:
    """Correlated columns of very different scales."""
    mixing = draw(features, features, seed=seed + 1)
    return draw(rows, features, seed=seed) @ mixing * torch.logspace(-2, 2, features, dtype=torch.float64) + 5.0


def covariance(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(dim=0)
    return centred.T @ centred / len(rows)


def identity(size: int) -> Tensor:
    return torch.eye(size, dtype=torch.float64)


# Oracles.


def test_normalize_is_standard_scaler() -> None:
    data = table()
    expected = StandardScaler().fit_transform(data.numpy())
    np.testing.assert_allclose(Normalize().fit(data, split="train")(data).numpy(), expected, rtol=1e-9, atol=1e-12)


def test_zero_centre_subtracts_the_mean_only() -> None:
    data = table()
    torch.testing.assert_close(ZeroCentre().fit(data, split="train")(data), data - data.mean(dim=0))


def test_decorrelate_is_pca_up_to_signs() -> None:
    data = table()
    oracle = PCA().fit(data.numpy())
    fitted = Decorrelate().fit(data, split="train")
    expected = torch.from_numpy(oracle.transform(data.numpy()))
    signs = torch.sign((fitted(data) * expected).sum(dim=0))
    torch.testing.assert_close(fitted(data), expected * signs, rtol=1e-7, atol=1e-8)
    unbiased = fitted.variances * len(data) / (len(data) - 1)
    np.testing.assert_allclose(unbiased.numpy(), oracle.explained_variance_, rtol=1e-7)


def test_whiten_is_pca_whitening_up_to_signs_and_bessel() -> None:
    data = table()
    expected = torch.from_numpy(PCA(whiten=True).fit_transform(data.numpy()))
    got = Whiten(epsilon=0.0).fit(data, split="train")(data)
    signs = torch.sign((got * expected).sum(dim=0))
    torch.testing.assert_close(got, expected * signs * (len(data) / (len(data) - 1)) ** 0.5, rtol=1e-6, atol=1e-7)


def test_components_keep_the_largest_variances() -> None:
    data = table()
    some, every = Decorrelate(components=2).fit(data, split="train"), Decorrelate().fit(data, split="train")
    torch.testing.assert_close(some(data), every(data)[:, :2])
    assert bool((every.variances.diff() <= 0).all())


@pytest.mark.parametrize("form", ["pca", "zca"])
def test_whitened_covariance_is_the_identity(form: str) -> None:
    data = table()
    whitened = Whiten(form=form, epsilon=0.0).fit(data, split="train")(data)  # type: ignore[arg-type]  # parametrized
    torch.testing.assert_close(covariance(whitened), identity(6), rtol=0, atol=1e-6)


def test_zca_stays_nearest_to_the_centred_data() -> None:
    """Of all whitenings ZCA's outputs have a symmetric cross-covariance with the inputs."""
    data = table(features=4)
    whitened = Whiten(form="zca", epsilon=0.0).fit(data, split="train")(data)
    cross = (data - data.mean(dim=0)).T @ whitened / len(data)
    torch.testing.assert_close(cross, cross.T, rtol=1e-6, atol=1e-6)


def test_epsilon_is_relative_to_the_largest_eigenvalue() -> None:
    data = table()
    for scale in (1.0, 1000.0):
        fitted = Whiten(epsilon=0.1).fit(data * scale, split="train")
        variances = fitted.variances
        expected = variances / (variances + 0.1 * variances[0])
        torch.testing.assert_close(covariance(fitted(data * scale)).diagonal(), expected, rtol=1e-6, atol=1e-9)


# Layouts.


def test_per_channel_agrees_between_nhwc_bytes_and_nchw_floats() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (20, 5, 4, 3), generator=generator, dtype=torch.uint8)
    floats = pixels.permute(0, 3, 1, 2).float() / 255
    from_bytes = Normalize(per="channel", channel_axis=-1).fit(pixels, split="train")
    from_floats = Normalize(per="channel", channel_axis=1).fit(floats, split="train")
    torch.testing.assert_close(from_bytes.mean, from_floats.mean)
    torch.testing.assert_close(from_bytes.std, floats.std(dim=(0, 2, 3), correction=0))
    torch.testing.assert_close(from_bytes(floats, channel_axis=1), from_floats(floats))
    torch.testing.assert_close(from_bytes(pixels).permute(0, 3, 1, 2), from_floats(floats))
    assert from_bytes(pixels).dtype == torch.float32


def test_images_of_mixed_sizes_share_their_channels() -> None:
    small, large = draw(3, 2, 4, 4), draw(2, 2, 7, 5, seed=1)
    fitted = Normalize(per="channel", channel_axis=1).fit([small, large], split="train")
    every = torch.cat([batch.movedim(1, -1).reshape(-1, 2) for batch in (small, large)])
    torch.testing.assert_close(fitted.mean, every.mean(dim=0))
    assert int(fitted.count) == 5


def test_mean_image_moves_with_the_layout() -> None:
    images = draw(9, 2, 3, 4)
    fitted = ZeroCentre(per="pixel", channel_axis=1).fit(images, split="train")
    torch.testing.assert_close(fitted.mean, images.mean(dim=0))
    other = images.permute(0, 2, 3, 1)
    torch.testing.assert_close(fitted(other, channel_axis=-1), fitted(images).permute(0, 2, 3, 1))
    torch.testing.assert_close(fitted.invert(fitted(other, channel_axis=3), channel_axis=3), other)


def test_channels_last_and_dtype_are_kept() -> None:
    images = draw(4, 3, 6, 5, dtype=torch.float32).to(memory_format=torch.channels_last)
    fitted = Normalize(per="channel", channel_axis=1).fit(images, split="train")
    assert fitted(images).is_contiguous(memory_format=torch.channels_last)
    assert fitted(images.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(fitted(images.bfloat16()).float(), fitted(images), rtol=0.02, atol=0.02)


def test_whitening_is_exact_under_autocast() -> None:
    data = table().float()
    fitted = Whiten().fit(data, split="train")
    expected = fitted(data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (data @ fitted.matrix).dtype == torch.bfloat16, "autocast would have rounded"
        torch.testing.assert_close(fitted(data), expected, rtol=0, atol=0)


def test_zca_images_stay_images() -> None:
    images = draw(80, 2, 3, 3)
    fitted = Whiten(form="zca", epsilon=0.0).fit(images, split="train")
    assert fitted(images).shape == images.shape
    torch.testing.assert_close(fitted.invert(fitted(images)), images)


# One pass.


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, 60), max_size=6), name=st.sampled_from(sorted(PREPROCESSORS)), lazy=st.booleans())
def test_streaming_equals_one_pass_whatever_the_boundaries(cuts: list[int], name: str, lazy: bool) -> None:
    data = table(60, 4) + 1e4
    edges = [0, *sorted(cuts), 60]
    batches = [data[low:high] for low, high in pairwise(edges)]
    whole = PREPROCESSORS[name]().fit(data, split="train").state_dict()
    pieces = PREPROCESSORS[name]().fit(iter(batches) if lazy else batches, split="train").state_dict()
    assert int(pieces["count"]) == 60
    for key, value in whole.items():
        # Directions of a tiny variance hang on the last digits of the covariance.
        torch.testing.assert_close(pieces[key], value, rtol=1e-5, atol=1e-6 * float(value.abs().max()))


def test_large_batches_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = table()
    whole = Normalize().fit(data, split="train")
    seen: list[int] = []

    def counting(rows: Tensor, *, joint: bool) -> moments.Moments:
        seen.append(len(rows))
        return original(rows, joint=joint)

    original = moments.moments
    monkeypatch.setattr(moments, "CHUNK_ELEMENTS", 6 * 32)
    monkeypatch.setattr(moments, "moments", counting)
    torch.testing.assert_close(Normalize().fit(data, split="train").std, whole.std, rtol=1e-12, atol=0)
    assert seen == [32] * 6 + [8]


def test_large_means_do_not_cancel() -> None:
    data = draw(100_000, 1) + 1e8
    fitted = Normalize().fit(torch.split(data, 977), split="train")
    exact = float((data - 1e8).std(correction=0))
    assert float(fitted.std) == pytest.approx(exact, rel=1e-6)
    naive = float(data.square().mean() - data.mean().square())
    assert abs(naive - exact**2) > 0.1, "the data would not have shown the fault"
    assert float(fitted(data).std()) == pytest.approx(1.0, rel=1e-4)


# Inverting.


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(sorted(PREPROCESSORS)),
    rows=st.integers(1, 30),
    features=st.integers(1, 6),
    scale=st.floats(1e-3, 1e3),
    offset=st.floats(-1e3, 1e3),
    seed=st.integers(0, 1000),
)
def test_every_preprocessing_inverts(
    name: str, rows: int, features: int, scale: float, offset: float, seed: int
) -> None:
    data = draw(rows, features, seed=seed) * scale + offset
    others = draw(5, features, seed=seed + 1) * scale + offset
    fitted = PREPROCESSORS[name]().fit(data, split="train")
    for inputs in (data, others):
        outputs = fitted(inputs)
        assert bool(torch.isfinite(outputs).all())
        torch.testing.assert_close(fitted.invert(outputs), inputs, rtol=1e-8, atol=1e-7 * (scale + abs(offset)))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["feature", "channel", "pixel"]), st.integers(2, 40), st.integers(0, 1000))
def test_normalized_data_have_mean_0_and_std_1(per: str, rows: int, seed: int) -> None:
    axis = 1 if per == "channel" else None
    shape = (rows, 4) if per == "feature" else (rows, 4, 3, 2)
    data = draw(*shape, seed=seed) * 7 - 30
    outputs = Normalize(per=per, channel_axis=axis).fit(data, split="train")(data)  # type: ignore[arg-type]  # drawn
    kept = outputs.movedim(1, -1).reshape(-1, 4) if per == "channel" else outputs.flatten(1)
    torch.testing.assert_close(kept.mean(dim=0), torch.zeros(kept.shape[1], dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(kept.std(dim=0, correction=0), torch.ones(kept.shape[1], dtype=torch.float64))


# Data without spread.


@pytest.mark.parametrize("value", [0.0, 0.1, -1e8, 1e-30])
def test_a_constant_feature_becomes_zero(value: float) -> None:
    data = torch.cat([torch.full((1000, 1), value, dtype=torch.float64), draw(1000, 1)], dim=1)
    fitted = Normalize().fit(torch.split(data, 37), split="train")
    assert float(fitted.std[0]) == 1.0
    torch.testing.assert_close(fitted(data)[:, 0], torch.zeros(1000, dtype=torch.float64), rtol=0, atol=1e-6)
    moved = fitted(data + torch.tensor([2.0, 0.0], dtype=torch.float64))
    assert float(moved[0, 0]) == pytest.approx(2.0, rel=1e-6)


def test_constant_directions_are_not_blown_up() -> None:
    column = draw(50, 1)
    data = torch.cat([column, 2 * column, torch.ones(50, 1, dtype=torch.float64)], dim=1)
    outputs = Whiten(epsilon=0.0).fit(data, split="train")(data)
    torch.testing.assert_close(outputs.var(dim=0, correction=0), torch.tensor([1.0, 0, 0]).double(), rtol=0, atol=1e-9)
    alike = Whiten().fit(torch.ones(4, 2), split="train")
    torch.testing.assert_close(alike(torch.ones(4, 2)), torch.zeros(4, 2))


# Kept with the model.


@pytest.mark.parametrize("name", sorted(PREPROCESSORS))
def test_fitted_modules_travel_with_the_model(name: str, tmp_path: Path) -> None:
    data = table().float()
    fitted = PREPROCESSORS[name]().fit(data, split="train")
    model = nn.Sequential(fitted, nn.Linear(6, 2))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    loaded = load_file(tmp_path / "model.safetensors")
    own = {key.removeprefix("0."): value for key, value in loaded.items() if key.startswith("0.")}
    again = nn.Sequential(PREPROCESSORS[name]().restore(own), nn.Linear(6, 2))
    again.load_state_dict(loaded)
    torch.testing.assert_close(again(data), model(data), rtol=0, atol=0)
    assert not list(fitted.parameters()), "statistics must not be trained"
    assert "fitted on 200" in repr(again)
    with pytest.raises(ModelError, match="without its prefix in the model"):
        PREPROCESSORS[name]().restore(loaded)


# Refusals.


@pytest.mark.parametrize("name", sorted(PREPROCESSORS))
@pytest.mark.parametrize("split", ["val", "test", "all", ""])
def test_only_the_training_split_is_fitted(name: str, split: str) -> None:
    with pytest.raises(SettingError, match=f'fitted on split="train" alone, but got split="{split}"'):
        PREPROCESSORS[name]().fit(table(), split=split)


def test_refusal_comes_before_any_sample_is_read() -> None:
    def batches() -> Iterator[Tensor]:
        read.append(True)
        yield smooth_images()

    read: list[bool] = []

    with pytest.raises(SettingError, match="alone"):
        whitening_convolution(batches(), kernel_size=2, split="val")
    assert not read


@pytest.mark.parametrize("name", sorted(PREPROCESSORS))
def test_a_fitted_object_is_not_fitted_again(name: str) -> None:
    fitted = PREPROCESSORS[name]().fit(table(), split="train")
    with pytest.raises(SettingError, match="fitted once, but this one was fitted on 200 training samples"):
        fitted.fit(table(), split="train")


@pytest.mark.parametrize("name", sorted(PREPROCESSORS))
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_missing_numbers_are_named(name: str, bad: float) -> None:
    data = table()
    data[130, 3] = bad
    with pytest.raises(DataError, match=re.escape("feature 3 holds NaN or Inf (first in sample 130)")):
        PREPROCESSORS[name]().fit(torch.split(data, 64), split="train")


def test_missing_numbers_in_images_name_channel_and_sample() -> None:
    images = draw(6, 3, 4, 4)
    images[4, 2, 1, 1] = float("nan")
    with pytest.raises(DataError, match=re.escape("channel 2 holds NaN or Inf (first in sample 4)")):
        Normalize(per="channel", channel_axis=1).fit(images, split="train")


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (iter([]), "at least one sample, but got none"),
        (torch.zeros(0, 3), "at least one sample, but got none"),
        (iter([(torch.zeros(2, 3), torch.zeros(2))]), "loader of pairs pass"),
        (torch.zeros(4), re.escape("give a single column as x[:, None]")),
        (iter([torch.zeros(2, 3), torch.zeros(2, 4)]), "same number of features, but got 4 after 3"),
        (torch.zeros(2, 3, 4), 'per="feature" reads tables of two axes'),
        (torch.tensor([[1e200], [-1e200]], dtype=torch.float64), "overflow float64"),
    ],
)
def test_data_that_cannot_be_read(batches: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Normalize().fit(batches, split="train")


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(DataError, match=re.escape("sample 2 has (4, 3) after (3, 4)")):
        Decorrelate().fit([torch.zeros(2, 3, 4), torch.zeros(2, 4, 3)], split="train")
    fitted = Normalize().fit(table(), split="train")
    with pytest.raises(DataError, match=re.escape("fitted on (6,) features, but got (5,)")):
        fitted(torch.zeros(2, 5))
    with pytest.raises(DataError, match=re.escape("the shape (6,) that was fitted, but got (5,)")):
        Whiten().fit(table(), split="train")(torch.zeros(2, 5))
    with pytest.raises(DataError, match="channel axis must be one of 2 axes"):
        Normalize(per="channel", channel_axis=3).fit(torch.zeros(2, 5), split="train")
    with pytest.raises(DataError, match="channel axis must be one of 2 axes"):
        fitted(torch.zeros(2, 6), channel_axis=2)
    with pytest.raises(DataError, match="at most 8192 features"):
        Whiten().fit(torch.zeros(1, 8193), split="train")


def test_settings_report_every_fault() -> None:
    with pytest.raises(SettingError, match="needs a `channel_axis`, but got None"):
        Normalize(per="channel")
    with pytest.raises(SettingError, match=r"no `channel_axis`, but got 0.*must not be 0"):
        ZeroCentre(per="feature", channel_axis=0)
    with pytest.raises(SettingError, match=r"`components >= 1`.*got 0.*`epsilon >= 0`.*got -1.0"):
        Whiten(components=0, epsilon=-1.0)
    with pytest.raises(SettingError, match="`components <= features` must hold, but got 7 and 6"):
        Decorrelate(components=7).fit(table(), split="train")


# Patches.


def smooth_images(count: int = 40, size: int = 10) -> Tensor:
    """Images whose neighbouring pixels and channels are correlated, as in photographs."""
    noise = draw(count, 3, size + 4, size + 4)
    smoothed = nn.functional.avg_pool2d(noise, 5, stride=1)
    return smoothed + 0.5 * smoothed.mean(dim=1, keepdim=True) + 0.4


@pytest.mark.parametrize("kernel_size", [1, 2, 3])
def test_whitening_convolution_whitens(kernel_size: int) -> None:
    images = smooth_images()
    made = whitening_convolution(torch.split(images, 7), kernel_size=kernel_size, split="train", epsilon=0.0)
    outputs = conv2d(images, made.weight, made.bias).movedim(1, -1).reshape(-1, 3 * kernel_size**2)
    raw = conv2d(images, torch.eye(3 * kernel_size**2).double().reshape(made.weight.shape))
    size = 3 * kernel_size**2
    assert float((covariance(raw.movedim(1, -1).reshape(-1, size)) - identity(size)).abs().max()) > 0.5
    torch.testing.assert_close(covariance(outputs), identity(size), rtol=0, atol=1e-6)
    torch.testing.assert_close(outputs.mean(dim=0), torch.zeros(size).double(), rtol=0, atol=1e-6)


def test_whitening_convolution_is_ordered_mirrored_and_reads_nhwc() -> None:
    images = smooth_images().float()
    plain = whitening_convolution(images, kernel_size=2, split="train")
    both = whitening_convolution(
        images.permute(0, 2, 3, 1), kernel_size=2, split="train", mirrored=True, channel_axis=-1
    )
    torch.testing.assert_close(both.weight, torch.cat([plain.weight, -plain.weight]))
    torch.testing.assert_close(both.bias, torch.cat([plain.bias, -plain.bias]))
    assert bool((plain.variances.diff() <= 0).all())
    assert plain.weight.dtype == torch.float32


def test_whitening_convolution_refuses() -> None:
    with pytest.raises(SettingError, match=r"`kernel_size >= 1`.*got 0.*`epsilon >= 0`.*`channel_axis`.*got 2"):
        whitening_convolution(smooth_images(), kernel_size=0, split="train", epsilon=-1.0, channel_axis=2)
    with pytest.raises(DataError, match="at least as large as a patch"):
        whitening_convolution(torch.zeros(2, 3, 2, 2), kernel_size=3, split="train")
    with pytest.raises(DataError, match="four axes"):
        whitening_convolution(torch.zeros(2, 3, 2), kernel_size=1, split="train")
