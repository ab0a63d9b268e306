"""Parts: disjoint, whole, stratified, with repeats on one side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainwell.core.seeds import generator
from trainwell.data.raw import UNDECIDED
from trainwell.data.splits import MOST, draw_parts, part_size, strata_of_quantities


def drawn(
    strata: NDArray[np.int64], groups: NDArray[np.int64], *, seed: int = 0, given: NDArray[np.int8] | None = None
) -> NDArray[np.int8]:
    return draw_parts(
        strata,
        groups,
        given=np.full(len(strata), UNDECIDED, np.int8) if given is None else given,
        classes=int(strata.max()) + 1,
        generator=generator(seed, "split"),
    )


@st.composite
def problems(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = draw(st.lists(st.integers(2, 40), min_size=2, max_size=8))
    strata = np.repeat(np.arange(len(counts)), counts)
    groups = np.arange(len(strata))
    for _ in range(draw(st.integers(0, 6))):
        a, b = draw(st.integers(0, len(strata) - 1)), draw(st.integers(0, len(strata) - 1))
        groups[groups == groups[a]] = groups[b]
    order = np.random.default_rng(draw(st.integers(0, 100))).permutation(len(strata))
    return strata[order], groups[order]


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(0, 5))
def test_parts(problem: tuple[NDArray[np.int64], NDArray[np.int64]], seed: int) -> None:
    strata, groups = problem
    parts = drawn(strata, groups, seed=seed)
    assert set(np.unique(parts)) <= {0, 1, 2}
    for group in np.unique(groups):
        assert len(np.unique(parts[groups == group])) == 1
    assert (parts == drawn(strata, groups, seed=seed)).all()
    # A class can only be missing in training if all its samples repeat samples of another class.
    for stratum in np.unique(strata):
        if len(np.unique(groups)) == len(groups):
            assert (parts[strata == stratum] == 0).any()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(20, 400), min_size=2, max_size=6), st.integers(0, 3))
def test_stratified(counts: list[int], seed: int) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    parts = drawn(strata, np.arange(len(strata)), seed=seed)
    wanted = part_size(len(strata), classes=len(counts))
    for part in (1, 2):
        assert (parts == part).sum() == max(1, wanted)
        got = np.bincount(strata[parts == part], minlength=len(counts))
        assert (np.abs(got - np.array(counts) * wanted / len(strata)) <= 1).all()


def test_another_seed_draws_another_split() -> None:
    strata = np.repeat([0, 1], 50)
    assert (drawn(strata, np.arange(100), seed=0) != drawn(strata, np.arange(100), seed=1)).any()


def test_two_samples_a_class() -> None:
    strata = np.repeat(np.arange(3), [2, 2, 100])
    parts = drawn(strata, np.arange(104))
    for stratum in (0, 1):
        assert sorted(parts[strata == stratum]) == [0, 2]


def test_four_samples_fill_three_parts() -> None:
    assert sorted(drawn(np.array([0, 0, 1, 1]), np.arange(4))) == [0, 0, 1, 2]


def test_given_parts_stay() -> None:
    given = np.repeat(np.array([0, 2], np.int8), [80, 20])
    parts = drawn(np.tile([0, 1], 50), np.arange(100), given=given)
    assert (parts[80:] == 2).all()
    assert (parts[:80] != 2).all()
    assert (parts == 1).sum() == part_size(80, classes=2)


def test_all_parts_given() -> None:
    given = np.repeat(np.array([0, 1, 2], np.int8), 10)
    assert (drawn(np.tile([0, 1], 15), np.arange(30), given=given) == given).all()


@pytest.mark.parametrize(("samples", "size"), [(100, 15), (10_000, 1500), (60_000, 3674), (10**7, MOST)])
def test_part_size(samples: int, size: int) -> None:
    assert part_size(samples) == size


def test_part_size_gives_each_class_a_few() -> None:
    assert part_size(50_000, classes=1000) == 5000


def test_large_groups_go_to_training() -> None:
    groups = np.r_[np.zeros(60, int), np.arange(1, 41)]
    parts = drawn(np.zeros(100, int), groups)
    assert (parts[:60] == 0).all()
    assert (parts == 1).sum() == (parts == 2).sum() == 15


def test_quantiles_share_the_range() -> None:
    values = np.random.default_rng(0).exponential(size=(200, 1))
    strata = strata_of_quantities(values)
    assert (np.bincount(strata) == 20).all()
    parts = drawn(strata, np.arange(200))
    means = [values[parts == part].mean() for part in (0, 1, 2)]
    assert max(means) - min(means) < 0.15
