"""capture/ears/evaluations.py: what networks are given in training and in test mode."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.dependence import UntoldError
from trainwell.capture.ears.evaluations import Evaluations
from trainwell.capture.listener import Listener


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.drop(self.first(x).relu()))
        return found


def heard(model: nn.Module, evaluate: Callable[[nn.Module], object], *, channels: bool = False) -> Evaluations:
    torch.manual_seed(0)
    x = torch.randn(128, 3, 4, 4) if channels else torch.randn(128, 4)
    y = x.flatten(1)[:, :3].argmax(dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    listener = Listener(lambda _: None)
    with listener.listening():
        for chosen in torch.arange(128).repeat(4).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            evaluate(model)
        model.train()
        assert listener.troubles == []
        listener._deaf = True
        ear = listener.ear(Evaluations)
        assert isinstance(ear, Evaluations)
        return ear


def test_moments_and_losses() -> None:
    torch.manual_seed(1)
    x = torch.randn(64, 4)
    y = x[:, :3].argmax(dim=1)
    criterion = nn.CrossEntropyLoss(reduction="sum")
    model = Net()
    seen = heard(model, lambda model: criterion(model(3 * x + 2), y)).again()
    assert (seen.samples, seen.features) == (64, 4)
    assert seen.offset == pytest.approx(2, abs=0.4)
    assert seen.ratio == pytest.approx(3, abs=0.5)
    model.eval()
    with torch.no_grad():
        # The function that the script called, with its options.
        assert seen.loss == pytest.approx(F.cross_entropy(model(3 * x + 2), y, reduction="sum").item(), rel=1e-4)
        assert seen.loss_as_trained == pytest.approx(F.cross_entropy(model(x), y, reduction="sum").item(), rel=0.3)
    assert seen.where.file is not None
    assert seen.where.file.endswith("test_ear_evaluations.py")


def test_channels_and_inputs_by_name() -> None:
    torch.manual_seed(1)
    x = torch.randn(64, 3, 4, 4)
    scales = torch.tensor([10.0, 10.0, 10.0]).view(3, 1, 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    seen = heard(model, lambda model: F.cross_entropy(model(input=x * scales), torch.zeros(64).long()), channels=True)
    found = seen.again()
    assert found.features == 3
    assert found.ratio == pytest.approx(10, rel=0.2)
    assert found.loss_as_trained < found.loss


@pytest.mark.parametrize(
    ("evaluate", "why"),
    [
        (lambda model: None, "no network was evaluated"),
        (lambda model: model(torch.randn(8, 4)), "no network was evaluated"),
        (lambda model: model.train()(torch.randn(64, 4)), "no network was evaluated"),
    ],
    ids=["never", "too few", "in training mode"],
)
def test_what_is_no_evaluation(evaluate: Callable[[nn.Module], object], why: str) -> None:
    with pytest.raises(UntoldError, match=why):
        heard(Net(), evaluate).again()


def test_what_is_compared_with_nothing() -> None:
    seen = heard(Net(), lambda model: model(5 * torch.randn(64, 4))).again()
    assert seen.ratio == pytest.approx(5, rel=0.3)
    assert seen.loss != seen.loss


def test_a_copy_of_the_network_is_evaluated_in_its_place() -> None:
    torch.manual_seed(1)
    x = torch.randn(64, 4)
    y = x[:, :3].argmax(dim=1)
    averaged = Net().eval()
    seen = heard(Net(), lambda _: F.cross_entropy(averaged(3 * x), y)).again()
    assert seen.ratio == pytest.approx(3, abs=0.5)


def test_another_network_is_not() -> None:
    other = nn.Sequential(nn.Linear(4, 3)).eval()
    with pytest.raises(UntoldError, match="no network was evaluated"):
        heard(Net(), lambda _: F.cross_entropy(other(torch.randn(64, 4)), torch.zeros(64).long())).again()


class Given(NamedTuple):
    rows: Tensor
    scale: float


class OfTuples(Net):
    def forward(self, x: Any) -> Tensor:
        return super().forward(x.rows * x.scale if isinstance(x, Given) else x)


def test_inputs_in_a_tuple_and_differences_by_hand() -> None:
    torch.manual_seed(1)
    given, wanted = Given(torch.randn(64, 4) + 5, 1.0), torch.zeros(64, 3)
    seen = heard(OfTuples(), lambda model: (model(given) - wanted).abs().mean()).again()
    assert seen.offset == pytest.approx(5, abs=1)
    assert seen.loss > 0
    assert seen.loss_as_trained != seen.loss
