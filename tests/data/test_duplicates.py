"""What repeats is found, and what merely looks alike is not."""

import io

import numpy as np
import polars as pl
import pytest
import sklearn.datasets
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from trainwell.data.duplicates import are_copies, groups_of_pictures, groups_of_rows
from trainwell.data.kinds import kind_of


def rows_of(frame: pl.DataFrame) -> NDArray[np.int64]:
    kinds = tuple(column for column, _ in map(kind_of, frame.iter_columns()) if column is not None)
    return groups_of_rows(frame, kinds)


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


def test_identical_pictures_share_a_group() -> None:
    pictures = photos(40)
    groups = groups_of_pictures(np.concatenate([pictures, pictures[:7]]))
    assert (groups[:40] == np.arange(40)).all()
    assert (groups[40:] == np.arange(7)).all()


@pytest.mark.parametrize("quality", [75, 95])
def test_resaved_pictures_share_a_group(quality: int) -> None:
    pictures = photos(40)
    again = np.stack([as_jpeg(picture, quality) for picture in pictures[:10]])
    assert (again != pictures[:10]).any()
    groups = groups_of_pictures(np.concatenate([pictures, again]))
    assert (groups[40:] == np.arange(10)).all()
    assert len(np.unique(groups)) == 40


def test_brighter_by_one_level_is_the_same() -> None:
    pictures = np.clip(photos(10), 1, 254)
    assert len(np.unique(groups_of_pictures(np.concatenate([pictures, pictures + 1])))) == 10


def test_digits_are_not_taken_for_each_other() -> None:
    digits = np.floor(sklearn.datasets.load_digits().images * 255 / 16).astype(np.uint8)[..., None]
    assert len(np.unique(groups_of_pictures(digits))) == len(digits)


def test_glyphs_that_differ_by_a_dot_are_two() -> None:
    pictures = np.zeros((64, 16, 16, 1), np.uint8)
    for i in range(64):
        pictures[i, 2 * (i // 8), 2 * (i % 8)] = 255
    assert len(np.unique(groups_of_pictures(pictures))) == 64


def test_flat_pictures_do_not_form_one_chain() -> None:
    pictures = np.broadcast_to(np.arange(0, 250, 1, dtype=np.uint8)[:, None, None, None], (250, 8, 8, 1)).copy()
    groups = groups_of_pictures(pictures)
    # Each is within one level of its neighbours; groups hold a first one and what is next to it.
    assert np.bincount(groups).max() <= 3


def test_one_picture_is_one_group() -> None:
    assert groups_of_pictures(photos(1)).tolist() == [0]


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (8, 8), (9, 7)])
def test_any_size(shape: tuple[int, int]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, *shape, 3), dtype=np.uint8)
    groups = groups_of_pictures(np.concatenate([pictures, pictures]))
    assert (groups[:20] == groups[20:]).all()


def test_rows_are_compared_without_identifiers() -> None:
    n = 60
    frame = pl.DataFrame({"id": range(n), "a": [float(i % 30) for i in range(n)], "b": [str(i % 3) for i in range(n)]})
    groups = rows_of(frame)
    assert (groups[:30] == groups[30:]).all()
    assert len(np.unique(groups)) == 30


def test_nearly_equal_numbers_share_a_group() -> None:
    values = np.random.default_rng(0).normal(size=50)
    groups = rows_of(pl.DataFrame({"a": np.r_[values, values * (1 + 1e-12)]}))
    assert len(np.unique(groups)) == 50


def test_text_and_numbers_of_one_table_agree() -> None:
    groups = rows_of(pl.DataFrame({"a": ["1.50", "1.5", "2", " 2", "-0.0", "0"]}))
    assert groups.tolist() == [0, 0, 1, 1, 2, 2]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("xyz")), min_size=4, max_size=40))
def test_equal_rows_exactly(rows: list[tuple[int, str]]) -> None:
    frame = pl.DataFrame({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    if frame["a"].n_unique() == 1 or frame["b"].n_unique() == 1:
        return
    groups = rows_of(frame)
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (groups[i] == groups[j]) == (one == other)


def test_few_different_samples_are_no_copies() -> None:
    assert are_copies(np.arange(10))
    assert are_copies(np.repeat(np.arange(60), 2))
    assert not are_copies(np.repeat(np.arange(4), 50))
