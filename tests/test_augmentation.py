import dataclasses
import math
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainwell.augmentation import (
    AUGMENTATIONS,
    AlternatingFlip,
    ColorJitter,
    Compose,
    HorizontalFlip,
    RandomCrop,
    RandomResizedCrop,
    RandomTranslation,
    Views,
    alternating_flip,
    average_predictions,
    horizontal_flip,
    random_crop,
    random_resized_crop,
    random_translation,
    views_of,
)
from trainwell.core.errors import SettingError

DTYPES = [torch.uint8, torch.float32, torch.float64, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(
    batch: int = 6,
    channels: int = 3,
    height: int = 8,
    width: int = 10,
    *,
    dtype: torch.dtype = torch.uint8,
    memory_format: torch.memory_format = torch.contiguous_format,
    seed: int = 1,
) -> Tensor:
    levels = torch.randint(0, 256, (batch, channels, height, width), generator=seeded(seed))
    images = levels.to(torch.uint8) if dtype == torch.uint8 else (levels / 255.0).to(dtype)
    return images.contiguous(memory_format=memory_format)


def apply(name: str, images: Tensor, *, seed: int = 0, epoch: int = 0) -> Tensor:
    augment = Compose((AUGMENTATIONS[name](),))
    return augment(images, generator=seeded(seed), indices=torch.arange(len(images)), epoch=epoch)


# Conformance: every augmentation of the table.


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shape_dtype_format_and_range_are_kept_and_the_input_is_not_touched(
    name: str, dtype: torch.dtype, memory_format: torch.memory_format, channels: int
) -> None:
    images = pictures(32, channels, dtype=dtype, memory_format=memory_format)
    before = images.clone()
    result = apply(name, images)
    assert result.shape == images.shape
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=memory_format)
    assert torch.equal(images, before)
    assert not torch.equal(result, images)
    assert float(result.min()) >= 0.0
    assert float(result.max()) <= (255.0 if dtype == torch.uint8 else 1.0)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_seed_same_result_and_the_memory_format_changes_nothing(name: str) -> None:
    images = pictures(32)
    first = apply(name, images, seed=3)
    assert torch.equal(first, apply(name, images, seed=3))
    assert torch.equal(first, apply(name, images.contiguous(memory_format=torch.channels_last), seed=3))
    other = apply(name, images, seed=4, epoch=1)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_sample_has_its_own_draw(name: str, channels: int) -> None:
    copies = pictures(1, channels).expand(64, -1, -1, -1)
    result = apply(name, copies)
    distinct = torch.unique(result.flatten(1), dim=0)
    assert len(distinct) > 1
    if name not in ("horizontal_flip", "alternating_flip"):
        assert len(distinct) > 16


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_empty_batch_and_a_single_pixel_are_taken(name: str) -> None:
    assert apply(name, pictures(0)).shape == (0, 3, 8, 10)
    assert apply(name, pictures(3, 3, 1, 1)).shape == (3, 3, 1, 1)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_settings_equal_hash_pickle_and_say_their_invariance(name: str) -> None:
    made = AUGMENTATIONS[name]()
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert hash(again) == hash(made)
    assert dataclasses.is_dataclass(made)
    assert " same" in made.invariance


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "alternating_flip"])
def test_a_generator_advances_from_batch_to_batch(name: str, dtype: torch.dtype) -> None:
    generator, images = seeded(), pictures(32, dtype=dtype)
    augment = Compose((AUGMENTATIONS[name](),))
    assert not torch.equal(augment(images, generator=generator), augment(images, generator=generator))


def test_compose_applies_in_order_and_collects_invariances() -> None:
    images, generator = pictures(), seeded(5)
    wanted = RandomCrop()(HorizontalFlip()(images, generator=generator), generator=generator)
    both = Compose((HorizontalFlip(), RandomCrop()))
    assert torch.equal(both(images, generator=seeded(5)), wanted)
    assert torch.equal(Compose()(images, generator=seeded()), images)
    assert both.invariances == (HorizontalFlip.invariance, RandomCrop.invariance)
    assert Compose((RandomCrop(), RandomTranslation())).invariances == (RandomCrop.invariance,)
    assert pickle.loads(pickle.dumps(both)) == both


@pytest.mark.parametrize(
    ("given", "lacking"), [({"epoch": 1}, "no indices"), ({"indices": torch.arange(6)}, "no epoch")]
)
def test_compose_asks_for_what_the_alternating_flip_needs(given: dict[str, Any], lacking: str) -> None:
    with pytest.raises(SettingError, match=f"AlternatingFlip needs `indices` and `epoch`, but got {lacking}"):
        Compose((AlternatingFlip(),))(pictures(), generator=seeded(), **given)


# Flips.


@pytest.mark.parametrize("memory_format", FORMATS)
def test_flip_mirrors_the_chosen_samples_and_twice_is_nothing(memory_format: torch.memory_format) -> None:
    images = pictures(memory_format=memory_format)
    flips = torch.tensor([True, False, True, True, False, False])
    flipped = horizontal_flip(images, generator=seeded(), flips=flips)
    for number, flip in enumerate(flips.tolist()):
        wanted = torch.stack([images[number, :, :, 9 - column] for column in range(10)], dim=2)
        assert torch.equal(flipped[number], wanted if flip else images[number])
    assert torch.equal(horizontal_flip(flipped, generator=seeded(), flips=flips), images)


def test_flips_are_as_frequent_as_asked() -> None:
    images = torch.arange(2, dtype=torch.uint8).expand(10_000, 1, 1, 2)
    for probability, low, high in ((0.0, 0.0, 0.0), (0.3, 0.28, 0.32), (1.0, 1.0, 1.0)):
        flipped = horizontal_flip(images, probability=probability, generator=seeded())
        assert low <= float(flipped[:, 0, 0, 0].float().mean()) <= high


def test_alternating_flip_shows_both_sides_in_any_two_epochs() -> None:
    images = torch.arange(2, dtype=torch.uint8).expand(10_000, 1, 1, 2)
    indices = torch.arange(10_000)
    sides = [alternating_flip(images, indices=indices, epoch=epoch, seed=7)[:, 0, 0, 0].long() for epoch in range(4)]
    assert torch.equal(sides[0] + sides[1], torch.ones(10_000, dtype=torch.int64))
    assert torch.equal(sides[0], sides[2])
    assert torch.equal(sides[1], sides[3])
    # The hash is fair, and neighbours and seeds have nothing to do with one another: standard error 0.005.
    assert abs(float(sides[0].float().mean()) - 0.5) < 0.02
    assert abs(float((sides[0][1:] == sides[0][:-1]).float().mean()) - 0.5) < 0.02
    other = alternating_flip(images, indices=indices, epoch=0, seed=8)[:, 0, 0, 0].long()
    assert abs(float((sides[0] == other).float().mean()) - 0.5) < 0.02


@given(seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6), indices=st.lists(st.integers(0, 2**62), min_size=1))
@settings(max_examples=60, deadline=None)
def test_alternating_flip_depends_on_the_sample_and_not_on_its_place(seed: int, epoch: int, indices: list[int]) -> None:
    images = torch.arange(2, dtype=torch.uint8).expand(len(indices), 1, 1, 2)
    given = torch.tensor(indices)
    order = torch.randperm(len(indices), generator=seeded(epoch))
    straight = alternating_flip(images, indices=given, epoch=epoch, seed=seed)
    shuffled = alternating_flip(images, indices=given[order], epoch=epoch, seed=seed)
    assert torch.equal(straight[order], shuffled)


def test_bad_flip_settings_are_refused() -> None:
    with pytest.raises(SettingError, match=r"`0 <= probability <= 1` must hold, but got 1\.5"):
        HorizontalFlip(probability=1.5)
    with pytest.raises(SettingError, match=r"`0 <= probability <= 1` must hold, but got -0\.5"):
        horizontal_flip(pictures(), probability=-0.5, generator=seeded())
    with pytest.raises(SettingError, match=r"`epoch >= 0` must hold, but got -1"):
        alternating_flip(pictures(), indices=torch.arange(6), epoch=-1)


# Crops and translations.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [None, (5, 4), (12, 14)])
def test_crop_is_a_window_of_the_padded_picture(
    dtype: torch.dtype, memory_format: torch.memory_format, channels: int, size: tuple[int, int] | None
) -> None:
    images = pictures(20, channels, dtype=dtype, memory_format=memory_format)
    high, wide = size or (8, 10)
    top = torch.randint(0, 8 + 6 - high + 1, (20,), generator=seeded(2))
    left = torch.randint(0, 10 + 6 - wide + 1, (20,), generator=seeded(3))
    offsets = torch.stack((top, left), dim=1)
    for edge, mode in (("reflect", "reflect"), ("zeros", "constant")):
        padded = torch.nn.functional.pad(images.double(), (3, 3, 3, 3), mode=mode).to(dtype)
        wanted = torch.stack(
            [padded[n, :, down : down + high, right : right + wide] for n, (down, right) in enumerate(offsets.tolist())]
        )
        made = random_crop(images, padding=3, size=size, edge=edge, generator=seeded(), offsets=offsets)  # type: ignore[arg-type]  # edge is one of the two
        assert torch.equal(made, wanted)
        assert made.is_contiguous(memory_format=memory_format)


def test_crop_at_the_padding_is_the_picture_and_every_offset_is_drawn() -> None:
    images = pictures()
    assert torch.equal(random_crop(images, padding=3, generator=seeded(), offsets=torch.full((6, 2), 3)), images)
    assert torch.equal(random_crop(images, padding=0, generator=seeded()), images)
    ramp = torch.arange(1, 26, dtype=torch.uint8).view(1, 1, 5, 5).expand(2000, 1, 5, 5)
    drawn = random_crop(ramp, padding=1, edge="zeros", generator=seeded())[:, 0, 2, 2]
    values, counts = torch.unique(drawn, return_counts=True)
    assert values.tolist() == [7, 8, 9, 12, 13, 14, 17, 18, 19]
    # 2000 / 9 = 222 of each, standard deviation 14.
    assert 150 < int(counts.min()) <= int(counts.max()) < 300


def test_reflection_goes_on_beyond_one_picture() -> None:
    row = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)
    made = random_crop(row, padding=5, size=(1, 13), generator=seeded(), offsets=torch.tensor([[5, 0]]))
    assert made.flatten().tolist() == [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2]


@given(down=st.integers(-12, 12), right=st.integers(-12, 12))
@settings(max_examples=60, deadline=None)
def test_translation_agrees_with_roll_inside_and_is_black_outside(down: int, right: int) -> None:
    images = pictures(2) | 1
    shifts = torch.tensor([[down, right]]).expand(2, 2)
    moved = random_translation(images, max_shift=12, generator=seeded(), shifts=shifts)
    wanted = torch.zeros_like(images)
    for row in range(8):
        for column in range(10):
            if 0 <= row - down < 8 and 0 <= column - right < 10:
                wanted[:, :, row, column] = images[:, :, row - down, column - right]
    assert torch.equal(moved, wanted)


def test_translation_stays_within_its_most() -> None:
    dots = torch.zeros(3000, 1, 7, 7, dtype=torch.uint8)
    dots[:, :, 3, 3] = 1
    places = random_translation(dots, max_shift=2, generator=seeded()).nonzero()[:, 2:]
    assert len(places) == 3000
    assert places.amin(0).tolist() == [1, 1]
    assert places.amax(0).tolist() == [5, 5]


def test_resized_crop_of_the_whole_is_the_picture_and_of_a_half_agrees_with_interpolate() -> None:
    images = pictures(dtype=torch.float64)
    whole = torch.tensor([[0.0, 0.0, 8.0, 10.0]]).expand(6, 4)
    assert torch.allclose(random_resized_crop(images, generator=seeded(), boxes=whole), images, atol=1e-6)
    # Cut in whole pixels, then resize: only the outermost pixels differ, as there the picture goes on beyond the box.
    half = torch.tensor([[2.0, 4.0, 4.0, 5.0]]).expand(6, 4)
    made = random_resized_crop(images, generator=seeded(), boxes=half, size=(8, 10))
    wanted = torch.nn.functional.interpolate(images[:, :, 2:6, 4:9], size=(8, 10), mode="bilinear")
    assert torch.allclose(made[:, :, 1:-1, 1:-1], wanted[:, :, 1:-1, 1:-1], atol=1e-6)


@given(low=st.floats(0.05, 1.0), part=st.floats(0.0, 1.0), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_resized_crop_takes_places_of_the_picture_only(low: float, part: float, seed: int) -> None:
    # On a ramp, brightness says where a pixel was fetched: each row rises, and never beyond the picture.
    ramp = torch.linspace(0.0, 1.0, 16).view(1, 1, 1, 16).expand(50, 1, 16, 16)
    scale = (low, low + part * (1.0 - low))
    made = random_resized_crop(ramp, scale=scale, generator=seeded(seed))
    assert float(made.min()) >= 0.0
    assert float(made.max()) <= 1.0 + 1e-6
    assert bool((made.diff(dim=3) >= -1e-5).all())
    widths = (made[:, 0, 0, 8] - made[:, 0, 0, 7]) * 15
    widest = min(math.sqrt(scale[1] * 4 / 3), 1.0)
    assert float(widths.max()) <= widest + 1e-3
    assert float(widths.min()) >= math.sqrt(scale[0] * 3 / 4) - 1e-3


def test_resized_crop_resizes_each_size() -> None:
    for size in ((4, 20), (1, 1)):
        assert RandomResizedCrop(size=size)(pictures(), generator=seeded()).shape == (6, 3, *size)


def test_bad_crop_settings_are_refused_all_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        RandomCrop(padding=-1, size=(0, 3))
    for part in ("`padding >= 0` must hold, but got -1", "`size >= (1, 1)` must hold, but got (0, 3)"):
        assert part in str(caught.value)
    with pytest.raises(SettingError, match=r"`max_shift >= 0` must hold, but got -2"):
        RandomTranslation(max_shift=-2)
    with pytest.raises(
        SettingError, match=r"`0 < scale\[0\].* got \(0\.5, 0\.2\).*`0 < ratio\[0\].* got \(0\.0, 1\.0\)"
    ):
        RandomResizedCrop(scale=(0.5, 0.2), ratio=(0.0, 1.0))
    with pytest.raises(SettingError, match=r"but got \(20, 20\) and images of 8 x 10 with padding 2"):
        random_crop(pictures(), padding=2, size=(20, 20), generator=seeded())


# Views at test time.


def network(*, seed: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 6 * 8, 4)
        ).eval()


def test_views_are_the_picture_its_mirror_image_and_its_shifts() -> None:
    images = pictures()
    made = views_of(images, views=Views(flip=True, crops=9, padding=1))
    assert made.shape == (18, 6, 3, 8, 10)
    assert torch.equal(made[0], images)
    assert torch.equal(made[1::2], made[0::2].flip(4))
    padded = torch.nn.functional.pad(images.double(), (1, 1, 1, 1), mode="reflect").to(torch.uint8)
    shifts = [padded[:, :, down : down + 8, right : right + 10] for down in range(3) for right in range(3)]
    wanted = {tuple(shift.flatten().tolist()) for shift in shifts}
    assert {tuple(view.flatten().tolist()) for view in made[0::2]} == wanted
    assert len(wanted) == 9


def test_views_are_the_ten_crops_of_a_larger_picture() -> None:
    images = pictures()
    made = views_of(images, views=Views(flip=False, crops=5, size=(4, 6)))
    corners = [(2, 2), (0, 0), (0, 4), (4, 0), (4, 4)]
    assert torch.equal(made, torch.stack([images[:, :, down : down + 4, right : right + 6] for down, right in corners]))
    assert Views(crops=5).count == 10


@torch.no_grad()
def test_average_is_the_mean_over_the_views() -> None:
    images, predict = pictures(dtype=torch.float32), network()
    views = Views(crops=5, padding=1)
    wanted = torch.stack([predict(view) for view in views_of(images, views=views)]).mean(0)
    assert torch.allclose(average_predictions(predict, images, views=views), wanted, atol=1e-6)


@torch.no_grad()
def test_average_over_flips_does_not_change_with_a_flip() -> None:
    images, predict = pictures(dtype=torch.float32), network()
    straight = average_predictions(predict, images, views=Views())
    assert torch.allclose(average_predictions(predict, images.flip(3), views=Views()), straight, atol=1e-6)
    assert not torch.allclose(predict(images), predict(images.flip(3)), atol=1e-3)


@torch.no_grad()
def test_averaging_over_augmentations_lowers_the_predictions_variance() -> None:
    predict, image = network(), pictures(1, dtype=torch.float32)
    augment = Compose((HorizontalFlip(), RandomCrop(padding=2), ColorJitter()))
    draws = predict(augment(image.expand(8 * 400, -1, -1, -1), generator=seeded()))
    single = draws.var(0)
    averaged = draws.view(400, 8, 4).mean(1).var(0)
    # The mean of eight independent draws has an eighth of the variance; the ratio's standard error is about 0.01.
    assert (averaged / single).tolist() == pytest.approx([1 / 8] * 4, abs=0.04)


@torch.no_grad()
def test_averaging_over_shifts_lowers_the_variance_from_shift_to_shift() -> None:
    predict = network()
    image = pictures(1, dtype=torch.float32)
    moved = random_translation(image.expand(200, -1, -1, -1), max_shift=2, edge="reflect", generator=seeded())
    alone = predict(moved).var(0).sum()
    assert float(average_predictions(predict, moved, views=Views(crops=9, padding=1)).var(0).sum()) < 0.5 * float(alone)


def test_bad_views_are_refused_all_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        Views(crops=4, padding=-1, size=(0, 0))
    for part in ("`crops` must be 1, 5 or 9, but got 4", "`padding >= 0`", "`size >= (1, 1)`"):
        assert part in str(caught.value)
    with pytest.raises(SettingError, match=r"but got \(9, 9\) and images of 8 x 10 with padding 0"):
        views_of(pictures(), views=Views(size=(9, 9)))
