"""Pictures that repeat are found among any others, within bounds that are said, and what merely looks alike is not."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from trainwell.data import look_alikes, sketches
from trainwell.data.look_alikes import Repeats, repeats_of_pictures


def repeats_of(pictures: NDArray[np.uint8], scratch: Path) -> Repeats:
    made = repeats_of_pictures(pictures, scratch=scratch)
    assert not scratch.exists()
    return made


def groups_of(scratch: Path, pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    made = repeats_of(pictures, scratch)
    assert not made.warnings
    return made.groups


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "sketches.npy"


def photos(count: int, *, size: int = 32) -> NDArray[np.uint8]:
    """Smooth pictures whose brightness varies more than their colour, as that of photographs does."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        layers = [rng.integers(0, 256, (size, size, 3), dtype=np.uint8), rng.integers(0, 256, (size, size), np.uint8)]
        colour, light = (np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(3)), float) for x in layers)
        mixed = 0.3 * (colour - colour.mean()) + (light - light.mean())[..., None]
        made.append(np.clip(mixed * 60 / mixed.std() + 128, 0, 255).astype(np.uint8))
    return np.stack(made)


def as_jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_identical_pictures_share_a_group(scratch: Path) -> None:
    pictures = photos(40)
    groups = groups_of(scratch, np.concatenate([pictures, pictures[:7]]))
    assert (groups[:40] == np.arange(40)).all()
    assert (groups[40:] == np.arange(7)).all()


@pytest.mark.parametrize("quality", [75, 95])
def test_resaved_pictures_share_a_group(scratch: Path, quality: int) -> None:
    pictures = photos(40)
    again = np.stack([as_jpeg(picture, quality) for picture in pictures[:10]])
    assert (again != pictures[:10]).any()
    groups = groups_of(scratch, np.concatenate([pictures, again]))
    assert (groups[40:] == np.arange(10)).all()
    assert len(np.unique(groups)) == 40


def test_brighter_by_one_level_is_the_same(scratch: Path) -> None:
    pictures = np.clip(photos(10), 1, 254)
    assert len(np.unique(groups_of(scratch, np.concatenate([pictures, pictures + 1])))) == 10


def test_digits_are_not_taken_for_each_other(scratch: Path) -> None:
    digits = np.floor(sklearn.datasets.load_digits().images * 255 / 16).astype(np.uint8)[..., None]
    assert len(np.unique(groups_of(scratch, digits))) == len(digits)


def test_glyphs_that_differ_by_a_dot_are_two(scratch: Path) -> None:
    pictures = np.zeros((64, 16, 16, 1), np.uint8)
    for i in range(64):
        pictures[i, 2 * (i // 8), 2 * (i % 8)] = 255
    assert len(np.unique(groups_of(scratch, pictures))) == 64


def test_flat_pictures_do_not_form_one_chain(scratch: Path) -> None:
    pictures = np.broadcast_to(np.arange(0, 250, 1, dtype=np.uint8)[:, None, None, None], (250, 8, 8, 1)).copy()
    groups = groups_of(scratch, pictures)
    # Each is within one level of its neighbours; groups hold a first one and what is next to it.
    assert np.bincount(groups).max() <= 3


def test_one_picture_is_one_group(scratch: Path) -> None:
    assert groups_of(scratch, photos(1)).tolist() == [0]


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (8, 8), (9, 7)])
def test_any_size(scratch: Path, shape: tuple[int, int]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, *shape, 3), dtype=np.uint8)
    groups = groups_of(scratch, np.concatenate([pictures, pictures]))
    assert (groups[:20] == groups[20:]).all()


def noise(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 24, 24, 3), dtype=np.uint8)


def blank(count: int, *, spread: float) -> NDArray[np.uint8]:
    """Scans of empty pages: nearly white, with the sensor's noise."""
    return np.random.default_rng(2).normal(240, spread, (count, 24, 24, 1)).round().clip(0, 255).astype(np.uint8)


def dotted(count: int) -> NDArray[np.uint8]:
    """White pages with a few dots: all thumbnails are nearly white."""
    rng = np.random.default_rng(3)
    made = np.full((count, 24, 24, 1), 245, np.uint8)
    for page in made:
        page[rng.integers(0, 24, 6), rng.integers(0, 24, 6)] = rng.integers(0, 200, (6, 1))
    return made


def brighter(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    made: NDArray[np.uint8] = np.clip(pictures.astype(int) + 1, 0, 255).astype(np.uint8)
    return made


def resaved(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    made = []
    for picture in pictures:
        buffer = io.BytesIO()
        # Noise has colour in every pixel, which is not to be thinned.
        Image.fromarray(np.squeeze(picture)).save(buffer, "JPEG", quality=98, subsampling=0)
        made.append(np.asarray(Image.open(buffer)).reshape(picture.shape))
    return np.stack(made)


def resized(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Enlarged by someone, and brought back to the frame by us.
    made = []
    for picture in pictures:
        image = Image.fromarray(np.squeeze(picture))
        large = image.resize((4 * image.width, 4 * image.height), Image.Resampling.BICUBIC)
        made.append(np.asarray(large.resize(image.size, Image.Resampling.BOX)).reshape(picture.shape))
    return np.stack(made)


def near_by_pixels(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Each against each, in float64: the definition."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    contrasts = flat.std(1)
    apart = np.stack([np.sqrt(((flat - one) ** 2).mean(1)) for one in flat])
    made: NDArray[np.bool_] = apart <= np.maximum(sketches.NEAR * np.minimum(contrasts[:, None], contrasts), 1.0)
    return made


def led(near: NDArray[np.bool_]) -> list[int]:
    """The first picture of each one's group: the earliest leader that it is near to."""
    leaders: list[int] = []
    made = []
    for i in range(len(near)):
        first = next((leader for leader in leaders if near[leader, i]), i)
        if first == i:
            leaders.append(i)
        made.append(first)
    return made


@pytest.mark.parametrize(
    ("kind", "copied"),
    [
        (kind, copied)
        for kind in ("noise", "blank", "dotted", "photos")
        for copied in (brighter, resaved, resized)
        # Scaling blurs single dots away: such a picture is no near copy.
        if kind in ("blank", "photos") or copied is not resized
    ],
)
def test_planted_copies_are_found_among_5000_look_alikes(
    scratch: Path, kind: str, copied: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    made = {"noise": noise, "blank": lambda n: blank(n, spread=2.0), "dotted": dotted}
    pictures = np.clip(made[kind](5000) if kind != "photos" else np.tile(photos(50, size=24), (100, 1, 1, 1)), 0, 254)
    if kind == "photos":
        # Each a little different from its like, by more than a copy may be.
        speckle = np.random.default_rng(4).normal(0, 12, pictures.shape)
        pictures = np.clip(pictures + speckle, 0, 254).astype(np.uint8)
    planted = np.arange(0, 5000, 173)
    copies = copied(pictures[planted])
    assert near_by_pairs(pictures[planted], copies).all()
    found = repeats_of(np.concatenate([pictures, copies]), scratch)
    assert not found.warnings
    assert (found.groups[5000:] == found.groups[planted]).all()


def near_by_pairs(pictures: NDArray[np.uint8], copies: NDArray[np.uint8]) -> NDArray[np.bool_]:
    a, b = pictures.reshape(len(pictures), -1).astype(float), copies.reshape(len(copies), -1).astype(float)
    made: NDArray[np.bool_] = np.sqrt(((a - b) ** 2).mean(1)) <= np.maximum(0.1 * np.minimum(a.std(1), b.std(1)), 1.0)
    return made


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(6, 5, 1), (12, 12, 3), (70, 20, 1)]), st.floats(0.3, 40.0))
def test_groups_are_those_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory, seed: int, shape: tuple[int, int, int], spread: float
) -> None:
    rng = np.random.default_rng(seed)
    bases = rng.normal(128, spread, (12, *shape))
    of = rng.integers(0, 12, 60)
    pictures = (
        (bases[of] + rng.normal(0, 1, (60, *shape)) * rng.choice([0.0, 0.05 * spread, 0.6], (60, 1, 1, 1)))
        .round()
        .clip(0, 255)
        .astype(np.uint8)
    )
    groups = repeats_of(pictures, tmp_path_factory.mktemp("any") / "sketches.npy").groups
    first = np.array([np.flatnonzero(groups == group)[0] for group in groups])
    assert first.tolist() == led(near_by_pixels(pictures))


def test_a_crowd_within_one_level_is_one_group(scratch: Path) -> None:
    pages = blank(3000, spread=0.4)
    made = repeats_of(np.concatenate([photos(5, size=24)[..., :1], pages]), scratch)
    assert len(np.unique(made.groups)) == 6
    assert len(np.unique(made.groups[5:])) == 1
    assert not made.warnings


def test_a_crowd_that_is_no_group_is_said(scratch: Path) -> None:
    # Within the radius of the sketches, and beyond that of the pixels.
    pages = np.clip(blank(3000, spread=0.85), 0, 254)
    made = repeats_of(np.concatenate([pages, brighter(pages[::100])]), scratch)
    assert (made.groups[3000:] == made.groups[:3000:100]).all()
    assert any("pictures look like more than 128 others each" in warning for warning in made.warnings)


def test_a_bounded_search_is_said_and_still_finds(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_alikes, "REACH", 500)
    monkeypatch.setattr(look_alikes, "WINDOW", 400)
    pictures = np.clip(noise(3000), 0, 254)
    made = repeats_of(np.concatenate([pictures, brighter(pictures[::50])]), scratch)
    assert (made.groups[3000:] == made.groups[:3000:50]).all()
    assert made.warnings == (
        "3,060 different pictures look so much alike that each was compared with the 1,200 likeliest others only: a "
        "near-copy may stand on both sides of the split. Identical ones do not.",
    )


def test_work_is_bounded(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_alikes, "REACH", 100)
    monkeypatch.setattr(look_alikes, "WINDOW", 100)
    compared: list[int] = []
    real = sketches.differ_little

    def counted(
        stored: NDArray[np.uint8], least: NDArray[np.float32], left: NDArray[np.int64], right: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        compared.append(len(left))
        return real(stored, least, left, right)

    monkeypatch.setattr("trainwell.data.look_alikes.differ_little", counted)
    monkeypatch.setattr(look_alikes, "_ROUNDS", 1)
    monkeypatch.setattr(look_alikes, "_SAMPLE", 16)
    monkeypatch.setattr(look_alikes, "CROWD", 40)
    for count in (1000, 4000):
        compared.clear()
        repeats_of(blank(count, spread=0.85), scratch)
        assert 0 < sum(compared) <= count * look_alikes.MOST_ALIKE * look_alikes.AXES + 16 * look_alikes.MOST_ALIKE


@pytest.mark.parametrize("shape", [(12, 12, 3), (100, 30, 1), (64, 64, 3)])
def test_sketches_keep_distances(scratch: Path, shape: tuple[int, int, int]) -> None:
    # Near pairs, close to the edge of what is near, do not leave the radius.
    rng = np.random.default_rng(5)
    bases = np.stack(
        [
            np.kron(rng.integers(60, 190, (2, 2, 1)), np.ones((shape[0] // 2, shape[1] // 2, shape[2])))
            for _ in range(300)
        ]
    )
    shifts = 0.09 * bases.std((1, 2, 3), keepdims=True) * rng.choice([-1.0, 1.0], bases.shape)
    pictures = np.concatenate([bases, bases + shifts]).round().clip(0, 255).astype(np.uint8)
    made = sketches.sketches_of(pictures, np.arange(600), scratch=scratch)
    apart = np.linalg.norm(made.values[:300] - made.values[300:], axis=1)
    near = near_by_pairs(pictures[:300], pictures[300:])
    assert near.sum() > 200
    assert (apart[near] <= made.radius).all()
    assert made.may_be_near(np.arange(300)[near], np.arange(300, 600)[near]).all()
