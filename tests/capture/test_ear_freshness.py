"""capture/ears/freshness.py: what was trained on before, and what is said to be held out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from trainwell.capture.ears.freshness import TOKENS
from trainwell.capture.listener import Listener
from trainwell.core.records.steps import Steps

X = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))
Y = torch.randint(3, (96,), generator=torch.Generator().manual_seed(1))


def heard(train: Callable[[nn.Module, Any], None]) -> Steps:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    listener = Listener(lambda _: None)
    with listener.listening():
        train(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert listener.troubles == []
    return listener.heard()


def epoch(model: nn.Module, optimizer: Any, rows: torch.Tensor, *, size: int = 16) -> None:
    for chosen in rows.split(size):
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(X[chosen]), Y[chosen]).backward()
        optimizer.step()


def test_samples_are_fresh_once() -> None:
    def train(model: nn.Module, optimizer: Any) -> None:
        epoch(model, optimizer, torch.arange(64))
        epoch(model, optimizer, torch.arange(96))

    steps = heard(train)
    assert steps.samples == (16,) * 10
    assert steps.fresh == (16,) * 4 + (0,) * 4 + (16,) * 2


def test_what_is_printed_before_the_training_is_not_trained_on() -> None:
    def train(model: nn.Module, optimizer: Any) -> None:
        assert model(X[64:]).shape == (32, 3)
        epoch(model, optimizer, torch.arange(64))
        validation = X[64:]
        with torch.no_grad():
            model(validation)

    [seen] = heard(train).held_out
    assert (seen.samples, seen.trained, seen.known, seen.repeated) == (32, 0, 64, 0)


def test_what_is_trained_on_is_recognized_through_noise_by_the_loader() -> None:
    def train(model: nn.Module, optimizer: Any) -> None:
        for x, y in DataLoader(TensorDataset(X, Y), batch_size=16):
            optimizer.zero_grad()
            F.cross_entropy(model(x + 0.01 * torch.randn_like(x)), y).backward()
            optimizer.step()
        val_loader = DataLoader(TensorDataset(X[:32], Y[:32]), batch_size=16)
        with torch.no_grad():
            for x, _ in val_loader:
                model(x)

    [seen] = heard(train).held_out
    assert (seen.samples, seen.trained) == (32, 32)


@pytest.mark.parametrize("what", ["train", "whole"])
def test_nothing_is_held_out_of_what_is_named_as_training_or_given_whole(what: str) -> None:
    def train(model: nn.Module, optimizer: Any) -> None:
        epoch(model, optimizer, torch.arange(96), size=96 if what == "whole" else 16)
        epoch(model, optimizer, torch.arange(96), size=96 if what == "whole" else 16)
        with torch.no_grad():
            if what == "whole":
                validation = model(X)[64:]
                assert len(validation) == 32
            else:
                assert model(X[:32]).shape == (32, 3), "train and val"

    assert heard(train).held_out == ()


def test_rows_that_repeat_themselves_are_counted() -> None:
    def train(model: nn.Module, optimizer: Any) -> None:
        epoch(model, optimizer, torch.arange(64))
        test_rows = X[64:68].repeat(5, 1)
        with torch.no_grad():
            model(test_rows)

    [seen] = heard(train).held_out
    assert (seen.samples, seen.repeated) == (4, 16)


@pytest.mark.parametrize("letters", [TOKENS - 1, TOKENS])
def test_whole_numbers_are_text_from_eight_on(letters: int) -> None:
    text = torch.randint(20, (48, letters), generator=torch.Generator().manual_seed(2))
    model = nn.Sequential(nn.Embedding(20, 4), nn.Flatten(), nn.Linear(4 * letters, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    listener = Listener(lambda _: None)
    with listener.listening():
        for rows in torch.arange(40).split(10):
            optimizer.zero_grad()
            F.cross_entropy(model(text[rows]), Y[rows]).backward()
            optimizer.step()
        validation = text[24:]
        with torch.no_grad():
            model(validation)
    found = [(each.samples, each.trained) for each in listener.heard().held_out]
    assert found == ([(24, 16)] if letters == TOKENS else [])
