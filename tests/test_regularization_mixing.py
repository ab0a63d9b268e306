"""Cutout, mixup, CutMix, label smoothing."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from trainwell.core.errors import SettingError, TargetError
from trainwell.core.seeds import generator
from trainwell.regularization import cutmix, cutout, draw_mixing, mixup, one_hot_targets, smooth_labels

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.uint8]


def images_of(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    values = torch.rand(shape, generator=generator(seed))
    return (values * 255).round().to(dtype) if dtype == torch.uint8 else values.to(dtype)


def labels_of(count: int, classes: int = 4, seed: int = 0) -> Tensor:
    return torch.randint(classes, (count,), generator=generator(seed, "labels"))


# Mixup.


@settings(deadline=None, max_examples=60)
@given(shape=SHAPES, dtype=st.sampled_from(DTYPES), alpha=st.floats(0.01, 20), seed=st.integers(0, 1000))
def test_mixup_stays_in_the_convex_hull(shape: tuple[int, ...], dtype: torch.dtype, alpha: float, seed: int) -> None:
    images, labels = images_of(shape, dtype, seed), labels_of(shape[0], seed=seed)
    partners = torch.randperm(shape[0], generator=generator(seed, "partners"))
    mixed = mixup(images, labels, alpha=alpha, classes=4, generator=generator(seed), indices=partners)
    low, high = torch.minimum(images, images[partners]), torch.maximum(images, images[partners])
    slack = 0.0 if dtype == torch.uint8 else 1e-6
    assert bool((mixed.images.double() >= low.double() - slack).all())
    assert bool((mixed.images.double() <= high.double() + slack).all())
    torch.testing.assert_close(mixed.targets.sum(dim=1), torch.ones(shape[0]))
    assert bool((mixed.targets >= 0).all())
    assert mixed.images.dtype == dtype
    assert mixed.images.shape == images.shape


def test_mixup_is_its_formula() -> None:
    images, labels = images_of((3, 2, 4, 4), torch.float64), torch.tensor([0, 1, 2])
    share, partners = torch.tensor([0.25, 0.5, 1.0]), torch.tensor([2, 0, 1])
    mixed = mixup(images, labels, alpha=1.0, classes=3, mixing=share, indices=partners)
    weights = share.double().reshape(-1, 1, 1, 1)
    torch.testing.assert_close(mixed.images, weights * images + (1 - weights) * images[partners])
    torch.testing.assert_close(mixed.targets, torch.tensor([[0.25, 0, 0.75], [0.5, 0.5, 0], [0, 0, 1.0]]))


def test_bytes_are_rounded_to_the_nearest() -> None:
    images = torch.tensor([[[[0, 10]]], [[[10, 0]]]], dtype=torch.uint8)
    swap, share = torch.tensor([1, 0]), torch.tensor([0.77, 0.77])
    mixed = mixup(images, torch.tensor([0, 1]), alpha=1.0, classes=2, mixing=share, indices=swap)
    assert mixed.images.flatten().tolist() == [2, 8, 8, 2]


def test_mixed_cross_entropy_is_the_mixture_of_cross_entropies() -> None:
    images, labels = images_of((8, 1, 4, 4), torch.float32), labels_of(8)
    share, partners = torch.full((8,), 0.3), torch.arange(8).flip(0)
    mixed = mixup(images, labels, alpha=1.0, classes=4, mixing=share, indices=partners)
    logits = torch.randn(8, 4, generator=generator(3))
    expected = 0.3 * cross_entropy(logits, labels) + 0.7 * cross_entropy(logits, labels[partners])
    torch.testing.assert_close(cross_entropy(logits, mixed.targets), expected)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_are_drawn_from_beta(alpha: float) -> None:
    shares = draw_mixing(40_000, alpha=alpha, generator=generator(0)).double()
    oracle = torch.distributions.Beta(alpha, alpha)
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(shares.var()) == pytest.approx(float(oracle.variance), rel=0.03)
    assert 0 <= float(shares.min()) <= float(shares.max()) <= 1


# CutMix.


@settings(deadline=None, max_examples=60)
@given(shape=SHAPES, dtype=st.sampled_from(DTYPES), alpha=st.floats(0.05, 10), seed=st.integers(0, 1000))
def test_cutmix_targets_go_by_the_area_pasted(
    shape: tuple[int, ...], dtype: torch.dtype, alpha: float, seed: int
) -> None:
    """Sample i is the number i everywhere, so that its pixels say where they come from."""
    count = shape[0]
    images = torch.arange(count).reshape(-1, 1, 1, 1).expand(shape).to(dtype)
    mixed = cutmix(images, torch.arange(count), alpha=alpha, classes=count, generator=generator(seed))
    share = torch.stack([(mixed.images == one).float().mean(dim=(1, 2, 3)) for one in range(count)], dim=1)
    torch.testing.assert_close(mixed.targets, share, rtol=0, atol=1e-6)
    torch.testing.assert_close(mixed.targets.sum(dim=1), torch.ones(count))
    assert mixed.images.dtype == dtype


def test_cutmix_pastes_one_box_around_the_centre() -> None:
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    mixed = cutmix(
        images,
        torch.tensor([0, 1]),
        alpha=1.0,
        classes=2,
        mixing=torch.tensor([0.75, 0.75]),
        indices=torch.tensor([1, 0]),
        centres=torch.tensor([[4, 4], [0, 0]]),
    )
    expected = torch.zeros(8, 8)
    expected[2:6, 2:6] = 1
    assert torch.equal(mixed.images[0, 0], expected)
    corner = torch.ones(8, 8)
    corner[:2, :2] = 0
    assert torch.equal(mixed.images[1, 0], corner), "half of each side hangs over the border"
    torch.testing.assert_close(mixed.targets, torch.tensor([[0.75, 0.25], [4 / 64, 60 / 64]]))


def test_cutmix_sides_are_not_a_pixel_short() -> None:
    """0.91 in float32 is a little more: the side would be 2.9999995."""
    images = torch.stack([torch.zeros(1, 10, 10), torch.ones(1, 10, 10)])
    share, swap, middle = torch.full((2,), 0.91), torch.tensor([1, 0]), torch.full((2, 2), 5)
    mixed = cutmix(images, torch.tensor([0, 1]), alpha=1.0, classes=2, mixing=share, indices=swap, centres=middle)
    assert float(mixed.images[0].sum()) == 9


def test_cutmix_at_the_ends() -> None:
    images, labels = images_of((4, 1, 5, 5), torch.float32), labels_of(4)
    partners, middle = torch.tensor([1, 2, 3, 0]), torch.full((4, 2), 2)
    whole = cutmix(images, labels, alpha=1.0, classes=4, mixing=torch.zeros(4), indices=partners, centres=middle)
    assert torch.equal(whole.images, images[partners])
    torch.testing.assert_close(whole.targets, one_hot_targets(labels[partners], classes=4))
    none = cutmix(images, labels, alpha=1.0, classes=4, mixing=torch.ones(4), indices=partners)
    assert torch.equal(none.images, images)
    torch.testing.assert_close(none.targets, one_hot_targets(labels, classes=4))


# Cutout.


@settings(deadline=None, max_examples=60)
@given(
    shape=SHAPES,
    size=st.integers(0, 12),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 1000),
    row=st.integers(0, 8),
    column=st.integers(0, 8),
)
def test_cutout_hole_has_its_size_less_what_hangs_over(
    shape: tuple[int, ...], size: int, dtype: torch.dtype, seed: int, row: int, column: int
) -> None:
    images = torch.ones(shape, dtype=dtype)
    centre = torch.tensor([[row % shape[2], column % shape[3]]]).expand(shape[0], 2)
    outputs = cutout(images, size=size, centres=centre)
    sides = []
    for middle, side in zip(centre[0].tolist(), shape[2:]):
        first = middle - size // 2
        sides.append(max(0, min(side, first + size) - max(0, first)))
    area = (outputs == 0).flatten(1).sum(dim=1)
    assert area.tolist() == [math.prod(sides) * shape[1]] * shape[0]
    drawn = (cutout(images, size=size, generator=generator(seed)) == 0).flatten(1).sum(dim=1) // shape[1]
    least = math.prod(min(math.ceil(size / 2), side) for side in shape[2:])
    most = math.prod(min(size, side) for side in shape[2:])
    assert all(least <= hole <= most for hole in drawn.tolist())


def test_cutout_leaves_the_rest_and_fills() -> None:
    images = images_of((5, 3, 8, 8), torch.float32) + 1
    outputs = cutout(images, size=4, fill=-2.0, generator=generator(0))
    hole = outputs == -2.0
    assert torch.equal(outputs[~hole], images[~hole])
    assert torch.equal(hole[:, 0], hole[:, 2]), "one hole through all channels"
    assert len({tuple(one.flatten().tolist()) for one in hole[:, 0]}) > 1, "each sample its own"
    assert torch.equal(cutout(images, size=0), images)


# All three.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_memory_format_is_kept(dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    images = images_of((4, 3, 6, 5), dtype).contiguous(memory_format=memory_format)
    labels = labels_of(4)
    made = [
        cutout(images, size=3, generator=generator(0)),
        mixup(images, labels, alpha=1.0, classes=4, generator=generator(0)).images,
        cutmix(images, labels, alpha=1.0, classes=4, generator=generator(0)).images,
    ]
    for one in made:
        assert one.is_contiguous(memory_format=memory_format)
        assert not torch.equal(one, images)


@pytest.mark.parametrize("name", ["cutout", "mixup", "cutmix"])
def test_draws_follow_the_seed_and_inputs_stay(name: str) -> None:
    images, labels = images_of((6, 1, 8, 8), torch.float32), labels_of(6)
    before = images.clone()

    def once(seed: int) -> Tensor:
        source = generator(seed)
        if name == "cutout":
            return cutout(images, size=4, generator=source)
        call = mixup if name == "mixup" else cutmix
        return call(images, labels, alpha=1.0, classes=4, generator=source).images

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))
    assert torch.equal(images, before)


def test_soft_targets_pass_and_hard_ones_need_classes() -> None:
    images = images_of((2, 1, 3, 3), torch.float32)
    soft = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    mixed = mixup(images, soft, alpha=1.0, mixing=torch.tensor([0.5, 1.0]), indices=torch.tensor([1, 0]))
    torch.testing.assert_close(mixed.targets, torch.tensor([[0.25, 0.75], [0.0, 1.0]]))
    for call in (mixup, cutmix):
        with pytest.raises(SettingError, match="number of `classes` is known"):
            call(images, torch.tensor([0, 1]), alpha=1.0)
        with pytest.raises(SettingError, match="`alpha > 0` must hold, but got 0"):
            call(images, soft, alpha=0.0)
        with pytest.raises(TargetError, match="must be 0 to 1, but got 0 to 5"):
            call(images, torch.tensor([0, 5]), alpha=1.0, classes=2)
    with pytest.raises(SettingError, match="`size >= 0` must hold, but got -1"):
        cutout(images, size=-1)
    with pytest.raises(SettingError, match="`classes >= 1` must hold, but got 0"):
        one_hot_targets(torch.tensor([0]), classes=0)


# Label smoothing.


@settings(deadline=None, max_examples=40)
@given(smoothing=st.floats(0, 1), classes=st.integers(2, 12), seed=st.integers(0, 1000))
def test_smoothing_is_cross_entropys(smoothing: float, classes: int, seed: int) -> None:
    labels = labels_of(7, classes, seed)
    logits = torch.randn(7, classes, generator=generator(seed))
    smoothed = smooth_labels(one_hot_targets(labels, classes=classes), smoothing=smoothing)
    torch.testing.assert_close(smoothed.sum(dim=1), torch.ones(7))
    expected = cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(cross_entropy(logits, smoothed), expected)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, float("nan")])
def test_smoothing_outside_its_range_is_refused(smoothing: float) -> None:
    with pytest.raises(SettingError, match="`0 <= smoothing <= 1` must hold"):
        smooth_labels(torch.ones(1, 1), smoothing=smoothing)
