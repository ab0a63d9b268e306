"""sweeping.py: the rate at which a training goes down, read off its own steps."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from trainwell.capture.given import Setup
from trainwell.core.errors import ScriptError, SettingError
from trainwell.sweeping import find_lr, find_lr_of_setup


def data() -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(0)
    inputs = torch.randn(1000, 8, generator=made)
    return inputs, inputs @ torch.randn(8, 1, generator=made)


def test_the_interval_holds_rates_that_train() -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    before = model.weight.detach().clone()
    sweep = find_lr_of_setup(Setup(model, train=data(), optimizer=lambda p: torch.optim.SGD(p, lr=123.0)))
    assert torch.equal(before, model.weight)
    assert sweep.usable
    low, high = sweep.interval
    # Of least squares on inputs of variance 1, steps above 1 diverge; what is smoothed lags behind.
    assert low < 0.1 < high < 5.0
    assert low <= sweep.lr <= high
    assert list(sweep.curve.x) == sorted(sweep.curve.x)


def test_noise_has_no_rate() -> None:
    made = torch.Generator().manual_seed(0)
    noise = torch.randn(5000, 2, generator=made), 1e-3 * torch.randn(5000, 1, generator=made)
    setup = Setup(lambda: nn.Sequential(nn.Linear(2, 1, bias=False)), train=noise, batch_size=5)
    model = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    assert not find_lr_of_setup(Setup(model, train=setup.train, batch_size=5)).usable


def test_a_script_is_swept_as_it_is(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\n"
        "torch.manual_seed(0)\n"
        "model = torch.nn.Linear(8, 1)\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=50.0)\n"
        "true = torch.randn(8, 1)\n"
        "for _ in range(1000):\n"
        "    inputs = torch.randn(64, 8)\n"
        "    optimizer.zero_grad()\n"
        "    torch.nn.functional.mse_loss(model(inputs), inputs @ true).backward()\n"
        "    optimizer.step()\n"
    )
    sweep = find_lr(str(script), steps=60)
    assert sweep.usable
    assert 0.01 < sweep.lr < 2.0
    short = tmp_path / "short.py"
    short.write_text(script.read_text().replace("range(1000)", "range(20)"))
    with pytest.raises(ScriptError, match="took 20"):
        find_lr(str(short), steps=60)


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="steps >= 10"):
        find_lr_of_setup(Setup(nn.Linear(8, 1), train=data()), steps=3)
    with pytest.raises(SettingError, match="does not exist"):
        find_lr(str(tmp_path / "nowhere.py"))
