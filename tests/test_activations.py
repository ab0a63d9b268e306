"""activations: formulas against torch, the table against its definitions, swapping in any tree."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell import activations
from trainwell.activations import (
    ACTIVATIONS,
    activation,
    gain_of,
    gaussian_moment,
    gelu,
    gelu_sample,
    leaky_gain,
    leaky_relu,
    measure_cost,
    prelu,
    swap,
)
from trainwell.core.errors import SettingError
from trainwell.initialization import SCHEMES

NAMES = sorted(ACTIVATIONS)


def test_the_table_is_the_notes() -> None:
    assert list(ACTIVATIONS) == ["sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "gelu_tanh"]


@pytest.mark.parametrize("name", NAMES)
def test_formula_and_its_gradient_are_those_of_torchs_module(name: str) -> None:
    entry = ACTIVATIONS[name]
    x = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor([-800.0, 0.0, 1e-12, -1e-12, 800.0])]).double()
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = entry.formula(ours), entry.make().double()(theirs)
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-15)
    slopes = [torch.autograd.grad(output.sum(), leaf)[0] for output, leaf in ((a, ours), (b, theirs))]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_formulas_keep_dtype_and_shape(name: str, dtype: torch.dtype) -> None:
    y = ACTIVATIONS[name].formula(torch.zeros(2, 0, 3, dtype=dtype))
    assert (y.dtype, y.shape) == (dtype, (2, 0, 3))


def slope_at(name: str, x: float) -> float:
    point = torch.tensor([[x]], dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(ACTIVATIONS[name].formula(point).sum(), point)[0].item()


@pytest.mark.parametrize("name", NAMES)
def test_properties_are_what_their_definitions_say(name: str) -> None:
    entry = ACTIVATIONS[name]
    assert entry.saturating == (abs(slope_at(name, -10)) < 1e-3 and abs(slope_at(name, 10)) < 1e-3)
    assert entry.zero_centered == (abs(gaussian_moment(entry.formula)) < 0.05)
    assert entry.can_die == all(slope_at(name, x) == 0 for x in (-0.01, -1.0, -5.0))
    assert entry.scheme in SCHEMES
    assert entry.cost > 0
    assert entry.make() is not entry.make()


@pytest.mark.parametrize("name", [name for name in NAMES if not ACTIVATIONS[name].note])
def test_gains_without_a_note_keep_the_second_moment(name: str) -> None:
    assert ACTIVATIONS[name].gain == pytest.approx(gain_of(ACTIVATIONS[name].formula), rel=1e-6)


def test_selus_own_gain_is_the_second_moments_too() -> None:
    assert gain_of(ACTIVATIONS["selu"].formula) == pytest.approx(1.0, abs=1e-9)


def test_gains_that_are_torchs() -> None:
    assert ACTIVATIONS["sigmoid"].gain == pytest.approx(nn.init.calculate_gain("sigmoid"))
    assert ACTIVATIONS["tanh"].gain == pytest.approx(nn.init.calculate_gain("tanh"))
    assert ACTIVATIONS["relu"].gain == pytest.approx(nn.init.calculate_gain("relu"))


@given(slope=st.floats(-3, 3))
def test_leaky_gain_is_torchs(slope: float) -> None:
    assert leaky_gain(slope) == pytest.approx(nn.init.calculate_gain("leaky_relu", slope))


def test_moments_in_closed_form() -> None:
    def cdf(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    elu_square = 1 + math.exp(2) * cdf(-2) - 2 * math.exp(0.5) * cdf(-1)
    assert gaussian_moment(ACTIVATIONS["elu"].formula, power=2) == pytest.approx(elu_square, abs=1e-9)
    gelu_square = 1 / 3 + 1 / (2 * math.pi * math.sqrt(3))
    assert gaussian_moment(gelu, power=2) == pytest.approx(gelu_square, abs=1e-9)
    assert gaussian_moment(ACTIVATIONS["relu"].formula) == pytest.approx(1 / math.sqrt(2 * math.pi), abs=1e-9)
    assert gaussian_moment(gelu) == pytest.approx(1 / (2 * math.sqrt(math.pi)), abs=1e-9)
    assert gaussian_moment(lambda z: z, power=4) == pytest.approx(3.0, abs=1e-9)


def test_gelu_is_the_expectation_of_x_times_a_coin() -> None:
    x = torch.linspace(-3, 3, 25, dtype=torch.float64)
    draws = 20_000
    samples = gelu_sample(x.repeat(draws, 1), generator=torch.Generator().manual_seed(0))
    assert bool(((samples == 0) | (samples == x)).all())
    p = 0.5 * torch.erfc(-x / math.sqrt(2))
    standard_error = x.abs() * (p * (1 - p) / draws).sqrt()
    assert bool(((samples.mean(0) - gelu(x)).abs() <= 4.5 * standard_error + 1e-12).all())


def test_gelu_samples_come_from_the_generator_alone() -> None:
    state = torch.get_rng_state()
    first, second = (
        gelu_sample(torch.linspace(-1, 1, 99), generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_prelu_takes_a_slope_for_each_channel() -> None:
    x, slope = torch.randn(2, 3, 4), torch.tensor([0.1, 0.5, 2.0])
    torch.testing.assert_close(prelu(x, slope), F.prelu(x, slope))
    with pytest.raises(SettingError, match="1 number or one for each channel, but got 2 for 3 channels"):
        prelu(x, torch.ones(2))


def test_settings_outside_their_range() -> None:
    with pytest.raises(SettingError, match=r"`slope` must be in \[0, 1\), but got 1"):
        leaky_relu(torch.zeros(1), slope=1.0)
    with pytest.raises(SettingError, match="`alpha` must be above 0, but got 0"):
        activations.elu(torch.zeros(1), alpha=0.0)
    with pytest.raises(SettingError, match="`power` must be at least 1"):
        gaussian_moment(gelu, power=0)
    with pytest.raises(SettingError, match=r"must be one of the table, but got 'gleu'\. Did you mean \"gelu\""):
        activation("gleu")
    with pytest.raises(SettingError, match="must be at least 1, but got 0 and 0"):
        measure_cost("gelu", elements=0, repeats=0)


def test_cost_is_measured_on_a_small_tensor_too() -> None:
    assert measure_cost("gelu", elements=1000, repeats=1) > 0


class Custom(nn.Module):
    """Attributes, a ModuleList, a dict, one activation in two places, a function, and a sigmoid at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.ReLU(inplace=True)
        self.first = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.Linear(4, 4), self.shared), nn.Sequential(nn.Linear(4, 4), nn.Tanh())]
        )
        self.named = nn.ModuleDict({"act": nn.LeakyReLU(0.2)})
        self.last = nn.Linear(4, 1)
        self.final = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(self.first(x))
        for block in self.blocks:
            x = block(x)
        x = F.elu(self.named["act"](x))
        out: Tensor = self.final(self.last(x))
        return out


def test_swap_in_a_custom_tree_with_a_batch() -> None:
    model = Custom()
    report = swap(model, "gelu", batch=torch.randn(3, 4))
    assert report.replaced == {"shared": "relu", "blocks.0.1": "relu", "blocks.1.1": "tanh", "named.act": "leaky_relu"}
    assert isinstance(model.shared, nn.GELU)
    assert model.blocks[0].get_submodule("1") is model.shared
    assert isinstance(model.final, nn.Sigmoid)
    assert [(kept.name, kept.why) for kept in report.kept] == [("final", "It is the output's.")]
    assert [(kept.name, kept.activation) for kept in report.functional] == [("elu()", "elu")]
    assert "elu(): elu kept. It is a call of a function" in str(report)
    assert "not looked for" not in str(report)


def test_swap_without_a_batch_says_that_functions_were_not_looked_for() -> None:
    model = Custom()
    report = swap(model, "selu")
    assert set(report.replaced) == {"shared", "blocks.0.1", "blocks.1.1", "named.act"}
    assert [(kept.name, kept.why) for kept in report.kept] == [
        ("final", "It may be the output's: pass a batch to know.")
    ]
    assert not report.functional_searched
    assert "Functional calls (such as F.relu) were not looked for: pass a batch." in str(report)


def test_swap_without_a_batch_replaces_a_rectifier_that_is_registered_last() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.act = nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()

    assert swap(Late(), "elu").replaced == {"act": "relu"}
    assert swap(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "elu").replaced == {}


def test_swap_keeps_gates_softmax_and_what_serves_output_and_hidden_layers() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.gate, self.out = nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)
            self.softmax = nn.Softmax(dim=-1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x)
            out: Tensor = self.softmax(self.out(y * self.gate(y)))
            return out

    report = swap(Gated(), "relu", batch=torch.randn(2, 4))
    assert report.replaced == {}
    assert [(kept.name, kept.why) for kept in report.kept] == [
        ("gate", "It is a gate: its output multiplies another signal.")
    ]
    act = nn.Tanh()
    both = swap(nn.Sequential(nn.Linear(4, 4), act, nn.Linear(4, 1), act), "relu", batch=torch.randn(2, 4))
    assert both.replaced == {}
    assert both.kept[0].why.startswith("It is the output's and a hidden layer's at once")


def test_swap_to_prelu_follows_dtype_and_mode() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double().eval()
    swap(model, "prelu", batch=torch.randn(2, 2, dtype=torch.float64))
    assert isinstance(model[1], nn.PReLU)
    assert model[1].weight.dtype == torch.float64
    assert not model[1].training


def test_swap_refuses_an_unknown_name_before_it_changes_anything() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with pytest.raises(SettingError, match="Did you mean"):
        swap(model, "rellu")
    assert isinstance(model[1], nn.ReLU)


MAKERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Linear(4, 4),
    lambda: nn.LayerNorm(4),
    *(entry.make for entry in ACTIVATIONS.values()),
]
Tree = int | list[Any]
trees: st.SearchStrategy[Tree] = st.recursive(
    st.integers(0, len(MAKERS) - 1), lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12
)


def build(tree: Tree) -> nn.Module:
    return MAKERS[tree]() if isinstance(tree, int) else nn.Sequential(*map(build, tree))


def as_swapped(model: nn.Module, target: type[nn.Module]) -> list[type[nn.Module]]:
    """Leaf classes after a swap, by a rule that knows only chains: what stands before the last Linear is hidden."""
    kinds = [type(module) for module in model.modules() if not isinstance(module, nn.Sequential)]
    last = max((place for place, kind in enumerate(kinds) if kind is nn.Linear), default=-1)
    acts = {type(entry.make()) for entry in ACTIVATIONS.values()}
    return [target if kind in acts and place < last else kind for place, kind in enumerate(kinds)]


@settings(deadline=None, max_examples=40)
@given(tree=st.lists(trees, min_size=1, max_size=4), name=st.sampled_from(NAMES), run=st.booleans())
def test_after_a_swap_no_other_hidden_activation_is_left(tree: Tree, name: str, run: bool) -> None:
    model = build(tree)
    expected = as_swapped(model, type(ACTIVATIONS[name].make()))
    report = swap(model, name, batch=torch.randn(2, 4) if run else None)
    assert [type(module) for module in model.modules() if not isinstance(module, nn.Sequential)] == expected
    assert report.functional == ()
    assert bool(model(torch.randn(2, 4)).isfinite().all())
