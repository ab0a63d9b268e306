"""capture/loaders.py: a loader's workers are asked once more, and nothing hangs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    SequentialSampler,
    Subset,
    get_worker_info,
)

from trainwell.capture import loaders
from trainwell.capture.dependence import UntoldError
from trainwell.capture.loaders import further_labels, order_of, worker_randomness
from trainwell.core.records.finding import Where

COMMON = np.random.default_rng(5)


class Given(Dataset[Any]):
    """Gives what a function makes of an index."""

    def __init__(self, make: Callable[[int], Any], **own: Any) -> None:
        self.make, self.own = make, own

    def __len__(self) -> int:
        return 100

    def __getitem__(self, place: int) -> Any:
        return self.make(place)


class Jitter:
    """A transform that holds its generator."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)

    def __call__(self, place: int) -> torch.Tensor:
        return place + torch.rand(3, generator=self.generator)


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(10))


def in_pairs(jitter: Jitter) -> Callable[[int], Any]:
    return lambda place: {"noisy": jitter(place), "other": [torch.rand(2)]}


def asked(data: Dataset[Any], **options: Any) -> Any:
    return worker_randomness(DataLoader(data, num_workers=2, **options), where=Where())


@pytest.mark.parametrize(
    ("data", "repeated", "alike"),
    [
        (Given(lambda place: COMMON.normal()), ("COMMON",), True),
        (Given(Jitter()), ("dataset.make.generator",), True),
        (Subset(Given(Jitter()), [4, 5]), ("dataset.dataset.make.generator",), True),
        # Some of what is drawn differs, and some does not.
        (Given(in_pairs(Jitter())), ("jitter.generator",), False),
        (Given(lambda place: torch.rand(2)), (), False),
        (Given(lambda place: np.random.rand(2)), (), False),
        # Drawn by the sample's number, the same each time, on purpose.
        (Given(lambda place: np.random.default_rng(place).normal()), (), True),
    ],
)
def test_generators_that_stand_alike(data: Dataset[Any], repeated: tuple[str, ...], alike: bool) -> None:
    found = asked(data)
    assert found.repeated == repeated
    assert found.alike == alike
    # The line that draws.
    assert (found.where.line is not None) == bool(repeated)


def test_the_line_that_draws_is_named() -> None:
    found = asked(Subset(Given(Jitter()), [4, 5]))
    assert found.where.file is not None
    assert found.where.line is not None
    line = Path(found.where.file).read_text().splitlines()[found.where.line - 1]
    assert "torch.rand(3, generator=self.generator)" in line


def reseed(worker: int) -> None:
    info = get_worker_info()
    assert info is not None
    dataset: Any = info.dataset
    dataset.make.generator.manual_seed(info.seed)


def test_the_customary_remedy_is_seen() -> None:
    found = asked(Given(Jitter()), worker_init_fn=reseed)
    assert found.random
    assert not found.alike
    assert found.repeated == ()


def test_nothing_is_drawn_here() -> None:
    data = Given(Jitter())
    jitter = data.make
    assert isinstance(jitter, Jitter)
    before = torch.get_rng_state(), jitter.generator.get_state(), np.random.get_state(legacy=False)["state"]["key"]
    asked(data)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(jitter.generator.get_state(), before[1])
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], before[2])


def refuse(place: int) -> Any:
    raise ValueError("no such sample")


@pytest.mark.parametrize(
    ("loader", "why"),
    [
        (None, "no DataLoader"),
        (DataLoader(Given(int), num_workers=1), "fewer than two workers"),
        (DataLoader(Stream(), num_workers=2), "stream"),
        (DataLoader(Given(int), batch_size=None, num_workers=2), "makes its own batches"),
        (DataLoader(Given(int), num_workers=2, multiprocessing_context="spawn"), "not forks"),
    ],
)
def test_what_cannot_be_asked(loader: DataLoader[Any] | None, why: str) -> None:
    with pytest.raises(UntoldError, match=why):
        worker_randomness(loader, where=Where())


def test_a_dataset_that_raises() -> None:
    with pytest.raises(UntoldError, match="could not be asked: Caught ValueError"):
        asked(Given(refuse))


def test_a_dataset_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "SECONDS", 0.5)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    began = time.monotonic()
    with pytest.raises(UntoldError, match="timed out"):
        asked(Given(lambda place: time.sleep(60)))
    assert time.monotonic() - began < 15


def test_further_labels_are_asked_for() -> None:
    data = Given(lambda place: (torch.zeros(2), place // 60))
    found = further_labels(DataLoader(data, batch_size=10), (1,), seen=20, label=0)
    assert (found.samples, found.asked) == (100, 32)
    assert found.others == sum(place >= 60 for place in range(20, 100, 2)[:32])


@pytest.mark.parametrize(
    ("options", "seen", "label", "why"),
    [
        ({"shuffle": True}, 20, 0, "in order"),
        ({}, 100, 0, "every sample"),
        ({}, 20, 7, "where the labels"),
    ],
)
def test_further_labels_that_cannot_be_told(options: dict[str, Any], seen: int, label: int, why: str) -> None:
    data = Given(lambda place: (torch.zeros(2), 0))
    with pytest.raises(UntoldError, match=why):
        further_labels(DataLoader(data, batch_size=10, **options), (1,), seen=seen, label=label)


def test_orders() -> None:
    data = Given(int)

    class Own(SequentialSampler):
        pass

    class Batches(BatchSampler):
        pass

    assert order_of(DataLoader(Stream())) == "stream"
    assert order_of(DataLoader(data, sampler=DistributedSampler(data, num_replicas=2, rank=0))) == "shuffled"
    alike: DistributedSampler[Any] = DistributedSampler(data, num_replicas=2, rank=0, shuffle=False)
    assert order_of(DataLoader(data, sampler=alike)) == "sequential"
    assert order_of(DataLoader(data, sampler=list(range(5)))) == "own"
    assert order_of(DataLoader(data, batch_sampler=Batches(Own(data), 3, False))) == "own"
