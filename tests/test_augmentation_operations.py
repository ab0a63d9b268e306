import colorsys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from trainwell.augmentation import (
    OPERATIONS,
    PAPER_OPERATIONS,
    ColorJitter,
    RandAugment,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    color_jitter,
    equalize,
    invert,
    posterize,
    rand_augment,
    rotate,
    shear_x,
    shear_y,
    solarize,
    translate_x,
    translate_y,
)
from trainwell.core.errors import SettingError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(batch: int = 5, channels: int = 3, height: int = 20, width: int = 25, *, seed: int = 1) -> Tensor:
    """Random pictures, smooth and in part of the range, so that every operation changes them."""
    coarse = torch.rand(batch, channels, 4, 5, generator=seeded(seed)) * 180.0 + 30.0
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 255).to(torch.uint8)


def by_pillow(images: Tensor, change: Callable[[Image.Image, int], Image.Image]) -> Tensor:
    changed = []
    for number, image in enumerate(images):
        array = image[0].numpy() if len(image) == 1 else image.permute(1, 2, 0).numpy()
        result = np.array(change(Image.fromarray(array), number))
        changed.append(torch.from_numpy(result)[None] if len(image) == 1 else torch.from_numpy(result).permute(2, 0, 1))
    return torch.stack(changed)


def assert_near(ours: Tensor, theirs: Tensor, *, levels: int) -> None:
    assert ours.dtype == theirs.dtype == torch.uint8
    assert int((ours.int() - theirs.int()).abs().max()) <= levels


FACTORS = [0.0, 0.3, 1.0, 1.4, 2.5]


# Oracle: Pillow.


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adjust_brightness, ImageEnhance.Brightness),
        (adjust_contrast, ImageEnhance.Contrast),
        (adjust_saturation, ImageEnhance.Color),
        (adjust_sharpness, ImageEnhance.Sharpness),
    ],
)
def test_light_agrees_with_pillow(
    ours: Callable[[Tensor, Tensor], Tensor], theirs: Callable[[Image.Image], ImageEnhance._Enhance], channels: int
) -> None:
    images = pictures(channels=channels)
    wanted = by_pillow(images, lambda image, number: theirs(image).enhance(FACTORS[number]))
    made = ours(images, torch.tensor(FACTORS))
    # Pillow cuts fractions off where we round.
    assert_near(made, wanted, levels=1)
    assert torch.equal(made[2], images[2])
    if not (channels == 1 and ours is adjust_saturation):
        assert not torch.equal(made[0], images[0])
    floating = ours(images / 255.0, torch.tensor(FACTORS))
    assert torch.equal((floating * 255.0).round().to(torch.uint8), made)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["smooth", "noise", "flat", "two levels"])
def test_tones_agree_with_pillow(channels: int, kind: str) -> None:
    images = {
        "smooth": pictures(channels=channels, height=40, width=40),
        "noise": torch.randint(0, 256, (5, channels, 40, 40), generator=seeded()).to(torch.uint8),
        "flat": torch.full((5, channels, 40, 40), 77, dtype=torch.uint8),
        "two levels": torch.randint(60, 62, (5, channels, 40, 40), generator=seeded()).to(torch.uint8),
    }[kind]
    assert torch.equal(invert(images), by_pillow(images, lambda image, _: ImageOps.invert(image)))
    assert torch.equal(equalize(images), by_pillow(images, lambda image, _: ImageOps.equalize(image)))
    assert_near(autocontrast(images), by_pillow(images, lambda image, _: ImageOps.autocontrast(image)), levels=1)
    bits = [1, 2, 4, 7, 8]
    wanted = by_pillow(images, lambda image, number: ImageOps.posterize(image, bits[number]))
    assert torch.equal(posterize(images, torch.tensor(bits).float()), wanted)
    thresholds = [0, 70, 77, 128, 256]
    wanted = by_pillow(images, lambda image, number: ImageOps.solarize(image, thresholds[number]))
    assert torch.equal(solarize(images, torch.tensor(thresholds).float()), wanted)


@pytest.mark.parametrize("name", ["invert", "equalize", "autocontrast", "posterize", "solarize"])
def test_tones_of_floating_images_are_those_of_their_levels(name: str) -> None:
    images, signs = pictures(), torch.ones(5)
    made = OPERATIONS[name](images / 255.0, magnitude=7.0, signs=signs)
    assert made.dtype == torch.float32
    levels = OPERATIONS[name](images, magnitude=7.0, signs=signs)
    assert torch.equal((made * 255.0).round().to(torch.uint8), levels)


@given(
    red=st.integers(0, 255), green=st.integers(0, 255), blue=st.integers(0, 255), turn=st.floats(-0.5, 0.5, width=32)
)
@settings(max_examples=200, deadline=None)
def test_hue_agrees_with_colorsys(red: int, green: int, blue: int, turn: float) -> None:
    pixel = torch.tensor([red, green, blue], dtype=torch.uint8).view(1, 3, 1, 1)
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    wanted = torch.tensor(colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value)) * 255.0
    made = adjust_hue(pixel, torch.tensor([turn])).flatten()
    assert float((made - wanted).abs().max()) <= 0.51


@pytest.mark.parametrize("degrees", [-75.0, -20.0, 10.0, 45.0])
def test_rotation_agrees_with_pillow_inside(degrees: float) -> None:
    images = pictures(height=41, width=41)
    wanted = by_pillow(images, lambda image, _: image.rotate(degrees, resample=Image.Resampling.BILINEAR))
    made = rotate(images, torch.full((5,), degrees))
    assert_near(made[:, :, 9:-9, 9:-9], wanted[:, :, 9:-9, 9:-9], levels=1)


def test_equalize_leaves_tiny_pictures_as_pillow_does() -> None:
    images = pictures(height=8, width=8)
    assert torch.equal(by_pillow(images, lambda image, _: ImageOps.equalize(image)), images)
    assert torch.equal(equalize(images), images)


# Closed forms of the geometry.


def test_quarter_turns_are_exact() -> None:
    images = pictures(3, height=13, width=13)
    made = rotate(images, torch.tensor([90.0, 180.0, -90.0]))
    for number, turns in enumerate((1, 2, 3)):
        assert torch.equal(made[number], torch.rot90(images[number], turns, (1, 2)))


@pytest.mark.parametrize(("dtype", "grey"), [(torch.uint8, 128.0), (torch.float32, 0.5)])
def test_shear_moves_rows_and_columns_by_their_distance_from_the_centre(dtype: torch.dtype, grey: float) -> None:
    images = pictures(2, height=9, width=11)
    images = images if dtype == torch.uint8 else images / 255.0
    slopes = torch.tensor([1.0, -1.0])
    rows, columns = torch.full_like(images, grey), torch.full_like(images, grey)
    for number, slope in enumerate((1, -1)):
        for y in range(9):
            for x in range(11):
                if 0 <= x + slope * (y - 4) < 11:
                    rows[number, :, y, x] = images[number, :, y, x + slope * (y - 4)]
                if 0 <= y + slope * (x - 5) < 9:
                    columns[number, :, y, x] = images[number, :, y + slope * (x - 5), x]
    assert torch.allclose(shear_x(images, slopes), rows, atol=1e-5)
    assert torch.allclose(shear_y(images, slopes), columns, atol=1e-5)


def test_translation_moves_by_parts_of_the_size_and_mixes_at_fractions() -> None:
    images = pictures(3, height=10, width=20) / 255.0
    left = translate_x(images, torch.tensor([0.25, -0.25, 0.0]))
    assert torch.allclose(left[0, :, :, :15], images[0, :, :, 5:], atol=1e-5)
    assert torch.allclose(left[0, :, :, 15:], torch.full((3, 10, 5), 0.5), atol=1e-5)
    assert torch.allclose(left[1, :, :, 5:], images[1, :, :, :15], atol=1e-5)
    assert torch.allclose(left[2], images[2], atol=1e-5)
    half = translate_y(images, torch.full((3,), 0.05))
    assert torch.allclose(half[:, :, :-1], (images[:, :, :-1] + images[:, :, 1:]) / 2, atol=1e-5)


# Conformance: every operation of the table.


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_operations_keep_shape_dtype_format_range_and_the_input(
    name: str, channels: int, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    images = pictures(channels=channels)
    images = (images if dtype == torch.uint8 else (images / 255.0).to(dtype)).contiguous(memory_format=memory_format)
    before = images.clone()
    made = OPERATIONS[name](images, magnitude=10.0, signs=torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0]))
    assert made.shape == images.shape
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=memory_format)
    assert torch.equal(images, before)
    assert float(made.min()) >= 0.0
    assert float(made.max()) <= (255.0 if dtype == torch.uint8 else 1.0)
    unchanged = name == "identity" or (name == "color" and channels != 3)
    assert torch.equal(made, images) == unchanged


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_treat_each_sample_by_itself(name: str) -> None:
    images, signs = pictures(), torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    together = OPERATIONS[name](images, magnitude=8.0, signs=signs)
    for number in range(5):
        place = slice(number, number + 1)
        assert torch.equal(together[place], OPERATIONS[name](images[place], magnitude=8.0, signs=signs[place]))


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.at_zero is not None])
def test_operations_with_a_setting_do_nothing_at_magnitude_zero_and_more_with_more(name: str) -> None:
    images, signs = pictures(), torch.ones(5)
    assert torch.equal(OPERATIONS[name](images, magnitude=0.0, signs=signs), images)
    little, much = (OPERATIONS[name](images, magnitude=magnitude, signs=signs) for magnitude in (2.0, 10.0))
    distance = [float((made.double() - images).abs().mean()) for made in (little, much)]
    assert 0.0 <= distance[0] < distance[1]


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if operation.signed])
def test_signed_operations_go_both_ways(name: str) -> None:
    images = pictures()
    there, back = (OPERATIONS[name](images, magnitude=5.0, signs=torch.full((5,), sign)) for sign in (1.0, -1.0))
    assert not torch.equal(there, back)


def test_the_papers_operations_are_its_fourteen() -> None:
    assert len(PAPER_OPERATIONS) == 14
    assert set(OPERATIONS) - set(PAPER_OPERATIONS) == {"invert"}


# RandAugment and colour jitter.


def test_rand_augment_applies_to_each_sample_what_it_drew() -> None:
    images = pictures()
    names = ("identity", "invert", "rotate", "equalize")
    choices = torch.tensor([[0, 0], [1, 0], [2, 1], [1, 1], [3, 2]])
    signs = torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    made = rand_augment(
        images, magnitude=6.0, operations=names, choices=choices, signs=signs, generator=seeded(), num_operations=2
    )
    assert torch.equal(made[0], images[0])
    assert torch.equal(made[1:2], invert(images[1:2]))
    assert torch.equal(made[2:3], invert(rotate(images[2:3], torch.tensor([-18.0]))))
    assert torch.equal(made[3], images[3])
    assert torch.equal(made[4:5], rotate(equalize(images[4:5]), torch.tensor([18.0])))


def test_rand_augment_draws_every_operation_as_often() -> None:
    image = torch.tensor([0, 10], dtype=torch.uint8).view(1, 1, 1, 2).expand(3000, 1, 1, 2)
    names = ("identity", "invert", "autocontrast")
    made = rand_augment(image, num_operations=1, operations=names, generator=seeded())
    kinds, counts = torch.unique(made.flatten(1), dim=0, return_counts=True)
    assert kinds.tolist() == [[0, 10], [0, 255], [255, 245]]
    # 1000 of each, standard deviation 26.
    assert 850 < int(counts.min()) <= int(counts.max()) < 1150


def test_jitter_is_its_four_changes_in_order_and_rounds_once() -> None:
    images = pictures()
    factors = torch.stack([torch.rand(5, generator=seeded(n)) + 0.5 for n in range(4)], dim=1)
    factors[:, 3] -= 1.0
    made = color_jitter(images, generator=seeded(), factors=factors)
    wanted = images / 255.0
    for place, change in enumerate((adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)):
        wanted = change(wanted, factors[:, place])
    assert_near(made, (wanted * 255.0).round().to(torch.uint8), levels=0)


@given(brightness=st.floats(0.0, 2.0), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_jitter_draws_within_its_range(brightness: float, seed: int) -> None:
    flat = torch.full((200, 3, 1, 1), 0.25, dtype=torch.float64)
    made = color_jitter(flat, brightness=brightness, generator=seeded(seed))
    factors = made[:, 0, 0, 0] / 0.25
    assert float(factors.min()) >= max(0.0, 1.0 - brightness) - 1e-6
    assert float(factors.max()) <= 1.0 + brightness + 1e-6
    if brightness > 0.1:
        assert float(factors.max() - factors.min()) > 0.5 * (1.0 + brightness - max(0.0, 1.0 - brightness))


def test_jitter_without_strength_is_nothing_and_grey_pictures_have_no_hue() -> None:
    images = pictures()
    assert torch.equal(color_jitter(images, generator=seeded()), images)
    for channels in (1, 4):
        images = pictures(channels=channels)
        assert torch.equal(color_jitter(images, saturation=0.9, hue=0.5, generator=seeded()), images)
    full_turn = adjust_hue(pictures(), torch.ones(5))
    assert_near(full_turn, pictures(), levels=0)


def test_bad_settings_are_refused_all_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        ColorJitter(brightness=-0.1, contrast=-0.2, saturation=-0.3, hue=0.6)
    for part in ("brightness >= 0` must hold, but got -0.1", "contrast >= 0`", "saturation >= 0`", "0 <= hue <= 0.5`"):
        assert part in str(caught.value)
    with pytest.raises(SettingError) as caught:
        RandAugment(num_operations=0, magnitude=11.0, operations=("equalise", "invert"))
    for part in (
        "`num_operations >= 1` must hold, but got 0",
        "`0 <= magnitude <= 10` must hold, but got 11.0",
        '`operations` must be known, but got "equalise". Did you mean "equalize"?',
    ):
        assert part in str(caught.value)
    with pytest.raises(SettingError, match=r"`operations` must name at least one, but got none"):
        rand_augment(pictures(), operations=(), generator=seeded())
