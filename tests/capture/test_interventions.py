"""capture/interventions.py: one thing is changed as a person would have changed it in the script, and nothing else."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.interventions import by_feature, changed
from trainwell.core.records.forks import Fork


def trained(*, lr: float, scale: bool = False, momentum: float = 0.9) -> tuple[dict[str, Tensor], list[float]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    inputs = torch.randn(48, 3) * torch.tensor([1.0, 50.0, 0.1]) + 4.0
    if scale:
        first = inputs[:16].double()
        inputs = ((inputs - first.mean(0)) / first.std(0, correction=0)).float()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    rates = []
    for chosen in torch.arange(48).split(16):
        optimizer.zero_grad()
        F.mse_loss(model(inputs[chosen]), torch.ones(16, 1)).backward()
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    return copy.deepcopy(model.state_dict()), rates


def test_a_lower_rate_is_what_the_script_would_do_at_it() -> None:
    wanted, _ = trained(lr=0.01)
    with changed(Fork(changed="learning rate", factor=0.1)):
        found, rates = trained(lr=0.1)
    # What the script reads is its own.
    assert rates == trained(lr=0.1)[1]
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-7)


def test_standardized_inputs_are_what_the_script_would_do_with_them() -> None:
    wanted, _ = trained(lr=0.1, scale=True)
    with changed(Fork(changed="standardized input")):
        found, _ = trained(lr=0.1)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5)


def test_columns_that_are_given_one_by_one_are_standardized_each() -> None:
    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.seen = nn.Linear(2, 1), torch.empty(0)

        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            self.seen = torch.cat([x, t], dim=1).detach()
            made: Tensor = self.layer(self.seen)
            return made

    field, x, t = Field(), torch.rand(50, 1), 900 * torch.rand(50, 1)
    with changed(Fork(changed="standardized input")):
        field(x, t)
    assert field.seen.mean(dim=0).tolist() == pytest.approx([0, 0], abs=1e-4)
    assert field.seen.std(dim=0, correction=0).tolist() == pytest.approx([1, 1], rel=1e-4)


@pytest.mark.parametrize("compare", [F.mse_loss, F.l1_loss, nn.HuberLoss()])
def test_outputs_in_units_are_compared_as_if_the_network_ended_in_them(compare: Callable[..., Tensor]) -> None:
    outputs, targets = torch.randn(40, 1), 400 + 50 * torch.randn(40, 1)
    wanted = compare(outputs * targets.std(correction=0) + targets.mean(), targets)
    with changed(Fork(changed="outputs in the units of the targets")):
        found = compare(outputs, targets)
        later = compare(outputs, targets + 3)
    torch.testing.assert_close(found, wanted)
    # By the first targets' units.
    moved = outputs * targets.std(correction=0) + targets.mean()
    torch.testing.assert_close(later, compare(moved, targets + 3))


def test_a_product_with_a_parameter_passes_a_relu() -> None:
    class Raw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.other = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            return (x @ self.weight) @ self.other

    model, x = Raw(), torch.randn(9, 3)
    with changed(Fork(changed="ReLU between", layers=("weight",))):
        found = model(x)
    torch.testing.assert_close(found, torch.relu(x @ model.weight) @ model.other)


def test_afterwards_nothing_is_changed() -> None:
    before, _ = trained(lr=0.1)
    with pytest.raises(ZeroDivisionError), changed(Fork(changed="standardized input")):
        raise ZeroDivisionError
    after, _ = trained(lr=0.1)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("shape", "features"), [((8, 5), 5), ((8, 3, 6, 7), 3), ((8, 6, 7, 3), 3), ((8, 6, 5), 5), ((8, 6, 7, 2), 2)]
)
def test_features_are_columns_or_channels(shape: tuple[int, ...], features: int) -> None:
    assert by_feature(torch.zeros(shape)).shape[0] == features


def test_numbers_without_a_fraction_are_left_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2))
    tokens = torch.randint(5, (6, 3))
    plain = model(tokens)
    with changed(Fork(changed="standardized input")):
        assert torch.equal(model(tokens), plain)


def test_classes_counted_alike_is_what_weights_of_all_so_far_would_do() -> None:
    outputs = torch.randn(8, 3, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    with changed(Fork(changed="classes counted alike")):
        found = F.cross_entropy(outputs, labels)
        weighted = F.cross_entropy(outputs, labels, torch.ones(3))
        smooth = nn.CrossEntropyLoss(label_smoothing=0.1)(outputs, labels)
    weight = 8 / (3 * torch.tensor([5.0, 2.0, 1.0]))
    torch.testing.assert_close(found, F.cross_entropy(outputs, labels, weight))
    # A script's own weights stay.
    torch.testing.assert_close(weighted, F.cross_entropy(outputs, labels))
    # All labels came a second time, in the same shares.
    torch.testing.assert_close(smooth, F.cross_entropy(outputs, labels, weight, label_smoothing=0.1))


def test_yes_and_no_counted_alike() -> None:
    outputs, labels = torch.randn(8, 1, requires_grad=True), torch.tensor([[1.0], *[[0.0]] * 7])
    with changed(Fork(changed="classes counted alike")):
        found = F.binary_cross_entropy_with_logits(outputs, labels)
        several = F.binary_cross_entropy_with_logits(outputs.expand(8, 2), labels.expand(8, 2))
    weight = torch.where(labels > 0, 8 / 2, 8 / 14)
    torch.testing.assert_close(found, F.binary_cross_entropy_with_logits(outputs, labels, weight))
    # Several answers a sample are left as they are.
    torch.testing.assert_close(several, F.binary_cross_entropy_with_logits(outputs, labels))


def test_what_is_squashed_is_divided_by_its_first_deviation() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 8)
    model = nn.Sequential(layer, nn.Tanh())
    given = 50 * torch.randn(32, 4)
    made = layer(given)
    with changed(Fork(changed="squashed numbers of deviation 1")):
        found, again = model(given), model(2 * given)
        outside = torch.tanh(made)
    deviation = made.std(correction=0)
    torch.testing.assert_close(found, torch.tanh(made / deviation))
    torch.testing.assert_close(again, torch.tanh(layer(2 * given) / deviation))
    # What no network calls is the script's own arithmetic.
    assert torch.equal(outside, torch.tanh(made))


def test_embeddings_are_made_smaller_and_no_other_weights() -> None:
    torch.manual_seed(0)
    table, layer = nn.Embedding(50, 16, padding_idx=0), nn.Linear(16, 2)
    model = nn.Sequential(table, layer)
    last = layer.weight.clone()
    with changed(Fork(changed="embeddings of deviation 0.02")):
        model(torch.tensor([1, 2]))
        shrunk = table.weight.clone()
        model(torch.tensor([1, 2]))
    torch.testing.assert_close(shrunk.std(correction=0), torch.tensor(0.02))
    assert bool((shrunk[0] == 0).all())
    assert torch.equal(table.weight, shrunk)
    assert torch.equal(layer.weight, last)


@pytest.mark.parametrize("shape", [(6, 3), (6, 4, 3), (6, 3, 5, 5)])
def test_a_constant_input_tells_no_sample_from_another(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    given = torch.randn(shape)
    model(given)
    with changed(Fork(changed="constant input")):
        found = model(given)
        later = model(given + 1)
    torch.testing.assert_close(found, found[:1].expand_as(found))
    torch.testing.assert_close(later, found)


def test_a_constant_input_of_words_is_one_word() -> None:
    torch.manual_seed(0)
    model = nn.Embedding(5, 4)
    with changed(Fork(changed="constant input")):
        found = model(torch.randint(5, (6, 3)))
    assert torch.equal(found, found[:1, :1].expand_as(found))
