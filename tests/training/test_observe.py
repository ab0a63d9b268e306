"""What is measured of a network: outputs in test mode, and layers that are known by construction."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainwell.anatomy import trace
from trainwell.core.records.evidence import LayerStatistic
from trainwell.core.records.layout import OutputLayout
from trainwell.training import observe
from trainwell.training.objective import Objective
from trainwell.training.observe import ObservedLayers, evaluate, observe_layers, outputs, set_dropout

CLASSES = OutputLayout(task="classification", size=3, names=("a", "b", "c"))
LOSS = Objective(output=CLASSES)


def linear(rows: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    weight = torch.tensor(rows)
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.zeros(len(rows)) if bias is None else torch.tensor(bias))
    return layer


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def seen(model: nn.Module, inputs: Tensor) -> tuple[LayerStatistic, ...]:
    with torch.no_grad():
        targets = torch.zeros_like(model(inputs))
    return observe_layers(model, (inputs, targets), squared).layers


def test_outputs_are_in_test_mode_and_the_mode_stays(parts: Any) -> None:
    model = parts.network().train()
    index = torch.tensor([4, 2, 9])
    found = outputs(model, parts.inputs, index)
    assert model.training
    assert torch.equal(found, outputs(model, parts.inputs, index))
    assert torch.equal(found, model.eval()(parts.inputs[index]).detach())
    made = evaluate(model, parts.inputs, parts.targets, index, CLASSES)
    assert made.metric == (found.argmax(1) == parts.targets[index]).double().mean().item()
    assert math.isclose(made.loss, functional.cross_entropy(found, parts.targets[index]).item())
    assert not model.training


def test_views_are_averaged(parts: Any) -> None:
    model = parts.network().eval()
    index = torch.arange(7)
    found = outputs(model, parts.inputs, index, views=lambda batch: iter((batch, -batch)))
    wanted = (model(parts.inputs[index]) + model(-parts.inputs[index])) / 2
    assert torch.allclose(found, wanted.detach())


def test_outputs_keep_the_order_over_several_batches(parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, index = parts.network().eval(), torch.randperm(50, generator=torch.Generator().manual_seed(0))[:23]
    whole = outputs(model, parts.inputs, index)
    monkeypatch.setattr(observe, "EVALUATION_BATCH", 7)
    torch.testing.assert_close(outputs(model, parts.inputs, index), whole)


def test_a_layer_by_hand() -> None:
    model = nn.Sequential(linear([[1.0, 2.0], [0.0, -1.0]], [0.5, 0.0]), nn.ReLU(), linear([[1.0, 1.0]]))
    x = torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0], [-1.0, 1.0]])
    y = torch.tensor([[1.0], [0.0], [2.0], [1.0]])
    found = observe_layers(model, (x, y), squared)
    first, last = found.layers
    hidden = x.numpy() @ np.array([[1.0, 0.0], [2.0, -1.0]]) + [0.5, 0.0]
    assert (first.name, first.kind, first.activation, last.name, last.activation) == ("0", "Linear", "relu", "2", "")
    assert first.mean == pytest.approx(hidden.mean())
    assert first.std == pytest.approx(hidden.std())
    assert first.sample_std == pytest.approx(math.sqrt((hidden.std(axis=0) ** 2).mean()))
    assert first.weight_std == pytest.approx(math.sqrt((1 + 4 + 0 + 1) / 4))
    # The second unit is never above 0.
    assert (first.dead, last.dead, first.saturated) == (0.5, 0.0, 0.0)
    given = np.maximum(hidden, 0).sum(axis=1, keepdims=True)
    assert found.loss == pytest.approx(((given - y.numpy()) ** 2).mean())
    assert found.output_std == pytest.approx(given.std())
    slope = 2 * (given - y.numpy()) * (hidden > 0)
    assert first.gradient_std == pytest.approx((slope.T @ x.numpy() / 4).std(), rel=1e-5)


def test_the_error_of_the_loss_is_that_of_the_mean_of_its_tenths(parts: Any) -> None:
    model = parts.network(dropout=0.0)
    found = observe_layers(model, (parts.inputs, parts.targets), LOSS)
    given = model.train()(parts.inputs)
    tenths = [functional.cross_entropy(given[i : i + 5], parts.targets[i : i + 5]).item() for i in range(0, 50, 5)]
    assert found.loss == pytest.approx(np.mean(tenths), rel=1e-5)
    assert found.standard_error == pytest.approx(np.std(tenths, ddof=1) / math.sqrt(10), rel=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_is(parts: Any, state: Any, training: bool) -> None:
    model = parts.network().train(training)
    before = state(model)
    first, second = (observe_layers(model, (parts.inputs, parts.targets), LOSS, seed=seed) for seed in (0, 1))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == [training] * 6
    assert all(parameter.grad is None for parameter in model.parameters())
    # Dropout is off, so that nothing is drawn; batch norm normalizes by the batch, whatever mode the model is in.
    assert first.loss == second.loss
    undropped = parts.network(dropout=0.0).train()
    assert first.loss == pytest.approx(LOSS(undropped(parts.inputs), parts.targets).item())


def test_only_dropout_is_put_into_test_mode(parts: Any) -> None:
    model = parts.network().eval()
    set_dropout(model, trace(model, parts.inputs), training=False)
    assert [layer.training for layer in model] == [True, True, True, False, True]
    set_dropout(model, trace(model, parts.inputs), training=True)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("activation", "edge"),
    # 4 s (1 - s) = 0.1 and 1 - t² = 0.1.
    [(nn.Sigmoid(), math.log((1 + math.sqrt(0.9)) / (1 - math.sqrt(0.9)))), (nn.Tanh(), math.atanh(math.sqrt(0.9)))],
)
def test_saturated_is_where_the_slope_is_under_a_tenth(activation: nn.Module, edge: float) -> None:
    x = torch.tensor([[0.0], [edge - 0.01], [0.01 - edge], [edge + 0.01], [-edge - 0.01]])
    first = seen(nn.Sequential(linear([[1.0]]), activation, linear([[1.0]])), x)[0]
    assert first.saturated == pytest.approx(2 / 5)


class Functional(nn.Module):
    """The same with a function for its activation."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.first, self.last, self.function = linear([[1.0], [-1.0]], [3.0, -9.0]), linear([[1.0, 1.0]]), function

    def forward(self, rows: Tensor) -> Tensor:
        return self.last(self.function(self.first(rows)))  # type: ignore[no-any-return]  # a module's call is Any


@pytest.mark.parametrize(("function", "dead", "saturated"), [(functional.relu, 0.5, 0.0), (torch.tanh, 0.0, 1.0)])
def test_an_activation_that_is_a_function_counts_too(function: Any, dead: float, saturated: float) -> None:
    first = seen(Functional(function), torch.tensor([[0.5], [1.0], [-0.5]]))[0]
    assert (first.dead, first.saturated) == (dead, saturated)


def test_a_dead_channel_is_dead_at_every_place() -> None:
    convolution = nn.Conv2d(1, 4, 1)
    assert convolution.bias is not None
    with torch.no_grad():
        convolution.weight.fill_(1.0)
        convolution.bias.copy_(torch.tensor([0.0, -100.0, 1.0, -3.5]))
    model = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    pictures = torch.arange(8.0).reshape(2, 1, 2, 2) / 2
    # At most 3.5 comes in: the last channel just reaches 0, and above it at one place of one picture with 0.1 more.
    assert seen(model, pictures)[0].dead == 0.5
    assert seen(model, pictures + 0.1)[0].dead == 0.25


def test_twins_are_units_whose_weights_and_gradients_are_alike() -> None:
    x = torch.tensor([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]])
    rows = [[1.0, 0.5], [1.0, 0.5], [0.3, 0.2], [-0.4, 1.0]]
    alike = nn.Sequential(linear(rows), nn.Tanh(), linear([[1.0, 1.0, 1.0, 1.0]]))
    assert seen(alike, x)[0].identical_units == 0.5
    # What leaves them differs, so the first step takes them apart.
    parting = nn.Sequential(linear(rows), nn.Tanh(), linear([[1.0, 2.0, 1.0, 1.0]]))
    assert seen(parting, x)[0].identical_units == 0.0
    zeros = nn.Sequential(linear([[0.0, 0.0]] * 4), nn.Tanh(), linear([[0.0] * 4]))
    assert seen(zeros, x)[0].identical_units == 1.0


def test_a_norm_behind_a_layer_and_a_frozen_layer_are_named(parts: Any) -> None:
    model = parts.network()
    model[0].weight.requires_grad_(False)
    first, last = observe_layers(model, (parts.inputs, parts.targets), LOSS).layers
    assert (first.normalized, last.normalized) == (True, False)
    assert math.isnan(first.gradient_std)
    assert math.isnan(first.weight_std)
    assert last.gradient_std > 0.0


def entering(inputs: Tensor) -> ObservedLayers:
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 2))
    return observe_layers(model, (inputs, torch.zeros(len(inputs), 2)), squared)


def test_the_offset_is_that_of_what_the_first_layer_receives() -> None:
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    x = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    assert entering(x).input_offset == pytest.approx(0.0, abs=1e-6)
    assert entering(3.0 * x + 12.0).input_offset == pytest.approx(4.0, rel=1e-5)
    assert math.isnan(entering(torch.ones(5, 3)).input_offset)


def test_what_is_not_finite_is_counted_and_has_no_offset() -> None:
    x = torch.ones(4, 5)
    x[0, 0], x[3, 2] = math.nan, math.inf
    found = entering(x)
    assert found.input_not_finite == pytest.approx(2 / 20)
    assert math.isnan(found.input_offset)
