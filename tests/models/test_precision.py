"""models/precision.py: bfloat16 only where it is faster, and little time lost where it is not."""

import time
from collections.abc import Iterator

import pytest
import torch

from trainwell.core.records.trial import Precision
from trainwell.models import precision
from trainwell.models.precision import faster_precision, knows_bfloat16


def working(plain: float, half: float, made: list[Precision]) -> Iterator[Precision]:
    """The precision that is chosen where a run takes so many seconds in each."""

    def work(wanted: Precision) -> Iterator[None]:
        while True:
            time.sleep(plain if wanted == "float32" else half)
            made.append(wanted)
            yield

    yield faster_precision(work)


def test_the_faster_one_is_taken() -> None:
    made: list[Precision] = []
    assert next(working(0.02, 0.005, made)) == "bfloat16"
    assert made.count("bfloat16") == precision.RUNS + 2


def test_what_is_no_faster_is_not_worth_its_noise() -> None:
    assert next(working(0.01, 0.01, [])) == "float32"


def test_an_imitated_bfloat16_is_given_up_after_its_second_run() -> None:
    made: list[Precision] = []
    assert next(working(0.01, 0.1, made)) == "float32"
    assert made.count("bfloat16") == 2


def test_a_hopeless_first_run_is_the_last() -> None:
    made: list[Precision] = []
    assert next(working(0.01, precision.FIRST_SECONDS + 0.05, made)) == "float32"
    assert made.count("bfloat16") == 1


def test_no_time_is_spent_on_a_device_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not knows_bfloat16("mps")
    assert knows_bfloat16("cuda:1")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not knows_bfloat16("cpu")
