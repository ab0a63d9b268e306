"""initialization: formulas in closed form, what a scheme does to a network's signal, and what it leaves alone."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell.anatomy import capture
from trainwell.core.errors import ModelError, SettingError
from trainwell.initialization import SCHEMES, initialize, kaiming_std, lecun_std, small_random_std, xavier_std


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(depth: int, width: int, activation: type[nn.Module], outputs: int = 10) -> nn.Sequential:
    hidden = [part for _ in range(depth) for part in (nn.Linear(width, width), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class Block(nn.Module):
    """A residual branch, with or without a norm at its end."""

    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1)
        self.two = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.relu(x + self.norm(self.two(torch.relu(self.one(x)))))
        return out


def residual(norm: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), Block(4, norm), Block(4, norm), nn.Flatten(), nn.Linear(4 * 36, 5)
    )


def is_all(tensor: Tensor, value: float) -> bool:
    return torch.equal(tensor, torch.full_like(tensor, value))


def has_gradient(model: nn.Module, name: str) -> bool:
    grad = model.get_parameter(name).grad
    return grad is not None and not is_all(grad, 0.0)


fans = st.integers(1, 100_000)


@given(fan_in=fans, fan_out=fans, gain=st.floats(0.01, 10))
def test_standard_deviations_in_closed_form(fan_in: int, fan_out: int, gain: float) -> None:
    assert kaiming_std(fan_in) == pytest.approx(math.sqrt(2 / fan_in))
    assert kaiming_std(fan_in, gain=gain) ** 2 * fan_in == pytest.approx(gain**2)
    assert xavier_std(fan_in) == pytest.approx(math.sqrt(1 / fan_in))
    assert xavier_std(fan_in, fan_out, gain=gain) == pytest.approx(gain * math.sqrt(2 / (fan_in + fan_out)))
    assert xavier_std(fan_in, fan_in) == pytest.approx(xavier_std(fan_in))
    assert lecun_std(fan_in) == pytest.approx(fan_in**-0.5)
    assert small_random_std(fan_in) == 0.01


@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 5)))
@settings(deadline=None, max_examples=30)
def test_wanted_standard_deviations_are_torchs(shape: tuple[int, int, int, int]) -> None:
    """Torch's own kaiming_normal_ and xavier_normal_ are the oracle for a convolution's fans."""
    outputs, inputs, height, width = shape
    model = nn.Sequential(nn.Conv2d(inputs, outputs, (height, width)), nn.ReLU(), nn.Flatten(), nn.Linear(outputs, 2))
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(model.get_parameter("0.weight"))
    rows = initialize(model, "kaiming", batch=torch.randn(1, inputs, height, width), generator=seeded())
    assert rows[0].fan_in == fan_in
    assert rows[0].std_wanted == pytest.approx(nn.init.calculate_gain("relu") / math.sqrt(fan_in))
    rows = initialize(model, "xavier", fan="avg", batch=torch.randn(1, inputs, height, width), generator=seeded())
    assert rows[0].std_wanted == pytest.approx(math.sqrt(2 / (fan_in + fan_out)))


def test_grouped_convolutions_count_their_own_channels() -> None:
    rows = initialize(
        nn.Sequential(nn.Conv2d(8, 16, 3, groups=4), nn.ReLU(), nn.Conv2d(16, 2, 1)), "kaiming", generator=seeded()
    )
    assert [row.fan_in for row in rows] == [3 * 3 * 2, 16]


def test_arguments_out_of_range_are_all_named() -> None:
    with pytest.raises(SettingError, match=r"`fan_in` must be at least 1, but got 0; `gain` must be above 0.*got -1"):
        kaiming_std(0, gain=-1.0)
    with pytest.raises(SettingError, match="`std` must be above 0"):
        small_random_std(std=0.0)
    with pytest.raises(SettingError, match="`fan_out` must be at least 1, but got -3"):
        xavier_std(4, -3)
    with pytest.raises(SettingError, match=r"`gain` must be above 0 and finite, but got inf"):
        lecun_std(4, gain=math.inf)


@settings(deadline=None, max_examples=8)
@given(depth=st.integers(10, 50), seed=st.integers(0, 1000))
def test_kaiming_keeps_the_second_moment_through_a_deep_relu_network(depth: int, seed: int) -> None:
    width = 192
    model = mlp(depth, width, nn.ReLU)
    x = torch.randn(256, width, generator=seeded(seed))
    initialize(model, "kaiming", batch=x, generator=seeded(seed + 1))
    hidden = list(capture(model, x).values())[:-1]
    moments = torch.stack([outputs[0].square().mean() for outputs in hidden])
    # The moment's log walks by about sqrt(5 / width) a layer (Hanin & Rolnick 2018); 4.5 standard deviations.
    bound = 4.5 * math.sqrt(5 * depth / width)
    assert moments[0].log().abs() < math.log(2.5)
    assert moments[1:].log().abs().max() < math.log(2.0) + bound


def test_xavier_and_small_weights_vanish_under_relu_where_kaiming_does_not() -> None:
    """The picture of the notes: with ReLU each layer of Xavier halves the second moment."""
    ends = {}
    for scheme in ("kaiming", "xavier", "small_random"):
        model, x = mlp(20, 256, nn.ReLU), torch.randn(256, 256, generator=seeded(1))
        initialize(model, scheme, batch=x, generator=seeded(2))
        ends[scheme] = capture(model, x, ["38"])["38"][0].square().mean().log2().item()
    assert abs(ends["kaiming"] - 1) < 3
    assert ends["xavier"] == pytest.approx(ends["kaiming"] - 20, abs=2)
    assert ends["small_random"] < -90


@settings(deadline=None, max_examples=8)
@given(depth=st.integers(5, 30), seed=st.integers(0, 1000))
def test_xavier_with_tanhs_gain_keeps_the_signal_between_vanishing_and_saturation(depth: int, seed: int) -> None:
    model, x = mlp(depth, 192, nn.Tanh), torch.randn(256, 192, generator=seeded(seed))
    initialize(model, "xavier", batch=x, gain=5 / 3, generator=seeded(seed + 1))
    hidden = list(capture(model, x).values())[1:-1]
    stds = torch.stack([torch.tanh(outputs[0]).std() for outputs in hidden])
    assert stds.min() > 0.5
    assert stds.max() < 0.85


def test_lecun_with_selu_is_a_fixed_point() -> None:
    model, x = mlp(40, 256, nn.SELU), 2.0 * torch.randn(256, 256, generator=seeded(3))
    initialize(model, "lecun", batch=x, generator=seeded(4))
    last = nn.functional.selu(capture(model, x, ["78"])["78"][0])
    assert abs(last.mean().item()) < 0.15
    assert last.var().item() == pytest.approx(1.0, abs=0.3)


def test_zero_weights_give_identical_gradients_for_ever() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 3))
    rows = initialize(model, "zeros", generator=seeded())
    assert [(row.how, row.std_got) for row in rows] == [("zero", 0.0), ("zero", 0.0)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x, y = torch.randn(32, 4, generator=seeded(1)), torch.randint(0, 3, (32,), generator=seeded(2))
    for _ in range(20):
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(x), y))
        optimizer.step()
        first = model.get_parameter("0.weight")
        assert first.grad is not None
        assert bool((first.grad == first.grad[0]).all())
        assert bool((first == first[0]).all())
    assert first.abs().max() > 0


def test_lsuv_gives_each_hidden_layer_unit_variance_on_its_batch() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ELU(), nn.Conv2d(8, 8, 3, bias=False), nn.Sigmoid(), nn.Flatten(), nn.Linear(8 * 16, 20),
        nn.GELU(), nn.Linear(20, 4),
    )  # fmt: skip
    x = 7.0 + 3.0 * torch.randn(64, 3, 8, 8, generator=seeded(1))
    rows = initialize(model, "lsuv", batch=x, generator=seeded(2))
    for name, outputs in list(capture(model, x).items())[:-1]:
        assert outputs[0].var(correction=0).item() == pytest.approx(1.0, abs=0.011), name
    assert [row.how for row in rows] == ["orthonormal"] * 4
    assert rows[-1].std_got <= 20**-0.5 + 1e-6
    assert rows[0].output_variance == pytest.approx(1.0, abs=0.011)
    weight = model.get_parameter("2.weight").flatten(1)
    gram = weight @ weight.T
    torch.testing.assert_close(gram, gram[0, 0] * torch.eye(8), rtol=1e-4, atol=1e-4 * gram[0, 0].item())


def test_lsuv_says_which_output_does_not_vary() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(ModelError, match=r"LSUV divides by the variance .* got 0\.0 for '0'.*different samples"):
        initialize(model, "lsuv", batch=torch.zeros(8, 4), generator=seeded())


def test_residual_without_a_norm_starts_as_its_shortcuts() -> None:
    model, x = residual(norm=False), torch.rand(2, 3, 6, 6)
    rows = initialize(model, "residual", batch=x, generator=seeded())
    assert {row.layer for row in rows if row.how == "zero"} == {"1.two", "2.two"}
    stem = torch.relu(model[0](x))
    torch.testing.assert_close(model[:3](x), stem)
    torch.autograd.backward(model(x).sum())
    assert has_gradient(model, "1.two.weight")


def test_residual_with_a_norm_zeroes_its_gain_and_not_the_weight_too() -> None:
    model, x = residual(norm=True), torch.rand(4, 3, 6, 6)
    rows = initialize(model, "residual", batch=x, generator=seeded())
    assert {row.parameter for row in rows if row.how == "zero"} == {"1.norm.weight", "2.norm.weight"}
    torch.testing.assert_close(model[:3](x), torch.relu(model[0](x)))
    torch.autograd.backward(model(x).sum())
    assert has_gradient(model, "1.norm.weight"), "of two zeros neither would have a gradient"


def test_the_output_layer_never_has_relus_gain() -> None:
    for batch in (None, torch.randn(2, 64)):
        rows = initialize(mlp(2, 64, nn.ReLU), "kaiming", batch=batch, generator=seeded())
        assert [row.std_wanted for row in rows] == pytest.approx([kaiming_std(64), kaiming_std(64), 64**-0.5])
        rows = initialize(mlp(2, 64, nn.ReLU), "kaiming", batch=batch, gain=3.0, generator=seeded())
        assert [row.std_wanted for row in rows] == pytest.approx([3 / 8, 3 / 8, 1 / 8])


def test_the_output_layer_is_bounded_by_fan_in_in_the_paper_form_too() -> None:
    rows = initialize(mlp(1, 64, nn.Tanh, outputs=2), "xavier", fan="avg", generator=seeded())
    assert rows[-1].std_wanted == pytest.approx(1 / 8)
    assert xavier_std(64, 2) > 1 / 8


def test_a_gain_for_each_layer() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    rows = initialize(model, "xavier", batch=torch.randn(2, 16), gain={"0": 5 / 3}, generator=seeded())
    assert [row.std_wanted for row in rows] == pytest.approx([5 / 12, 1 / 4, 1 / 4])


def test_layers_that_no_activation_follows_get_gain_one() -> None:
    model = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, batch_first=True)
    rows = initialize(model, "kaiming", batch=torch.randn(2, 3, 16), generator=seeded())
    wanted = {row.parameter: row.std_wanted for row in rows}
    assert wanted == pytest.approx(
        {
            "self_attn.in_proj_weight": 1 / 4,
            "self_attn.out_proj.weight": 1 / 4,
            "linear1.weight": kaiming_std(16),
            "linear2.weight": 32**-0.5,
        }
    )


def test_biases_norms_and_statistics_are_fresh() -> None:
    model = nn.Sequential(
        nn.Linear(4, 4), nn.BatchNorm1d(4), nn.PReLU(), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 1)
    )
    model(9.0 + torch.randn(32, 4))
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.fill_(5.0)
    initialize(model, "kaiming", generator=seeded())
    assert all(is_all(model.get_parameter(f"{place}.bias"), 0.0) for place in (0, 1, 3, 4, 5))
    assert all(is_all(model.get_parameter(f"{place}.weight"), 1.0) for place in (1, 4))
    assert is_all(model.get_parameter("2.weight"), 0.25)
    assert is_all(model.get_buffer("1.running_mean"), 0.0)


def test_embeddings_and_weights_tied_to_the_output() -> None:
    class Language(nn.Module):
        def __init__(self, tied: bool) -> None:
            super().__init__()
            self.embed = nn.Embedding(500, 25, padding_idx=0)
            self.out = nn.Linear(25, 500, bias=False)
            if tied:
                self.out.weight = self.embed.weight

        def forward(self, ids: Tensor) -> Tensor:
            out: Tensor = self.out(torch.relu(self.embed(ids)))
            return out

    free = initialize(Language(tied=False), "kaiming", batch=torch.arange(9), generator=seeded())
    assert [row.std_wanted for row in free] == pytest.approx([1.0, 0.2])
    model = Language(tied=True)
    tied = initialize(model, "kaiming", batch=torch.arange(9), generator=seeded())
    assert [row.parameter for row in tied] == ["embed.weight"]
    assert tied[0].std_wanted == pytest.approx(0.2)
    assert tied[0].std_got == pytest.approx(0.2, rel=0.05)
    assert is_all(model.embed.weight[0], 0.0)


def test_recurrent_layers() -> None:
    model = nn.LSTM(64, 32, num_layers=2)
    rows = {row.parameter: row for row in initialize(model, "kaiming", generator=seeded())}
    assert rows["weight_ih_l0"].std_wanted == pytest.approx(1 / 8)
    assert rows["weight_ih_l1"].std_wanted == pytest.approx(32**-0.5)
    for gate in model.get_parameter("weight_hh_l0").detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(32), rtol=1e-4, atol=1e-4)
    assert model.get_parameter("bias_ih_l0").detach().view(4, 32).mean(1).tolist() == [0, 1, 0, 0]
    assert is_all(model.get_parameter("bias_hh_l0"), 0.0)


def test_orthonormal_draws_are_uniform() -> None:
    """Of one number: +1 and -1 alike. QR alone would always give +1."""
    signs = []
    for seed in range(40):
        model = nn.RNN(1, 1)
        initialize(model, "kaiming", generator=seeded(seed))
        signs.append(model.get_parameter("weight_hh_l0").item())
    assert {abs(sign) for sign in signs} == {1.0}
    assert abs(sum(signs)) < 25


def test_own_layers_are_drawn_and_what_is_not_known_is_left_and_listed() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.zeros(100, 80))
            self.bias = nn.Parameter(torch.ones(80))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.matrix + self.bias

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.full((1, 100), 3.0))
            self.own = Own()
            self.out = nn.Linear(80, 2)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.out(torch.relu(self.own(x + self.token)))
            return out

    model = Model()
    rows = {row.parameter: row for row in initialize(model, "kaiming", batch=torch.randn(2, 100), generator=seeded())}
    assert rows["own.matrix"].std_got == pytest.approx(math.sqrt(2 / 100), rel=0.05)
    assert (rows["token"].how, rows["token"].std_got) == ("left", 3.0)
    assert is_all(model.own.bias, 0.0)


def test_weight_normed_layers_take_the_draw_and_refuse_zero() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(50, 60)), nn.ReLU(), nn.Linear(60, 2))
    rows = initialize(model, "kaiming", generator=seeded())
    weight = model[0].weight
    assert isinstance(weight, Tensor)
    assert weight.square().mean().sqrt().item() == pytest.approx(rows[0].std_got)
    assert rows[0].std_got == pytest.approx(0.2, rel=0.1)
    with pytest.raises(
        ModelError, match=r"must be able to take its value, but got one that is not finite for 0\.weight"
    ):
        initialize(model, "zeros", generator=seeded())


@pytest.mark.parametrize(
    ("scheme", "settings_", "match"),
    [
        ("kaimin", {}, r"`scheme` must be one of the table, but got 'kaimin'\. Did you mean \"kaiming\""),
        ("lsuv", {}, "'lsuv' must see the network run, but got no batch"),
        ("kaiming", {"fan": "avg"}, "is a form of xavier, but got 'kaiming'"),
        ("xavier", {"gain": 0.0}, "`gain` must be above 0 and finite, but got 0.0 for every layer"),
        ("xavier", {"gain": {"zero": 1.0}}, "`gain` must name layers, but got 'zero'"),
        ("lsuv", {"gain": -1.0}, r"no batch.*`gain` must be above 0"),
    ],
)
def test_settings_are_checked_before_anything_changes(scheme: str, settings_: Mapping[str, Any], match: str) -> None:
    model = mlp(1, 4, nn.ReLU)
    before = [tensor.clone() for tensor in model.parameters()]
    with pytest.raises(SettingError, match=match):
        initialize(model, scheme, generator=seeded(), **settings_)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_scheme_is_reproducible_draws_from_its_generator_alone_and_reports_the_truth(scheme: str) -> None:
    x = torch.rand(8, 3, 6, 6, generator=seeded(9))
    weights = []
    for seed in (1, 1, 2):
        model = residual(norm=True)
        modes, state = [module.training for module in model.modules()], torch.get_rng_state()
        rows = initialize(model, scheme, batch=x, generator=seeded(seed))
        assert torch.equal(torch.get_rng_state(), state)
        assert [module.training for module in model.modules()] == modes
        assert all(tensor.requires_grad and tensor.grad is None for tensor in model.parameters())
        for row in rows:
            tensor = model.get_parameter(row.parameter)
            assert row.std_got == pytest.approx(tensor.square().mean().sqrt().item(), rel=1e-5)
            if row.std_wanted is not None:
                assert abs(row.std_got - row.std_wanted) <= 5 * row.std_wanted / math.sqrt(2 * tensor.numel())
        weights.append(torch.cat([tensor.detach().flatten() for tensor in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2]) == (scheme == "zeros")
    assert SCHEMES[scheme].why
