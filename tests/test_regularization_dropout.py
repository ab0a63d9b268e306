"""Training adds randomness, testing averages it out."""

import importlib
import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import linear

from trainwell.core.errors import ModelError, SettingError
from trainwell.core.seeds import generator, seeded
from trainwell.regularization import (
    REGULARIZERS,
    DropConnect,
    Dropout,
    PlainDropout,
    StochasticDepth,
    depth_rates,
    draw_kept,
    drop_connect,
    dropout,
    plain_dropout,
    stochastic_depth,
)

PASSES = 4000
INPUTS = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
WEIGHT = torch.randn(3, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

# One layer each: (inputs, training, generator) -> outputs.
LAYERS: dict[str, Callable[[float, bool, torch.Generator], Tensor]] = {
    "dropout": lambda p, training, source: dropout(INPUTS, p=p, training=training, generator=source),
    "plain_dropout": lambda p, training, source: plain_dropout(INPUTS, p=p, training=training, generator=source),
    "drop_connect": lambda p, training, source: drop_connect(INPUTS, WEIGHT, p=p, training=training, generator=source),
    "stochastic_depth": lambda p, training, source: (
        INPUTS + stochastic_depth(2 * INPUTS, p=p, training=training, generator=source)
    ),
}


def test_the_suite_covers_every_row_that_claims_to_be_exact() -> None:
    assert set(LAYERS) == {name for name, row in REGULARIZERS.items() if row.averaging == "exact in expectation"}


@pytest.mark.parametrize("name", sorted(LAYERS))
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_the_mean_over_training_passes_is_the_test_pass(name: str, p: float) -> None:
    source = generator(0, name, str(p))
    passes = torch.stack([LAYERS[name](p, True, source) for _ in range(PASSES)])
    tested = LAYERS[name](p, False, source)
    error = passes.std(dim=0) / math.sqrt(PASSES)
    assert bool((error > 0).all()), "training must be random"
    # 30 numbers at most: five standard errors are passed by chance in one of 60,000 suites.
    assert bool(((passes.mean(dim=0) - tested).abs() <= 5 * error).all())


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_draws_follow_the_seed(name: str) -> None:
    first, again, *others = (LAYERS[name](0.5, True, generator(seed)) for seed in (1, 1, *range(2, 12)))
    assert torch.equal(first, again)
    assert not all(torch.equal(first, other) for other in others)


@settings(deadline=None, max_examples=40)
@given(p=st.floats(0, 0.95), seed=st.integers(0, 10_000))
def test_p_is_the_share_dropped(p: float, seed: int) -> None:
    kept = draw_kept((20_000,), p=p, generator=generator(seed))
    assert float((~kept).float().mean()) == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 20_000) + 1e-9)


@pytest.mark.parametrize("p", [0.0, 1e-9, 0.5, 0.99999, 1.0 - 1e-9])
def test_the_ends_of_the_range_are_drawn_too(p: float) -> None:
    share = float(draw_kept((9, 11_111), p=p, generator=generator(0)).float().mean())
    # Four numbers to a 64-bit draw: what does not fill one is cut off, and p is met to within 1 / 65,536.
    assert share == pytest.approx(1.0 - p, abs=5 * math.sqrt(p * (1 - p) / 99_999) + 2**-16 + 1e-9)
    assert draw_kept((), p=p, generator=generator(0)).shape == ()


def test_the_four_numbers_of_a_draw_are_independent() -> None:
    kept = draw_kept((50_000, 4), p=0.3, generator=generator(1)).double()
    correlations = torch.corrcoef(kept.T) - torch.eye(4, dtype=torch.float64)
    assert float(correlations.abs().max()) < 5 / math.sqrt(50_000)


def test_a_given_mask_is_obeyed() -> None:
    kept = torch.tensor([[True, False, True, True, False]]).expand(6, 5)
    torch.testing.assert_close(dropout(INPUTS, p=0.2, training=True, kept=kept), INPUTS * kept / 0.8)
    torch.testing.assert_close(plain_dropout(INPUTS, p=0.2, training=True, kept=kept), INPUTS * kept)
    mask = kept[:3]
    torch.testing.assert_close(
        drop_connect(INPUTS, WEIGHT, torch.ones(3).double(), p=0.2, training=True, kept=mask),
        linear(INPUTS, WEIGHT * mask / 0.8) + 1,
    )
    rows = torch.tensor([True, False, True, False, False, True])
    torch.testing.assert_close(stochastic_depth(INPUTS, p=0.5, training=True, kept=rows), INPUTS * rows[:, None] * 2)


def test_stochastic_depth_drops_whole_samples() -> None:
    branch = torch.ones(200, 3, 4, 4)
    outputs = stochastic_depth(branch, p=0.3, training=True, generator=generator(0))
    sums = outputs.flatten(1).sum(dim=1)
    whole = 48 / 0.7
    assert all(value == 0 or value == pytest.approx(whole, rel=1e-5) for value in sums.tolist())
    assert 0 < int((sums == 0).sum()) < 200


def test_gradients_are_dropped_with_the_activations() -> None:
    inputs = INPUTS.clone().requires_grad_()
    kept = draw_kept((6, 5), p=0.5, generator=generator(0))
    torch.autograd.backward(dropout(inputs, p=0.5, training=True, kept=kept).sum())
    torch.testing.assert_close(inputs.grad, kept.double() * 2)


def test_ours_scales_as_torchs_dropout_does() -> None:
    with seeded(0):
        outputs = nn.Dropout(0.3).train()(torch.ones(1000))
    torch.testing.assert_close(dropout(torch.ones(1000), p=0.3, training=True, kept=outputs > 0), outputs)
    torch.testing.assert_close(dropout(INPUTS, p=0.3, training=False), nn.Dropout(0.3).eval()(INPUTS))
    assert isinstance(Dropout(0.3), nn.Dropout), "tools that look for dropout must find it"


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(5, 3), nn.Linear(5, 3, bias=False), nn.Conv1d(1, 2, 3)],
    ids=["linear", "linear without bias", "convolution"],
)
def test_drop_connect_around_any_layer(layer: nn.Module) -> None:
    inputs = INPUTS.float() if isinstance(layer, nn.Linear) else INPUTS.float()[:, None]
    wrapped = DropConnect(layer, p=0.5)
    before = layer.get_parameter("weight").detach().clone()
    with seeded(0):
        passes = torch.stack([wrapped.train()(inputs) for _ in range(2000)]).detach()
    tested = wrapped.eval()(inputs).detach()
    torch.testing.assert_close(tested, layer(inputs).detach())
    error = passes.std(dim=0) / math.sqrt(len(passes))
    assert bool(((passes.mean(dim=0) - tested).abs() <= 5 * error + 1e-6).all())
    assert torch.equal(layer.get_parameter("weight"), before), "the weights themselves stay whole"
    wrapped.train()(inputs).sum().backward()
    assert layer.get_parameter("weight").grad is not None
    assert next(name for name, _ in wrapped.named_parameters()) == "layer.weight"


def test_layers_draw_from_the_global_generator_in_training_only() -> None:
    inputs = torch.ones(100, 2)
    for layer in (Dropout(0.5), PlainDropout(0.5), StochasticDepth(0.5)):
        with seeded(3):
            first, second = layer.train()(inputs), layer(inputs)
        with seeded(3):
            again = layer(inputs)
        assert torch.equal(first, again)
        assert not torch.equal(first, second)
        assert torch.equal(layer.eval()(inputs), layer(inputs))
        assert "p=0.5" in repr(layer)


def test_alpha_dropout_keeps_mean_and_variance_of_selu_activations() -> None:
    """The row of the table that is torch's own."""
    with seeded(0):
        normal = torch.randn(400_000)
        dropped = nn.AlphaDropout(0.2).train()(normal)
    assert float(dropped.mean()) == pytest.approx(float(normal.mean()), abs=0.01)
    assert float(dropped.std()) == pytest.approx(float(normal.std()), abs=0.01)
    with seeded(0):
        inverted = nn.Dropout(0.2).train()(normal)
    assert abs(float(inverted.std()) - 1) > 0.1, "which inverted dropout does not"


def test_depth_rates_rise_linearly() -> None:
    rates = depth_rates(10, last_p=0.5)
    assert rates[-1] == 0.5
    assert rates[0] == pytest.approx(0.05)
    steps = [after - before for before, after in pairwise(rates)]
    assert steps == pytest.approx([0.05] * 9)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_probabilities_outside_the_range_are_refused(p: float) -> None:
    message = "`0 <= p < 1` must hold.*to keep with probability k, give 1 - k"
    for call in LAYERS.values():
        with pytest.raises(SettingError, match=message):
            call(p, True, generator(0))
    for layer in (PlainDropout, StochasticDepth):
        with pytest.raises(SettingError, match=message):
            layer(p)
    with pytest.raises(SettingError, match=message):
        DropConnect(nn.Linear(2, 2), p=p)
    with pytest.raises(SettingError, match=message):
        depth_rates(3, last_p=p)


def test_other_refusals() -> None:
    with pytest.raises(ModelError, match="a layer with a `weight`, but got ReLU"):
        DropConnect(nn.ReLU())
    with pytest.raises(SettingError, match="`blocks >= 1` must hold, but got 0"):
        depth_rates(0, last_p=0.1)


@pytest.mark.parametrize("name", sorted(REGULARIZERS))
def test_every_row_names_something_that_exists(name: str) -> None:
    row = REGULARIZERS[name]
    module, _, attribute = row.use.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))
    assert row.training
    assert row.testing
    assert row.source[-4:].isdigit()
