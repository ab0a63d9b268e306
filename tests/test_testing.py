"""testing.py: a broken network fails the test, with the headline."""

import pytest
import torch
from torch import Tensor, nn

import trainwell as tw
from trainwell.core.errors import SettingError
from trainwell.testing import assert_trains


def data() -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(0)
    inputs = torch.randn(500, 6, generator=made)
    return inputs, (inputs[:, 0] > 0).long()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def test_a_network_that_trains_passes() -> None:
    assert assert_trains(network(), data()).ok
    assert assert_trains(tw.Setup(network(), train=data())).ok


def test_one_that_does_not_fails_with_code_place_and_remedy() -> None:
    with pytest.raises(AssertionError, match=r"^ACT006 activation-before-loss at .*layer 1: The outputs pass"):
        assert_trains(nn.Sequential(network(), nn.Softmax(dim=1)), data())


def test_a_report_says_what_it_found() -> None:
    report = tw.check(nn.Sequential(network(), nn.Softmax(dim=1)), data(), select=("ACT006",))
    assert not report.ok
    assert report.headline is not None
    assert [each.code for each in report.findings] == ["ACT006"]
    assert '"headline": "ACT006"' in report.to_json()
    assert "ACT006" in report.to_html()
    with pytest.raises(SettingError, match="brings its own data"):
        tw.check("train.py", data())


def test_a_watched_loop_and_a_sweep_from_python() -> None:
    inputs, labels = data()
    model = nn.Sequential(network(), nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tw.watch() as watched:
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    assert [each.code for each in watched.findings if each.severity == "error"] == ["ACT006"]
    assert tw.find_lr(network(), data()).usable
