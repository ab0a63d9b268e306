"""What repeats is found, and what merely looks alike is not."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainwell.data.duplicates import are_copies, groups_of_rows
from trainwell.data.kinds import kind_of


def rows_of(frame: pl.DataFrame) -> NDArray[np.int64]:
    kinds = tuple(column for column, _ in map(kind_of, frame.iter_columns()) if column is not None)
    return groups_of_rows(frame, kinds)


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
