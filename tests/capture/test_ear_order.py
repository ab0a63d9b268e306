"""capture/ears/order.py: the order of labels, and the loader that they come from."""

import itertools
import statistics

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import dataloader as torch_dataloader

from trainwell.capture.ears.order import Order, _runs_by_chance
from trainwell.capture.listener import Listener
from trainwell.core.records.seen.data import LabelsSeen


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2], [0, 1], [0, 0, 0, 1], [0, 0, 1, 1, 1, 2, 2]])
def test_runs_of_all_orders(labels: list[int]) -> None:
    runs = [1 + sum(a != b for a, b in itertools.pairwise(order)) for order in itertools.permutations(labels)]
    mean, deviation = _runs_by_chance([labels.count(each) for each in sorted(set(labels))])
    assert mean == pytest.approx(statistics.mean(runs))
    assert deviation == pytest.approx(statistics.pstdev(runs))


def trained(loader: DataLoader[tuple[torch.Tensor, ...]], *, epochs: int = 1) -> None:
    model = nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()


def heard(data: TensorDataset, *, epochs: int = 1, shuffle: bool = False) -> tuple[LabelsSeen, Listener]:
    listener = Listener(lambda _: None)
    with listener.listening():
        trained(DataLoader(data, batch_size=5, shuffle=shuffle), epochs=epochs)
    assert listener.troubles == []
    [seen] = listener.heard().labels
    return seen, listener


def data(labels: torch.Tensor) -> TensorDataset:
    return TensorDataset(torch.randn(len(labels), 3), labels)


def test_what_is_counted() -> None:
    torch.manual_seed(0)
    seen, _ = heard(data(torch.arange(4).repeat_interleave(10)), epochs=3)
    assert (seen.samples, seen.batches, seen.classes, seen.runs) == (40, 8, 4, 4)
    assert (seen.whole, seen.filling, seen.order) == (8, 4, "sequential")
    assert seen.expected_runs == pytest.approx(41 - 400 / 40)
    assert seen.loaded_at.file is not None
    assert seen.loaded_at.file.endswith("test_ear_order.py")
    assert seen.where.line is not None
    assert seen.loaded_at.line is not None
    assert seen.loaded_at.line > seen.where.line


def test_a_loader_that_shuffles_is_known() -> None:
    torch.manual_seed(0)
    seen, _ = heard(data(torch.arange(4).repeat_interleave(10)), shuffle=True)
    assert seen.order == "shuffled"
    assert seen.runs > 15


def test_ignored_targets_are_no_labels() -> None:
    torch.manual_seed(0)
    seen, _ = heard(data(torch.tensor([0, -100, 1, 1, -100] * 4)))
    assert (seen.samples, seen.classes) == (3, 2)


def test_one_sample_a_step_without_a_batch() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    listener = Listener(lambda _: None)
    with listener.listening():
        for label in torch.arange(4).repeat_interleave(6):
            optimizer.zero_grad()
            F.nll_loss(model(torch.randn(3)).log_softmax(0), label).backward()
            optimizer.step()
    assert listener.troubles == []
    [seen] = listener.heard().labels
    assert (seen.samples, seen.batches, seen.classes, seen.runs) == (24, 24, 4, 4)


def test_loaders_are_left_as_they_were() -> None:
    before = (DataLoader.__init__, DataLoader.__iter__, torch_dataloader._BaseDataLoaderIter.__next__)
    labels = torch.arange(4).repeat_interleave(10)
    torch.manual_seed(0)
    trained(DataLoader(data(labels), batch_size=5, shuffle=True))
    alone = torch.get_rng_state()
    torch.manual_seed(0)
    heard(data(labels), shuffle=True)
    assert torch.equal(torch.get_rng_state(), alone)
    assert (DataLoader.__init__, DataLoader.__iter__, torch_dataloader._BaseDataLoaderIter.__next__) == before


def test_the_loader_itself_is_kept_and_its_batches_are_not() -> None:
    torch.manual_seed(0)
    _, listener = heard(data(torch.arange(40) % 4), epochs=4)
    ear = listener.ear(Order)
    assert ear.feeding is not None
    assert len(ear.loaders.given) == 1
