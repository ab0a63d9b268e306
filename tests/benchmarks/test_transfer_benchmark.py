"""benchmarks/transfer.py: what it makes of the lines that it measured."""

import math
from typing import Any

import pytest
import transfer


def line(accuracy: float, **more: Any) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "taken": "freeze",
        "cell": "little, similarity 0.80",
        "seconds": 40.0,
        "pass_seconds": 5.0,
        "peak_mib": 900.0,
        "stages": {"decide": 6.0, "coarse-grid": 4.0},
        **more,
    }


def test_differences_are_paired_and_their_interval_is_students() -> None:
    found = transfer.against([(0.6, 0.5), (0.7, 0.6), (0.8, 0.6)])
    assert found["n"] == 3
    assert found["accuracy"] == pytest.approx(17 / 30)
    assert found["difference"] == pytest.approx(0.4 / 3)
    # t(0.975, 2) = 4.3027; the differences deviate by 0.0577.
    half = 4.3027 * 0.057735 / math.sqrt(3)
    assert found["interval"] == pytest.approx([0.4 / 3 - half, 0.4 / 3 + half], rel=1e-3)


def test_one_split_has_no_interval() -> None:
    assert transfer.against([(0.6, 0.5)])["interval"] is None


def test_a_set_is_summed_up_over_the_splits_that_were_measured() -> None:
    lines = {
        "icons fit 0": line(0.6),
        "icons fit 1": line(0.5, taken="tune_top", seconds=60.0),
        "icons logistic 0": {"accuracy": 0.55},
        "icons logistic 1": {"accuracy": 0.55},
        "icons fastai 1": {"accuracy": 0.4},
        "emoji logistic 0": {"accuracy": 0.9},
    }
    found = transfer.summary("icons", lines)
    assert found is not None
    assert (found["n"], found["fit"]) == (2, pytest.approx(0.55))
    assert found["taken"] == {"freeze": 1, "tune_top": 1}
    assert (found["seconds"], found["longest_seconds"]) == (50.0, 60.0)
    assert found["heads_in_passes"] == pytest.approx(0.8)
    assert found["asking_share"] == pytest.approx(0.1)
    assert found["logistic"]["difference"] == pytest.approx(0.0)
    assert found["fastai"]["n"] == 1
    assert transfer.summary("emoji", lines) is None
