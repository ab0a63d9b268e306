"""capture/rectifying.py and the interventions that change what stands in a network."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.interventions import changed
from trainwell.capture.listener import Listener
from trainwell.capture.rectifying import hidden_calls
from trainwell.core.records.forks import Fork

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] * X[:, 1] > 0).long()


class Squashed(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor], *, outputs: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
        self.last, self.activation = nn.Linear(6, outputs), activation

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.activation(layer(x))
        found: Tensor = self.last(x)
        return found


class OwnSigmoid(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid()


def in_place(x: Tensor) -> Tensor:
    return x.sigmoid_()


def trained(make: Callable[[], nn.Module], *, steps: int = 6) -> list[float]:
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), Y)
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return values


@pytest.mark.parametrize(
    "activation", [torch.sigmoid, torch.tanh, F.hardsigmoid, nn.Sigmoid(), nn.Tanh(), OwnSigmoid(), in_place]
)
def test_other_activations_are_what_the_script_would_do_with_relu(activation: Callable[[Tensor], Tensor]) -> None:
    with changed(Fork(changed="redrawn weights")):
        wanted = trained(lambda: Squashed(torch.relu))
    listener = Listener(lambda _: None)
    with listener.listening(), changed(Fork(changed="ReLU")):
        found = trained(lambda: Squashed(activation))
    assert found == wanted
    assert listener.troubles == []
    assert trained(lambda: Squashed(activation)) != wanted


def test_gates_and_outputs_are_no_hidden_activations() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.gate, self.last = nn.Linear(6, 4), nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            hidden = torch.tanh(self.first(x))
            hidden = F.dropout(hidden, 0.5, self.training) * torch.sigmoid(self.gate(hidden))
            return torch.sigmoid(self.last(hidden))

    # The tangent is multiplied too, and the gate's weights take it up: a gate wins.
    assert hidden_calls(Gated(), (X,)) == frozenset()
    assert hidden_calls(Squashed(torch.sigmoid), (X,)) == {0, 1, 2}
    assert hidden_calls(nn.Sequential(Squashed(torch.tanh), nn.Tanh()), (X,)) == {0, 1, 2}


def test_what_stands_between_is_what_the_script_would_do_with_it() -> None:
    with changed(Fork(changed="ReLU between", layers=("layers.0", "layers.1", "layers.2"))):
        found = trained(lambda: Squashed(lambda x: x))
    assert found == trained(lambda: Squashed(torch.relu))
    assert trained(lambda: Squashed(lambda x: x)) != found


@pytest.mark.parametrize("loss", [F.cross_entropy, lambda out, y: F.nll_loss(F.log_softmax(out, dim=1), y)])
def test_fewer_outputs_are_what_the_script_would_do_with_them(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    outputs = torch.randn(8, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    with changed(Fork(changed="fewer outputs", factor=3.0)):
        found = loss(outputs, labels)
    torch.testing.assert_close(found, F.cross_entropy(outputs[:, :3], labels))
    assert F.cross_entropy(outputs, labels) > found
