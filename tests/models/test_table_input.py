"""TableInput: what comes out of raw columns."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from trainwell.core.errors import DataError, SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.models.table_input import CATEGORY_WIDTH, ONE_HOT_LIMIT, TableInput, smooth_clip

NAN = float("nan")


def table(numbers: int = 0, cardinalities: tuple[int, ...] = ()) -> InputLayout:
    return InputLayout(kind="table", numbers=numbers, cardinalities=cardinalities)


def made(layout: InputLayout, *, number_width: int = 4, seed: int = 0) -> TableInput:
    return TableInput(layout, number_width=number_width, generator=torch.Generator().manual_seed(seed))


def test_numbers_are_scaled_by_quartiles_and_clipped() -> None:
    features = made(table(2), number_width=1)
    rows = torch.tensor([[float(n), 100.0 * n] for n in range(9)])
    features.fit(rows)
    # Median 4, quartiles 2 and 6: z of 8 is 1, of 1004 is 250.
    wanted = [1.0 / math.sqrt(1.0 + 1.0 / 9.0), 250.0 / math.sqrt(1.0 + 250.0**2 / 9.0)]
    found = features(torch.tensor([[8.0, 800.0], [1004.0, 100_400.0]]))
    torch.testing.assert_close(found, torch.tensor([[wanted[0]] * 2, [wanted[1]] * 2]))


def test_a_column_whose_quartiles_coincide_is_scaled_by_half_its_range() -> None:
    features = made(table(1), number_width=1)
    features.fit(torch.tensor([[0.0]] * 9 + [[8.0]]))
    assert features(torch.tensor([[4.0]])).item() == pytest.approx(1.0 / math.sqrt(1.0 + 1.0 / 9.0))


@pytest.mark.parametrize("value", [0.0, 3.5, NAN])
def test_a_constant_or_empty_column_is_harmless(value: float) -> None:
    features = made(table(1))
    features.fit(torch.full((5, 1), value))
    assert features(torch.tensor([[value], [1e30], [-1e30], [NAN]])).isfinite().all()


def test_numbers_at_the_end_of_float32_are_harmless() -> None:
    features = made(table(1), number_width=1)
    features.fit(torch.tensor([[-3e38], [-3e38], [3e38], [3e38]]))
    assert features(torch.tensor([[-3e38], [0.0], [3e38]])).isfinite().all()
    features.fit(torch.tensor([[1e-30], [2e-30], [3e-30]]))
    assert features(torch.tensor([[3e38]])).item() == pytest.approx(3.0)


def test_missing_numbers_become_the_learnt_vector() -> None:
    features = made(table(2))
    features.fit(torch.tensor([[1.0, 2.0], [3.0, NAN], [5.0, 4.0]]))
    with torch.no_grad():
        features.missing[1] = torch.arange(4.0)
    found = features(torch.tensor([[1.0, NAN]]))
    assert found[0, 4:].tolist() == [0.0, 1.0, 2.0, 3.0]
    found.sum().backward()
    assert features.missing.grad is not None
    assert features.missing.grad.tolist() == [[0.0] * 4, [1.0] * 4]
    for parameter in features.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_missing_numbers_do_not_move_the_fit() -> None:
    holes, dense = made(table(1)), made(table(1))
    holes.fit(torch.tensor([[1.0], [NAN], [2.0], [NAN], [5.0]]))
    dense.fit(torch.tensor([[1.0], [2.0], [5.0]]))
    assert (holes.center, holes.scale) == (dense.center, dense.scale)


def test_small_categories_are_one_hot_and_unseen_ones_zero() -> None:
    features = made(table(0, (3, 4)))
    assert features.width == 4
    found = features(torch.tensor([[1.0, 1.0], [2.0, 3.0], [0.0, 0.0]]))
    assert found.tolist() == [[-1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]


def test_large_categories_are_learnt_vectors_with_zero_for_unseen() -> None:
    features = made(table(1, (ONE_HOT_LIMIT + 1, 2)), number_width=1)
    assert features.width == 1 + CATEGORY_WIDTH + 1
    found = features(torch.tensor([[0.0, 0.0, 1.0], [0.0, 5.0, 1.0]]))
    assert found[0, 1:-1].eq(0.0).all()
    assert found[1, 1:-1].ne(0.0).all()


def test_embeddings_follow_the_formula() -> None:
    features = made(table(2))
    features.fit(torch.tensor([[0.0, 5.0], [1.0, 9.0], [3.0, 2.0]]))
    row = torch.tensor([[2.0, 4.0]])
    clipped = smooth_clip((row - features.center) / features.scale)[0]
    for column in range(2):
        waves = torch.cos(features.frequency[column] * clipped[column] + features.phase[column])
        wanted = torch.cat([waves @ features.mix[column] + features.shift[column, 0], clipped[column : column + 1]])
        torch.testing.assert_close(features(row)[0, 4 * column : 4 * column + 4], wanted)


def test_the_generator_alone_decides_the_start() -> None:
    layout = table(3, (20,))
    first, again, other = made(layout), made(layout), made(layout, seed=1)
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name], rtol=0.0, atol=0.0)
    assert not torch.equal(first.frequency, other.frequency)


def test_all_state_travels_in_safetensors() -> None:
    layout = table(2, (5, 30))
    rows = torch.tensor([[1.0, NAN, 4.0, 29.0], [2.0, 8.0, 0.0, 3.0], [7.0, 9.0, 2.0, 0.0]])
    fitted, loaded = made(layout), made(layout, seed=9)
    fitted.fit(rows)
    loaded.load_state_dict(load(save(fitted.state_dict())))
    assert torch.equal(fitted(rows), loaded(rows))


@settings(deadline=None, max_examples=40)
@given(
    numbers=st.integers(0, 3),
    cardinalities=st.lists(st.integers(1, 14), max_size=3).map(tuple),
    number_width=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_width_is_known_and_features_finite(
    numbers: int, cardinalities: tuple[int, ...], number_width: int, seed: int
) -> None:
    if numbers + len(cardinalities) == 0:
        return
    rows = _rows(numbers, cardinalities, seed)
    features = made(table(numbers, cardinalities), number_width=number_width)
    features.fit(rows)
    found = features(rows)
    assert found.shape == (len(rows), features.width)
    assert found.isfinite().all()


@settings(deadline=None, max_examples=40)
@given(factor=st.floats(0.01, 1000.0), offset=st.floats(-1000.0, 1000.0), seed=st.integers(0, 1000))
def test_units_do_not_matter(factor: float, offset: float, seed: int) -> None:
    rows = torch.randn(50, 2, generator=torch.Generator().manual_seed(seed))
    plain, other = made(table(2)), made(table(2))
    plain.fit(rows)
    other.fit(factor * rows + offset)
    torch.testing.assert_close(plain(rows), other(factor * rows + offset), rtol=0.0, atol=0.02)


@settings(deadline=None, max_examples=40)
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=2, max_size=20))
def test_smooth_clip_is_bounded_and_keeps_the_order(numbers: list[float]) -> None:
    found = smooth_clip(torch.tensor(sorted(numbers)))
    assert found.isfinite().all()
    assert found.abs().max() <= 3.0 + 1e-6
    assert (found.diff() >= -1e-6).all()


def test_bad_settings_are_named_all_at_once() -> None:
    layout = InputLayout(kind="image", height=2, width=2, channels=1)
    with pytest.raises(
        SettingError, match=r"(?s)`layout` must be a table's.*`number_width >= 1`.*`frequencies >= 1`.*std"
    ):
        TableInput(layout, number_width=0, frequencies=0, frequency_std=0.0, generator=torch.Generator())
    with pytest.raises(SettingError, match="at least one column"):
        made(table())
    with pytest.raises(SettingError, match="must count code 0"):
        made(table(1, (0,)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.zeros(0, 2), "at least 1, 2"),
        (torch.zeros(3, 3), r"but got \(3, 3\)"),
        (torch.tensor([[0.0, math.inf]]), "has Inf"),
    ],
)
def test_bad_rows_are_refused(rows: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        made(table(2)).fit(rows)


def _rows(numbers: int, cardinalities: tuple[int, ...], seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    raw = 100.0 * torch.randn(12, numbers, generator=draw)
    raw[torch.rand(12, numbers, generator=draw) < 0.2] = NAN
    codes = [torch.randint(0, count, (12, 1), generator=draw).float() for count in cardinalities]
    return torch.cat([raw, *codes], dim=1)
