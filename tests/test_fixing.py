"""report.fix(): a Setup's remedies are applied where they are proven, and nothing that was handed over is changed."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

import trainwell
from trainwell.capture.given import Setup, begin
from trainwell.core.errors import SettingError


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 16 - 0.3, dtype=torch.float32), torch.tensor(labels)


def network(*last: nn.Module, given: int = 64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(given, 64), nn.ReLU(), nn.Linear(64, 10), *last)


def without_zero_grad(model: nn.Module, batch: Any, loss: Callable[..., Any], optimizer: Optimizer) -> Any:
    value = loss(model(batch[0]), batch[1])
    value.backward()
    optimizer.step()
    return value


def half_given(data: tuple[Tensor, Tensor]) -> Setup:
    model = network()
    return Setup(model, train=data, optimizer=SGD(model[0].parameters(), lr=0.1), batch_size=32)


def scaled(data: tuple[Tensor, Tensor]) -> Setup:
    others = 300 * torch.randn(len(data[0]), 4, generator=torch.Generator().manual_seed(0))
    inputs = torch.cat([data[0], others], dim=1)
    return Setup(network(given=68), train=(inputs, data[1]), optimizer=lambda given: SGD(given, lr=0.1), batch_size=32)


def fast(data: tuple[Tensor, Tensor]) -> Setup:
    return Setup(network(), train=data, optimizer=lambda given: SGD(given, lr=20.0), batch_size=32)


def kept(data: tuple[Tensor, Tensor]) -> Setup:
    optimizer = lambda given: SGD(given, lr=0.3, momentum=0.9)  # noqa: E731 - as a user would write it
    return Setup(network(), train=data, optimizer=optimizer, step=without_zero_grad, batch_size=32)


def twice(data: tuple[Tensor, Tensor]) -> Setup:
    return Setup(network(nn.Softmax(dim=1)), train=data, optimizer=lambda given: Adam(given, lr=0.01), batch_size=32)


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (half_given, "OPT006", "the optimizer has 2 more parameters"),
        (fast, "OPT002", "the learning rate is 0."),
        (kept, "OPT008", "`optimizer.zero_grad()` stands at the beginning"),
        (twice, "ACT006", '"3" (Softmax) is taken away'),
        (scaled, "DAT003", "each feature of the input is brought to mean 0"),
    ],
    ids=["half given", "fast", "kept", "twice", "scaled"],
)
def test_a_remedy_is_applied_and_said(
    digits: tuple[Tensor, Tensor], make: Callable[[tuple[Tensor, Tensor]], Setup], code: str, said: str
) -> None:
    setup = make(digits)
    assert isinstance(setup.model, nn.Module)
    before = copy.deepcopy(setup.model.state_dict())
    report = trainwell.check(setup, steps=30)
    assert report.headline is not None
    assert report.headline.code == code
    fixed = report.fix()
    assert fixed.patch[0].startswith(f"{code}: {said}")
    assert code not in {each.code for each in trainwell.check(fixed, steps=30).findings if each.severity != "info"}
    # What was handed over is as it was.
    assert setup.patch == ()
    assert all(torch.equal(tensor, before[name]) for name, tensor in setup.model.state_dict().items())
    # And what comes back can be trained.
    training = begin(fixed)
    training.step(training.model, next(training.batches), training.loss, training.optimizer)


def test_where_nothing_is_wrong_nothing_is_changed(digits: tuple[Tensor, Tensor]) -> None:
    setup = Setup(network(), train=digits, optimizer=lambda given: SGD(given, lr=0.1), batch_size=32)
    assert trainwell.check(setup, steps=30).fix() is setup


def test_a_script_is_fixed_elsewhere(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\nmodel = torch.nn.Linear(2, 1)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for _ in range(12):\n    optimizer.zero_grad()\n    model(torch.randn(8, 2)).square().mean().backward()\n"
        "    optimizer.step()\n"
    )
    with pytest.raises(SettingError, match=r"is a script\. Check it with fix=True"):
        trainwell.check(script).fix()
