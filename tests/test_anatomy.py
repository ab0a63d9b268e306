"""anatomy: what is seen of a network, and that looking changes nothing."""

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell.anatomy import call, capture, inventory, trace, undisturbed
from trainwell.core.errors import ModelError, SettingError
from trainwell.core.records.layer import LayerInfo


def by_name(layers: tuple[LayerInfo, ...]) -> dict[str, LayerInfo]:
    named = {layer.name: layer for layer in layers}
    assert len(named) == len(layers), "names must be unique"
    return named


def fingerprint(model: nn.Module) -> dict[str, Any]:
    """Everything of a network that looking at it could change, bytes and identities."""
    state: dict[str, Any] = {}
    for name, module in model.named_modules():
        state[f"{name}|attributes"] = {
            key: (
                id(value),
                dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else None,
            )
            for key, value in vars(module).items()
        }
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        state[f"{name}|bytes"] = (id(tensor), tensor.detach().numpy().tobytes())
        state[f"{name}|grad"] = None if tensor.grad is None else (id(tensor.grad), tensor.grad.numpy().tobytes())
        state[f"{name}|requires_grad"] = tensor.requires_grad
    return state


def generators() -> tuple[bytes, bytes]:
    # Python's own is looked at in a test of `undisturbed`: beartype draws from it while it checks arguments.
    state: dict[str, Any] = np.random.get_state(legacy=False)  # noqa: NPY002  # the global one is looked at
    return torch.get_rng_state().numpy().tobytes(), state["state"]["key"].tobytes()


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut, an activation used twice and in place."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.act = nn.ReLU(inplace=True)
        self.one = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm_one = nn.BatchNorm2d(outputs)
        self.two = nn.Conv2d(outputs, outputs, 3, padding=1, groups=2, bias=False)
        self.norm_two = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm_one(self.one(x)))
        y = self.norm_two(self.two(y))
        y += self.shortcut(x)
        out: Tensor = self.act(y)
        return out


class Functional(nn.Module):
    """Activations as functions, of every way to call one."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.layers[0](x))
        x = torch.tanh(self.layers[1](x))
        x = self.layers[2](x).sigmoid_()
        x = F.gelu(self.layers[3](x), approximate="tanh")
        x = self.layers[4](x).clamp(min=0)
        return F.log_softmax(self.layers[5](x), dim=-1)


class Tied(nn.Module):
    """An output layer that shares the embedding's weight, and a layer that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.never = nn.Linear(3, 3)
        self.embed = nn.Embedding(11, 6)
        self.hidden = nn.Linear(6, 6)
        self.out = nn.Linear(6, 11, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = torch.tanh(self.hidden(self.embed(ids)))
        out: Tensor = self.out(F.relu(self.hidden(x)))
        return out


class OwnLinear(nn.Module):
    """A user's own layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix + self.bias


class Excite(nn.Module):
    """Squeeze and excitation: the sigmoid is a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.own = OwnLinear(4, 8)
        self.squeeze = nn.Linear(8, 2)
        self.expand = nn.Linear(2, 8)
        self.gate = nn.Sigmoid()
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.own(x)
        x = x * self.gate(self.expand(F.silu(self.squeeze(x))))
        out: Tensor = self.out(x)
        return out


class TwoHeads(nn.Module):
    """Keyword arguments in, a dict out."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(3, 5)
        self.right = nn.Linear(4, 5)
        self.mean = nn.Linear(5, 1)
        self.spread = nn.Linear(5, 1)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        joint = torch.relu(self.left(left)) + torch.relu(self.right(right))
        return {"mean": self.mean(joint), "spread": F.softplus(self.spread(joint))}


def test_functional_calls_are_layers_and_follow_the_right_one() -> None:
    layers = by_name(trace(Functional(), torch.randn(3, 4)))
    assert [layers[f"layers.{i}"].followed_by for i in range(6)] == [
        ("relu",),
        ("tanh",),
        ("sigmoid",),
        ("gelu_tanh",),
        ("relu",),
        ("log_softmax",),
    ]
    assert layers["relu()"].functional
    assert layers["relu()"].calls == 2
    assert not layers["relu()"].is_output
    assert layers["log_softmax()"].is_output
    assert [name for name, layer in layers.items() if layer.is_weighted and layer.is_output] == ["layers.5"]


def test_a_residual_network_layer_by_layer() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), Residual(4, 4), Residual(4, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    )
    layers = by_name(trace(model, torch.randn(2, 3, 8, 8)))
    assert layers["0"].followed_by == ()
    assert layers["1.one"].followed_by == ("norm", "relu")
    assert layers["1.two"].followed_by == ("norm", "add", "relu")
    assert layers["2.two"].followed_by == ("norm", "add", "relu", "pool")
    assert layers["2.shortcut"].followed_by == ("add", "relu", "pool")
    assert {name for name, layer in layers.items() if layer.ends_branch} == {
        "1.two",
        "1.norm_two",
        "2.two",
        "2.norm_two",
    }
    assert {name for name, layer in layers.items() if layer.is_output} == {"5"}
    assert layers["1.act"].calls == 2
    assert layers["2.two"].fan_in == 3 * 3 * 6 // 2
    assert layers["2.two"].fan_out == 3 * 3 * 6 // 2
    assert layers["0"].input_shapes == ((2, 3, 8, 8),)
    assert layers["0"].output_shapes == ((2, 4, 6, 6),)
    weighted = [name for name, layer in layers.items() if layer.is_weighted]
    assert weighted == ["0", "1.one", "1.two", "2.one", "2.two", "2.shortcut", "5"]


def test_shared_weights_repeated_calls_and_layers_that_never_run() -> None:
    layers = trace(Tied(), torch.randint(0, 11, (2, 5)))
    named = by_name(layers)
    assert named["embed"].shares_weight_with == ("out",)
    assert named["out"].shares_weight_with == ("embed",)
    assert named["hidden"].calls == 2
    assert named["hidden"].followed_by == ("tanh", "relu")
    assert (named["never"].calls, named["never"].output_shapes) == (0, ())
    assert layers[-1].name == "never"
    assert (named["embed"].fan_in, named["embed"].fan_out) == (1, 6)


def test_one_module_in_two_places_has_one_entry_and_names_the_other() -> None:
    shared = nn.Linear(4, 4)
    layers = by_name(trace(nn.Sequential(shared, nn.ReLU(), shared), torch.randn(2, 4)))
    assert layers["0"].calls == 2
    assert layers["0"].shares_weight_with == ("2",)


def test_own_layers_and_gates() -> None:
    layers = by_name(trace(Excite(), torch.randn(2, 4)))
    assert (layers["own"].role, layers["own"].fan_in, layers["own"].weights) == ("linear", 4, ("own.matrix",))
    assert layers["own"].parameters == 4 * 8 + 8
    assert layers["gate"].gates
    assert not layers["silu()"].gates
    assert layers["expand"].followed_by == ("sigmoid",)
    assert layers["squeeze"].followed_by == ("silu",)


def test_an_own_layer_with_its_own_activation_called_twice() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.randn(4, 4))
            self.offset = nn.Parameter(torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(torch.addmm(self.offset, x, self.matrix))

    dense = Dense()
    layers = by_name(trace(nn.Sequential(nn.Linear(3, 4), dense, nn.Tanh(), dense, nn.Linear(4, 1)), torch.randn(2, 3)))
    assert layers["0"].followed_by == ()
    assert layers["1"].followed_by == ("relu", "tanh")
    assert (layers["1"].calls, layers["1.relu()"].calls) == (2, 2)
    assert (layers["1"].fan_in, layers["1"].input_shapes) == (4, ((2, 4),))


def test_fan_in_of_matrix_products_from_either_side() -> None:
    class Sides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Parameter(torch.randn(5, 3))
            self.right = nn.Parameter(torch.randn(7, 2))

        def forward(self, x: Tensor) -> Tensor:
            return (self.left @ x) @ self.right

    layers = by_name(trace(Sides(), torch.randn(3, 7)))
    assert (layers["matmul(left)"].fan_in, layers["matmul(left)"].fan_out) == (3, 5)
    assert (layers["matmul(right)"].fan_in, layers["matmul(right)"].fan_out) == (7, 2)


def test_a_weight_used_by_a_function_is_a_functional_layer() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 4)

        def forward(self, ids: Tensor) -> Tensor:
            return F.linear(torch.relu(self.embed(ids)), self.embed.weight)

    layers = by_name(trace(Model(), torch.arange(7)))
    head = layers["linear(embed.weight)"]
    assert head.functional
    assert (head.role, head.fan_in, head.fan_out) == ("linear", 4, 7)
    assert head.shares_weight_with == ("embed",)
    assert head.is_output
    assert not layers["embed"].is_output


def test_several_inputs_and_several_outputs() -> None:
    batch = {"left": torch.randn(2, 3), "right": torch.randn(2, 4)}
    for given_batch in (batch, tuple(batch.values())):
        layers = by_name(trace(TwoHeads(), given_batch))
        assert {name for name, layer in layers.items() if layer.is_output} == {"mean", "spread", "softplus()"}
        assert layers["left"].followed_by == ("relu", "add")
        assert not any(layer.ends_branch for layer in layers.values())


def test_torch_layers_that_are_one_layer() -> None:
    attention = by_name(trace(nn.MultiheadAttention(8, 2), (torch.randn(5, 2, 8),) * 3))
    assert attention[""].role == "attention"
    assert attention[""].weights == ("in_proj_weight",)
    assert (attention["out_proj"].calls, attention["out_proj"].is_output) == (1, True)
    recurrent = by_name(trace(nn.LSTM(3, 4), torch.randn(5, 2, 3)))
    assert recurrent[""].role == "recurrent"
    assert recurrent[""].weights == ("weight_ih_l0", "weight_hh_l0")
    assert recurrent[""].fan_in == 7


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_transformer_layer_is_seen_whole_in_evaluation_mode(norm_first: bool) -> None:
    model = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True, norm_first=norm_first)
    layers = by_name(trace(model, torch.randn(2, 3, 8)))
    assert layers["linear1"].activation == "relu"
    assert {name for name, layer in layers.items() if layer.ends_branch and layer.is_weighted} == {
        "self_attn.out_proj",
        "linear2",
    }
    assert sum(layer.parameters for layer in layers.values()) == sum(tensor.numel() for tensor in model.parameters())


@pytest.mark.parametrize(
    ("module", "batch", "fan_in", "fan_out"),
    [
        (nn.Linear(5, 7), torch.randn(2, 5), 5, 7),
        (nn.Bilinear(3, 4, 5), (torch.randn(2, 3), torch.randn(2, 4)), 12, 5),
        (nn.Conv1d(4, 6, 3), torch.randn(1, 4, 9), 12, 18),
        (nn.Conv2d(4, 8, (3, 5), groups=2), torch.randn(1, 4, 9, 9), 30, 60),
        (nn.Conv3d(1, 2, 3), torch.randn(1, 1, 4, 4, 4), 27, 54),
        (nn.ConvTranspose2d(4, 6, 4, stride=2, groups=2), torch.randn(1, 4, 5, 5), 8, 48),
        (nn.Embedding(9, 3), torch.arange(3), 1, 3),
    ],
)
def test_fans(module: nn.Module, batch: Any, fan_in: int, fan_out: int) -> None:
    layer = trace(module, batch)[0]
    assert (layer.fan_in, layer.fan_out) == (fan_in, fan_out)
    assert (inventory(module)[0].fan_in, inventory(module)[0].fan_out) == (fan_in, fan_out)


def test_a_transposed_convolution_with_this_fan_in_keeps_the_variance() -> None:
    """What fan-in means: weights of variance 1 / fan_in give outputs of variance 1."""
    generator = torch.Generator().manual_seed(0)
    module = nn.ConvTranspose2d(32, 32, 4, stride=2, groups=2, bias=False)
    fan_in = trace(module, torch.randn(1, 32, 4, 4))[0].fan_in
    assert fan_in is not None
    with torch.no_grad():
        module.weight.copy_(torch.randn(module.weight.shape, generator=generator) / fan_in**0.5)
        inside = module(torch.randn(8, 32, 24, 24, generator=generator))[:, :, 4:-4, 4:-4]
    assert inside.var().item() == pytest.approx(1.0, abs=0.05)


def test_parametrized_weights_are_weights_of_their_layer() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.ReLU(), nn.Linear(3, 2))
    layers = by_name(trace(model, torch.randn(2, 4)))
    assert list(layers) == ["0", "1", "2"]
    assert (layers["0"].role, layers["0"].fan_in, layers["0"].parameters) == ("linear", 4, 12 + 3 + 3)


def test_output_activation_that_is_also_a_hidden_one_is_told_apart_by_calls() -> None:
    act = nn.Sigmoid()
    layers = by_name(trace(nn.Sequential(nn.Linear(4, 4), act, nn.Linear(4, 1), act), torch.randn(2, 4)))
    assert (layers["1"].calls, layers["1"].output_calls) == (2, 1)


def test_inventory_agrees_with_trace_where_both_know() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Residual(4, 6), nn.Flatten(), nn.Linear(6 * 36, 2))
    seen = by_name(trace(model, torch.randn(2, 3, 8, 8)))
    listed = by_name(inventory(model))
    assert set(listed) == set(seen)
    for name, layer in listed.items():
        assert (layer.role, layer.fan_in, layer.weights, layer.parameters) == (
            seen[name].role,
            seen[name].fan_in,
            seen[name].weights,
            seen[name].parameters,
        )
        assert layer.calls == 0


def test_capture_is_what_the_layer_put_out_before_an_in_place_activation() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    x = torch.randn(6, 4)
    outputs = capture(model, x)
    with torch.no_grad():
        torch.testing.assert_close(outputs["0"][0], model[0](x))
        torch.testing.assert_close(outputs["2"][0], model(x))
    assert outputs["0"][0].min() < 0


def test_capture_of_a_module_called_twice_and_of_one_never_called() -> None:
    outputs = capture(Tied(), torch.arange(11), ["never", "hidden"])
    assert [(name, len(tensors)) for name, tensors in outputs.items()] == [("hidden", 2), ("never", 0)]


def test_capture_suggests_a_near_name() -> None:
    with pytest.raises(SettingError, match=r"must be modules of the network, but got 'hiden'.*\"hidden\""):
        capture(Tied(), torch.arange(11), ["hiden"])


def test_call_hands_over_what_the_network_can_take() -> None:
    class Whole(nn.Module):
        def forward(self, batch: Any) -> Any:
            return batch

    pair, named = (torch.ones(1), torch.zeros(1)), {"a": torch.ones(1), "b": torch.zeros(1)}
    assert call(Whole(), pair) is pair
    assert call(Whole(), named) is named
    assert set(call(TwoHeads(), {"left": torch.ones(1, 3), "right": torch.ones(1, 4)})) == {"mean", "spread"}


def test_lazy_modules_are_refused_and_stay_lazy() -> None:
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ModelError, match=r"must have its parameters before.*Call it once"):
        trace(model, torch.ones(2, 4))
    assert isinstance(model[0], nn.LazyLinear)


def test_scripted_networks_are_refused() -> None:
    with pytest.warns(DeprecationWarning, match="torch.jit.script"):
        scripted = torch.jit.script(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(ModelError, match=r"must be Python to be looked at.*compiled from"):
        trace(scripted, torch.ones(1, 2))


def test_a_compiled_network_is_seen_as_it_was_written() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    model.compile(backend="eager")
    assert [(layer.name, layer.calls) for layer in trace(model, torch.ones(3, 2))] == [("0", 1), ("1", 1), ("2", 1)]


def test_a_cell_written_by_hand_has_no_residual_branch() -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inputs, self.state, self.out = nn.Linear(3, 16), nn.Linear(4, 16), nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = c = x.new_zeros(x.shape[1], 4)
            for step in x:
                i, f, g, o = (self.inputs(step) + self.state(h)).chunk(4, dim=-1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            out: Tensor = self.out(h)
            return out

    layers = by_name(trace(Cell(), torch.randn(6, 2, 3)))
    assert not any(layer.ends_branch for layer in layers.values())
    assert (layers["state"].calls, layers["state"].is_output, layers["out"].is_output) == (6, False, True)
    assert layers["sigmoid()"].gates


class Restless(nn.Module):
    """A network that changes all it can while it runs, and may raise at the end."""

    counter: int
    seen: Tensor

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.fails = fails
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("seen", torch.zeros(1))
        self.counter = 0
        self.log: list[int] = []
        self.own = torch.Generator().manual_seed(3)

    def forward(self, x: Tensor) -> Tensor:
        self.counter += 1
        self.log.append(self.counter)
        self.seen = self.seen + 1
        self.new_attribute = x
        self.linear.weight.add_(1.0)
        self.linear.bias.requires_grad_(False)
        self.linear.weight.grad = torch.ones_like(self.linear.weight)
        self.norm.train()
        self.linear.register_forward_hook(lambda *_: None)
        torch.rand(3), random.random(), np.random.rand()  # noqa: NPY002  # the global one is moved
        torch.rand(3, generator=self.own)
        x.relu_()
        out: Tensor = self.norm(self.linear(x)) + torch.bernoulli(torch.full((4,), 0.5))
        if self.fails:
            raise RuntimeError("the network fails")
        return out


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("look", [trace, capture])
def test_nothing_is_disturbed_by_a_restless_network(look: Callable[..., Any], training: bool) -> None:
    model = Restless(fails=False)
    model.linear.bias.grad = torch.full((4,), 2.0)
    x = torch.randn(5, 4)
    before, drawn, own, batch = fingerprint(model), generators(), model.own.get_state(), x.clone()
    look(model, x, training=training)
    assert fingerprint(model) == before
    assert generators() == drawn
    assert torch.equal(model.own.get_state(), own)
    assert torch.equal(x, batch)


@pytest.mark.parametrize("look", [trace, capture])
def test_nothing_is_disturbed_where_the_network_raises(look: Callable[..., Any]) -> None:
    model, x = Restless(fails=True).eval(), torch.randn(5, 4)
    before, drawn = fingerprint(model), generators()
    with pytest.raises(RuntimeError, match="the network fails"):
        look(model, x)
    assert fingerprint(model) == before
    assert generators() == drawn
    assert torch.is_grad_enabled()


def test_a_graph_that_the_user_holds_survives() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    loss = model(torch.randn(8, 4)).sum()
    trace(model, torch.randn(8, 4), training=True)
    loss.backward()
    assert model[0].weight.grad is not None


def test_a_users_hook_still_works_and_can_still_be_removed() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    calls: list[int] = []
    handle = model[0].register_forward_hook(lambda *_: calls.append(1))
    trace(model, torch.ones(1, 2))
    model(torch.ones(1, 2))
    handle.remove()
    model(torch.ones(1, 2))
    assert len(calls) == 2
    assert not model[0]._forward_hooks


def test_pythons_generator_is_put_back() -> None:
    drawn = random.getstate()
    with undisturbed(nn.Identity()):
        random.random()
    assert random.getstate() == drawn


def test_not_a_number_in_a_buffer_is_kept() -> None:
    norm = nn.BatchNorm1d(2)
    assert norm.running_mean is not None
    norm.running_mean[0] = float("nan")
    before = fingerprint(norm)
    with undisturbed(norm, training=True):
        norm(torch.randn(4, 2))
    assert fingerprint(norm) == before


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(6, 6),
    "own": lambda: OwnLinear(6, 6),
    "batch norm": lambda: nn.BatchNorm1d(6),
    "layer norm": lambda: nn.LayerNorm(6),
    "dropout": lambda: nn.Dropout(0.5),
    "relu": lambda: nn.ReLU(inplace=True),
    "prelu": lambda: nn.PReLU(),
    "softmax": lambda: nn.Softmax(dim=-1),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)),
}

Tree = str | list[Any]
trees: st.SearchStrategy[Tree] = st.recursive(
    st.sampled_from(sorted(BLOCKS)), lambda children: st.lists(children, min_size=1, max_size=4), max_leaves=12
)


class Shortcut(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inner(x.clone())
        return out


def build(tree: Tree) -> nn.Module:
    if isinstance(tree, str):
        return BLOCKS[tree]()
    inner = nn.Sequential(*map(build, tree))
    return Shortcut(inner) if len(tree) % 2 else inner


@settings(deadline=None, max_examples=40)
@given(tree=trees, training=st.booleans(), mode=st.booleans(), seed=st.integers(0, 99))
def test_looking_at_any_module_tree_leaves_it_bit_for_bit(tree: Tree, training: bool, mode: bool, seed: int) -> None:
    torch.manual_seed(seed)
    model = build(tree).train(mode)
    x = torch.randn(5, 6)
    before, drawn = fingerprint(model), generators()
    layers = trace(model, x, training=training)
    assert fingerprint(model) == before
    assert generators() == drawn
    assert sum(layer.parameters for layer in layers) == sum(tensor.numel() for tensor in model.parameters())
    by_name(layers)


@settings(deadline=None, max_examples=25)
@given(tree=trees, seed=st.integers(0, 99))
def test_the_output_layer_of_a_tree_is_the_one_that_changes_nothing_else(tree: Tree, seed: int) -> None:
    """Every weighted layer but the output ones feeds another weighted layer: known from the order in a plain chain."""
    torch.manual_seed(seed)

    def leaves(part: Tree) -> list[str]:
        return [part] if isinstance(part, str) else [leaf for item in part for leaf in leaves(item)]

    chain = nn.Sequential(*(BLOCKS[leaf]() for leaf in leaves(tree)))
    weighted = [layer for layer in trace(chain, torch.randn(5, 6)) if layer.is_weighted]
    assert [layer.is_output for layer in weighted] == [False] * (len(weighted) - 1) + [True] * bool(weighted)
    copied = copy.deepcopy(chain)
    assert [layer.name for layer in trace(copied, torch.randn(5, 6))] == [
        layer.name for layer in trace(chain, torch.randn(5, 6))
    ]
