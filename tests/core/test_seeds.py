"""core/seeds.py."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.seeds import derive_seed, generator, seeded

paths = st.lists(st.one_of(st.integers(0, 10**6), st.text("abc", min_size=1, max_size=4)), max_size=3)


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**63 - 1), path=paths)
def test_derived_seeds_fit_torch_and_depend_on_all_of_the_path(seed: int, path: list[str | int]) -> None:
    made = derive_seed(seed, *path)
    assert 0 <= made < 2**63
    assert made == derive_seed(seed, *path)
    assert made != derive_seed(seed, *path, "more")
    assert made != derive_seed(seed + 1, *path)
    torch.Generator().manual_seed(made)


def test_the_derivation_never_changes() -> None:
    # A run that is resumed by a later version draws what it drew before.
    assert derive_seed(0, "epoch", 1) == 8372147079113586533
    assert derive_seed(7) == 8333924190356522945


def test_a_generator_is_its_seed() -> None:
    first, again, other = generator(3, "a"), generator(3, "a"), generator(3, "b")
    assert torch.equal(torch.rand(5, generator=first), torch.rand(5, generator=again))
    assert first.initial_seed() == derive_seed(3, "a")
    assert other.initial_seed() != first.initial_seed()


def test_seeded_leaves_the_global_generators_as_they_were() -> None:
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002 - the global state is what is watched
    before, numbers = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    with seeded(5, "step", 1):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state(legacy=False)["state"]["key"] == numbers).all()  # noqa: NPY002
    with seeded(5, "step", 1):
        assert torch.equal(torch.rand(4), first)
    with seeded(5, "step", 2):
        assert not torch.equal(torch.rand(4), first)


def fails_within() -> None:
    with seeded(1):
        torch.rand(1)
        raise RuntimeError("within")


def test_seeded_restores_after_an_error_too() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="within"):
        fails_within()
    assert torch.equal(torch.get_rng_state(), before)
