"""What a network must beat is measured within its share of the budget, and says so where that cut it short."""

from pathlib import Path

import pytest

from trainwell.data.dataset import Dataset
from trainwell.data.prepare import prepare
from trainwell.recipe.yardsticks import LEAST_ROUNDS, measure_yardsticks


@pytest.fixture(scope="module", params=["wine", "diabetes"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cache: Path = tmp_path_factory.mktemp("cache")
    return prepare(request.param, cache=cache)


def test_boosting_in_stretches_is_boosting_at_once(dataset: Dataset) -> None:
    at_once = measure_yardsticks(dataset, seed=0, budget_seconds=None)
    in_stretches = measure_yardsticks(dataset, seed=0, budget_seconds=1e9)
    assert [each.name for each in in_stretches] == [each.name for each in at_once]
    for one, other in zip(in_stretches, at_once, strict=True):
        assert one.metric == pytest.approx(other.metric, abs=1e-12)
        assert one.loss == pytest.approx(other.loss, abs=1e-9)
    assert all(each.seconds == 0.0 for each in at_once)
    assert in_stretches[-1].seconds > 0.0


def test_a_short_budget_gives_fewer_rounds_and_says_so(dataset: Dataset) -> None:
    found = measure_yardsticks(dataset, seed=0, budget_seconds=1e-6)
    assert found[-1].name == f"HistGradientBoosting of {LEAST_ROUNDS} rounds"
    assert found[-1].test is not None
