"""capture/maps.py: which linear layers stand one behind the other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.listener import Listener
from trainwell.core.records.steps import Steps


def heard(model: nn.Module, inputs: Tensor) -> Steps:
    listener = Listener(lambda _: None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with listener.listening():
        outputs = model(inputs)
        F.mse_loss(outputs, torch.zeros_like(outputs)).backward()
        optimizer.step()
    assert listener.troubles == []
    return listener.heard()


class Two(nn.Module):
    """Two layers, behind which something is computed."""

    def __init__(self, then: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.then, self.first, self.last = then, nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self.last(self.first(x)))


Net = nn.Sequential
ROWS, PICTURES = torch.randn(6, 8), torch.randn(6, 3, 8, 8)


@pytest.mark.parametrize(
    ("model", "inputs", "wanted"),
    [
        (Net(nn.Linear(8, 16), nn.Linear(16, 4)), ROWS, [(8, 16, 4, "", 192, 32)]),
        (Net(nn.Linear(8, 16, bias=False), nn.Linear(16, 4, bias=False)), ROWS, [(8, 16, 4, "", 192, 32)]),
        (Net(nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 4)), ROWS, [(8, 16, 4, "dropout", 192, 32)]),
        (Net(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)), ROWS, [(8, 16, 4, "batch norm", 192, 32)]),
        (Net(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4)), ROWS, []),
        (Net(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), ROWS, []),
        (Net(nn.Linear(8, 3), nn.Linear(3, 4)), ROWS, []),
        (Net(nn.Unflatten(1, (2, 4)), nn.Linear(4, 8), nn.Linear(8, 4)), ROWS, [(4, 8, 4, "", 64, 16)]),
        (Net(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)), PICTURES, [(3, 8, 4, "", 504, 0)]),
        (Net(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)), PICTURES, [(27, 8, 4, "", 248, 108)]),
        (Net(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 1)), PICTURES, []),
        (Net(nn.Conv2d(3, 6, 3, groups=3), nn.Conv2d(6, 4, 1)), PICTURES, []),
        (Net(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3)), PICTURES, []),
        (Net(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 64)), PICTURES, [(192, 288, 64, "", 18648, 12288)]),
        (Net(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(128, 4)), PICTURES, []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_pairs_and_their_sizes(model: nn.Module, inputs: Tensor, wanted: list[Any]) -> None:
    found = [
        (each.inputs, each.between, each.outputs, each.through, each.weights, each.enough)
        for each in heard(model, inputs).linear_pairs
    ]
    assert found == wanted


@pytest.mark.parametrize(
    ("model", "linear"),
    [
        (Net(nn.Linear(8, 16), nn.Dropout(0.5), nn.BatchNorm1d(16), nn.Linear(16, 4)), True),
        (Net(nn.Linear(8, 16), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)), False),
        (Net(nn.Linear(8, 16), nn.Linear(16, 4), nn.Softmax(dim=1)), False),
        (Net(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), False),
        (Net(Two(lambda x: x / 2 * 3 - x)), True),
        (Net(Two(lambda x: 2 / (x + 9))), False),
        (Net(Two(lambda x: x * x)), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_network_that_is_linear_as_a_whole(model: nn.Module, linear: bool) -> None:
    assert heard(model, ROWS).linear == linear


def test_the_layers_are_named() -> None:
    model = Net(Net(nn.Linear(8, 16)), nn.Linear(16, 4))
    [pair] = heard(model, ROWS).linear_pairs
    assert (pair.first.layer, pair.second.layer) == ("0.0", "1")
    assert pair.first.file is not None
    assert pair.first.file.endswith("test_maps.py")


class Raw(nn.Module):
    """Two products with parameters of its own, as many matrices of each as experts."""

    def __init__(self, then: Callable[[Tensor], Tensor] = lambda x: x, experts: int = 0) -> None:
        super().__init__()
        stack = (experts,) * bool(experts)
        self.then = then
        self.w1, self.w2 = nn.Parameter(torch.randn(*stack, 8, 16)), nn.Parameter(torch.randn(*stack, 16, 4))
        self.b1 = nn.Parameter(torch.zeros(*stack, *(1,) * bool(experts), 16))

    def forward(self, x: Tensor) -> Tensor:
        return self.then(x @ self.w1 + self.b1) @ self.w2


@pytest.mark.parametrize("experts", [0, 3])
def test_products_with_parameters_are_layers(experts: int) -> None:
    [pair] = heard(Net(Raw(experts=experts)), ROWS).linear_pairs
    assert (pair.inputs, pair.between, pair.outputs) == (8, 16, 4)
    assert (pair.first.layer, pair.second.layer) == ("0.w1", "0.w2")
    assert heard(Net(Raw(F.relu, experts=experts)), ROWS).linear_pairs == ()


def test_a_sum_of_two_products_is_no_pair() -> None:
    class Sum(Raw):
        def forward(self, x: Tensor) -> Tensor:
            return (x @ self.w1 + (x * x) @ self.w1) @ self.w2

    assert heard(Sum(), ROWS).linear_pairs == ()
