"""Mlp: one network, or an ensemble that shares its weights."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import InputLayout, Task
from trainwell.models.mlp import Hidden, Mlp, combined
from trainwell.models.table_input import TableInput

LAYOUT = InputLayout(kind="table", numbers=3, cardinalities=(4, 20))


def rows(count: int = 64, *, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    numbers = 10.0 * torch.randn(count, 3, generator=draw)
    numbers[torch.rand(count, 3, generator=draw) < 0.1] = float("nan")
    codes = [torch.randint(0, codes, (count, 1), generator=draw).float() for codes in LAYOUT.cardinalities]
    return torch.cat([numbers, *codes], dim=1)


def network(
    *,
    task: Task = "classification",
    members: int = 1,
    outputs: int = 5,
    width: int = 16,
    depth: int = 2,
    dropout: float = 0.0,
    seed: int = 0,
) -> Mlp:
    draw = torch.Generator().manual_seed(seed)
    features = TableInput(LAYOUT, generator=draw)
    features.fit(rows())
    return Mlp(
        features,
        task=task,
        width=width,
        depth=depth,
        members=members,
        outputs=outputs,
        dropout=dropout,
        generator=draw,
    )


def layers(model: Mlp) -> list[Hidden]:
    return [layer for layer in model.hidden if isinstance(layer, Hidden)]


@pytest.mark.parametrize("members", [1, 4])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_shapes_in_training_and_in_prediction(members: int, depth: int) -> None:
    model = network(members=members, depth=depth)
    wanted = (64, 5) if members == 1 else (64, members, 5)
    assert model.train()(rows()).shape == wanted
    assert model.eval()(rows()).shape == (64, 5)


def test_one_member_is_a_plain_network() -> None:
    model = network(width=8, depth=2).eval()
    hidden = model.input(rows()) * model.scale[0]
    for layer in layers(model):
        hidden = functional.relu(hidden @ layer.linear.weight.T + layer.bias[0])
    torch.testing.assert_close(model(rows()), hidden @ model.weight[0] + model.bias[0])


def test_members_share_their_matrices_and_differ_in_the_rest() -> None:
    model = network(members=3, width=8)
    each = model.train()(rows())
    for member in range(3):
        hidden = model.input(rows()) * model.scale[member]
        for layer in layers(model):
            hidden = functional.relu(hidden @ layer.linear.weight.T + layer.bias[member])
        torch.testing.assert_close(each[:, member], hidden @ model.weight[member] + model.bias[member])
    assert not torch.allclose(each[:, 0], each[:, 1])


@pytest.mark.parametrize("members", [1, 8])
@pytest.mark.parametrize("outputs", [2, 10])
def test_the_loss_starts_at_the_logarithm_of_the_classes(members: int, outputs: int) -> None:
    logits = network(members=members, outputs=outputs, width=128).eval()(rows())
    loss = functional.cross_entropy(logits, torch.arange(64) % outputs)
    assert loss.item() == pytest.approx(math.log(outputs), abs=0.02)


@pytest.mark.parametrize("members", [1, 8])
def test_the_loss_starts_at_the_targets_variance(members: int) -> None:
    targets = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    found = network(task="regression", members=members, outputs=2, width=128).eval()(rows())
    loss = functional.mse_loss(found, targets)
    assert loss.item() == pytest.approx(targets.square().mean().item(), abs=0.05)


def test_first_hidden_units_are_alive() -> None:
    model = network(width=128, depth=3)
    hidden = model.input(rows()).unsqueeze(1) * model.scale
    for layer in model.hidden:
        hidden = layer(hidden)
        assert hidden.gt(0.0).float().mean().item() > 0.25


def test_predictions_are_the_mean_of_the_members() -> None:
    each = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(combined(each, task="classification").exp(), each.softmax(dim=-1).mean(dim=1))
    torch.testing.assert_close(combined(each, task="regression"), each.mean(dim=1))


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(0.0, 1e4), seed=st.integers(0, 1000), members=st.integers(1, 5))
def test_combined_logits_are_log_probabilities(scale: float, seed: int, members: int) -> None:
    each = scale * torch.randn(4, members, 3, generator=torch.Generator().manual_seed(seed))
    found = combined(each, task="classification")
    assert found.isfinite().all()
    torch.testing.assert_close(found.logsumexp(dim=-1), torch.zeros(4), atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("members", [1, 4])
def test_every_parameter_learns(members: int) -> None:
    model = network(members=members)
    outputs = model.train()(rows())
    targets = torch.arange(64).remainder(5)
    logits = outputs if members == 1 else outputs.flatten(0, 1)
    torch.autograd.backward(functional.cross_entropy(logits, targets.repeat_interleave(members)))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0.0, name


def test_it_can_learn_a_small_sample_by_heart() -> None:
    model = network(members=4, outputs=2, width=32).train()
    batch, targets = rows(32), torch.arange(32) % 2
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(200):
        loss = functional.cross_entropy(model(batch).flatten(0, 1), targets.repeat_interleave(4))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert model.eval()(batch).argmax(dim=1).eq(targets).all()


def test_dropout_acts_in_training_alone() -> None:
    model = network(dropout=0.5)
    assert not torch.equal(model.train()(rows()), model(rows()))
    assert torch.equal(model.eval()(rows()), model(rows()))


def test_the_generator_alone_decides_the_start() -> None:
    first, other = network(members=2), network(members=2, seed=1)
    torch.manual_seed(5)
    again = network(members=2)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert not torch.equal(first.weight, other.weight)


def test_all_state_travels_in_safetensors() -> None:
    saved, loaded = network(members=3).eval(), network(members=3, seed=7).eval()
    loaded.load_state_dict(load(save(saved.state_dict())))
    assert torch.equal(saved(rows()), loaded(rows()))


def test_the_activation_is_made_anew_for_each_layer() -> None:
    draw = torch.Generator().manual_seed(0)
    features = TableInput(LAYOUT, generator=draw)
    model = Mlp(
        features, task="regression", width=4, depth=3, outputs=1, activation=nn.PReLU, dropout=0.0, generator=draw
    )
    assert len({id(layer.activation) for layer in model.hidden}) == 3


def test_bad_settings_are_named_all_at_once() -> None:
    draw = torch.Generator()
    with pytest.raises(
        SettingError, match=r"`width >= 1`.*`outputs >= 1`.*`members >= 1`.*`depth >= 0`.*dropout < 1`.*`gain > 0`"
    ):
        Mlp(
            TableInput(LAYOUT, generator=draw),
            task="regression",
            width=0,
            depth=-1,
            outputs=0,
            members=0,
            dropout=1.0,
            gain=0.0,
            generator=draw,
        )
