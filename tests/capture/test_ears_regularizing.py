"""capture/ears: norms, decay, dropout, loading and repeated hear what happens, and nothing is disturbed by it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW
from torch.utils.data import DataLoader, TensorDataset

from trainwell.capture.ears.dropout import is_meant
from trainwell.capture.listener import Listener
from trainwell.core.records.finding import Where
from trainwell.core.records.steps import Steps

SAMPLES, LABELS = torch.randn(48, 6, generator=torch.Generator().manual_seed(0)), torch.arange(48) % 3


def heard(train: Callable[[], object]) -> Steps:
    listener = Listener(lambda _: None)
    with listener.listening():
        train()
    assert listener.troubles == []
    return listener.heard()


class Noisy(nn.Module):
    """A norm, a dropout that is always on, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(self.norm(self.first(x)).relu(), 0.2)
        found: Tensor = self.last(F.dropout(x, 0.3, training=self.training))
        return found


def everything(*, begin_anew: bool = False) -> dict[str, Tensor]:
    torch.manual_seed(0)
    donor, model = Noisy(), Noisy()
    model.load_state_dict(donor.state_dict())
    optimizer = AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    loader = DataLoader(TensorDataset(SAMPLES, LABELS), batch_size=8, shuffle=True)
    for _ in range(2):
        for x, y in loader:
            given, labels = next(iter(loader)) if begin_anew else (x, y)
            optimizer.zero_grad()
            F.cross_entropy(model(given), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            model(SAMPLES)
        model.train()
    return model.state_dict()


@pytest.mark.parametrize("begin_anew", [False, True])
def test_nothing_is_disturbed(begin_anew: bool) -> None:
    alone = everything(begin_anew=begin_anew)
    generators = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"]
    found: dict[str, Tensor] = {}
    heard(lambda: found.update(everything(begin_anew=begin_anew)))
    assert all(torch.equal(tensor, found[name]) for name, tensor in alone.items())
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], generators[1])


def test_what_was_replaced_is_put_back() -> None:
    from torch.utils.data.dataloader import _BaseDataLoaderIter

    before = nn.Module.load_state_dict, DataLoader.__iter__, _BaseDataLoaderIter.__next__
    heard(everything)
    assert (nn.Module.load_state_dict, DataLoader.__iter__, _BaseDataLoaderIter.__next__) == before


def test_all_of_it_is_heard() -> None:
    steps = heard(everything)
    [norm] = steps.norms
    assert (norm.name, norm.first, norm.calls, norm.values) == ("norm", True, 12, 8.0)
    assert not norm.trained
    assert not norm.frozen
    assert norm.moved == 0.0
    [decay] = steps.decay
    assert (decay.parameters, decay.vectors, decay.decay) == (6, 4, 0.1)
    assert decay.share == pytest.approx(1e-3)
    always, once = steps.dropout
    assert (always.probability, always.training, always.testing, always.repeated) == (0.2, 12, 2, False)
    assert (once.probability, once.training, once.testing) == (0.3, 12, 0)
    assert steps.loaded is not None
    # Weights of the norm are ones in both.
    assert steps.loaded.weights == 6 * 16 + 16 + 16 * 3 + 3
    for where in (norm.where, decay.where, always.where, steps.loaded.where):
        assert where.file is not None
        assert where.file.endswith("test_ears_regularizing.py")
    assert steps.repeated is None


def stepped(model: nn.Module, *, evaluate_first: bool = False) -> Callable[[], None]:
    def train() -> None:
        if evaluate_first:
            model.eval()
            model(SAMPLES)
            model.train()
        optimizer = SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
        for _ in range(3):
            F.cross_entropy(model(SAMPLES), LABELS).backward()
            optimizer.step()

    return train


def with_statistics(*, mean: float, variance: float) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Identity(), nn.BatchNorm1d(6), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    first = model[1]
    assert isinstance(first, nn.BatchNorm1d)
    assert first.running_mean is not None
    assert first.running_var is not None
    first.running_mean.fill_(mean)
    first.running_var.fill_(variance)
    return model


def test_distance_of_a_batch_from_running_statistics() -> None:
    first, second = heard(stepped(with_statistics(mean=6.0, variance=4.0))).norms
    offset = ((SAMPLES.mean(0) - 6.0).abs() / 2.0).median().item()
    assert first.offset == pytest.approx(offset, rel=1e-4)
    assert first.scale == pytest.approx((SAMPLES.std(0) / 2.0).median().item(), rel=1e-4)
    assert first.moved == pytest.approx(offset * (1 - 0.9**3), rel=1e-3)
    assert not second.first
    assert math.isnan(second.offset)


def test_what_is_called_in_test_mode_does_not_move() -> None:
    model = with_statistics(mean=1.0, variance=1.0)
    model[1].eval()
    first, _ = heard(stepped(model)).norms
    assert (first.calls, first.values, first.moved, first.frozen) == (0, 0.0, 0.0, False)


@pytest.mark.parametrize("frozen", ["norm", "norm and layer", "nothing"])
def test_frozen_with_what_comes_before(frozen: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    if frozen != "nothing":
        model[1].requires_grad_(False)
    if frozen == "norm and layer":
        model[0].requires_grad_(False)
    [norm] = heard(stepped(model)).norms
    assert norm.frozen is (frozen == "norm and layer")


def test_weights_that_others_move_are_not_frozen() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    model[0].requires_grad_(False)
    model[1].requires_grad_(False)
    plain = stepped(model)

    def train() -> None:
        plain()
        next(model[0].parameters()).data.mul_(0.99)

    [norm] = heard(train).norms
    assert not norm.frozen


def test_lazy_norms_and_those_without_statistics() -> None:
    model = nn.Sequential(
        nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 3)
    )
    model(SAMPLES)
    lazy, none = heard(stepped(model)).norms
    assert lazy.trained
    assert not none.trained
    fresh = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Linear(8, 3))

    def train() -> None:
        fresh(SAMPLES)
        stepped(fresh)()

    assert [each.calls for each in heard(train).norms] == [3]


def test_weights_that_are_loaded_and_not_trained_do_not_count() -> None:
    def train() -> None:
        torch.manual_seed(0)
        policy, target = nn.Linear(6, 3), nn.Linear(6, 3)
        target.load_state_dict(policy.state_dict())
        policy.load_state_dict(policy.state_dict())
        stepped(policy)()
        target.load_state_dict(policy.state_dict())
        policy.load_state_dict(target.state_dict())

    assert heard(train).loaded is None


def test_a_literal_says_what_is_meant(tmp_path: Any) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "x = F.dropout(x, 0.5, training=True)\n"
        "x = F.dropout(x, 0.5)\n"
        "x = F.dropout(\n    x,\n    0.5,\n    True,\n)\n"
        "x = F.dropout(x, 0.5, training=always)\n"
        "x = torch.dropout(x, 0.5, train=True)\n"
        "x = F.scaled_dot_product_attention(x, x, x, None, 0.5, True)\n"
    )
    lines = [(1, True), (2, False), (3, True), (5, True), (8, False), (9, True)]
    for line, wanted in lines:
        assert is_meant("dropout", Where(file=str(file), line=line)) is wanted, line
    assert not is_meant("scaled_dot_product_attention", Where(file=str(file), line=10))
    assert not is_meant("dropout", Where())
    assert not is_meant("dropout", Where(file=str(tmp_path / "none.py"), line=1))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_begun_anew_at_each_step(workers: int) -> None:
    def train() -> None:
        model = nn.Linear(6, 3)
        optimizer = SGD(model.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(SAMPLES, LABELS), batch_size=8, num_workers=workers)
        for _ in range(4):
            x, y = next(iter(loader))
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    seen = heard(train).repeated
    assert seen is not None
    assert (seen.steps, seen.batches, seen.length, seen.anew) == (4, 4, 6, True)
    assert seen.where.line == train.__code__.co_firstlineno + 5


def test_a_batch_of_before_the_loop() -> None:
    def train() -> None:
        model = nn.Linear(6, 3)
        optimizer = SGD(model.parameters(), lr=0.1)
        loader = DataLoader(TensorDataset(SAMPLES, LABELS), batch_size=8)
        given, labels = next(iter(loader))
        for _x, _y in loader:
            F.cross_entropy(model(given), labels).backward()
            optimizer.step()

    seen = heard(train).repeated
    assert seen is not None
    assert (seen.steps, seen.batches, seen.anew) == (6, 7, False)
