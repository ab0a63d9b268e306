"""probes/: experiments whose answer is known, and which leave the Setup as it is."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell.core.records.layout import OutputLayout
from trainwell.probes.initial_loss import initial_loss
from trainwell.probes.lr_sweep import confirm, lr_sweep, read_sweep
from trainwell.probes.small_sample import small_sample
from trainwell.training.objective import Objective
from trainwell.training.setup import Setup

Make = Callable[..., Setup]


def network(*, dropout: float = 0.5, zero: bool = False) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        last = nn.Linear(16, 3)
        if zero:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), last)


def test_a_network_that_outputs_zero_starts_at_log_c_exactly(setup_of: Make) -> None:
    section = initial_loss(setup_of(network(zero=True), label_smoothing=0.1))
    assert section.measured == section.zero_output
    assert math.isclose(section.measured, math.log(3), rel_tol=1e-6)
    assert section.logit_std == 0.0
    assert math.isclose(section.best_constant, math.log(3), rel_tol=1e-4)


def test_the_floor_of_chance_is_the_entropy_of_the_classes(setup_of: Make) -> None:
    setup = setup_of(network(zero=True))
    rare = setup.with_(targets=torch.where(torch.arange(120) < 9, 1, 0))
    section = initial_loss(rare)
    share = 0.1
    assert math.isclose(
        section.best_constant, -share * math.log(share) - (1 - share) * math.log(1 - share), rel_tol=1e-9
    )
    assert section.best_constant < section.zero_output


def test_in_regression_zero_costs_the_mean_of_squared_standardized_targets(setup_of: Make) -> None:
    setup = setup_of(network())
    raw = 5.0 * setup.inputs[:, :1] + 2.0
    train = raw[:90]
    output = OutputLayout(
        task="regression", size=1, names=("y",), means=(train.mean().item(),), stds=(train.std(correction=0).item(),)
    )
    numbers = setup.with_(targets=raw, output=output, loss=Objective(output=output), model=nn.Linear(4, 1))
    section = initial_loss(numbers)
    assert math.isclose(section.zero_output, 1.0, rel_tol=1e-4)
    assert math.isclose(section.best_constant, 1.0, rel_tol=1e-4)


def test_a_small_sample_is_learnt_by_heart(setup_of: Make) -> None:
    section = small_sample(setup_of(network(), optimizer="adamw"), lrs=[0.02], max_steps=150, enough=0.999)
    assert max(section.metric.y) == 1.0
    assert section.samples == 80
    assert section.lr == 0.02
    assert section.attempts == ()
    assert len(section.loss.x) < 150


def test_rates_are_tried_in_order_until_one_fits(setup_of: Make) -> None:
    section = small_sample(setup_of(network(), optimizer="adamw"), lrs=[1e-7, 0.02, 0.1], max_steps=150, enough=0.999)
    assert section.lr == 0.02
    assert [curve.name for curve in section.attempts] == ["lr 1e-07"]


def test_what_cannot_be_learnt_by_heart_gives_its_best_attempt(setup_of: Make) -> None:
    setup = setup_of(network()).with_(inputs=torch.ones(120, 4))
    section = small_sample(setup, lrs=[0.01, 0.1], max_steps=30, enough=0.999)
    assert max(section.metric.y) < 0.6
    assert len(section.attempts) == 1


def test_the_best_rate_goes_on_where_none_fits(setup_of: Make) -> None:
    setup = setup_of(network(), optimizer="adamw")
    short = small_sample(setup, lrs=[1e-7, 0.01], max_steps=20, enough=1.0)
    longer = small_sample(setup, lrs=[1e-7, 0.01], max_steps=20, enough=1.0, more_steps=300)
    whole = small_sample(setup, lrs=[0.01], max_steps=320, enough=1.0)
    assert (short.lr, longer.lr, len(short.loss.x)) == (0.01, 0.01, 20)
    assert [len(curve.x) for curve in longer.attempts] == [20]
    assert max(short.metric.y) < max(longer.metric.y) == 1.0
    # It is one training: going on is not starting again.
    shared = min(len(longer.loss.y), len(whole.loss.y))
    assert longer.loss.y[:shared] == whole.loss.y[:shared]
    assert longer.loss.x == tuple(float(step) for step in range(1, len(longer.loss.y) + 1))


def test_a_rate_that_explodes_ends_at_once(setup_of: Make) -> None:
    section = small_sample(bowl(setup_of(network())), lrs=[1e6], max_steps=50, enough=0.999)
    assert len(section.loss.x) < 20
    assert not math.isfinite(section.loss.y[-1])


class Bowl(nn.Module):
    """Outputs its parameters: with a squared loss a quadratic bowl, whose largest stable rate is known."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.full((1, 4), 3.0))

    def forward(self, batch: Tensor) -> Tensor:
        return self.place.expand(len(batch), -1)


def bowl(setup: Setup) -> Setup:
    output = OutputLayout(task="regression", size=4, names=("a", "b", "c", "d"), means=(0.0,) * 4, stds=(1.0,) * 4)
    return setup.with_(
        model=Bowl(),
        inputs=torch.zeros(120, 1),
        targets=torch.zeros(120, 4),
        output=output,
        loss=Objective(output=output),
    )


def test_on_a_bowl_the_rate_lies_where_the_loss_falls_and_below_where_it_grows(setup_of: Make) -> None:
    # The loss is |w|² / 4: a step multiplies w by 1 - rate / 2, so that it grows beyond rate 4.
    section = lr_sweep(bowl(setup_of(network())), low=1e-5, high=100.0, steps=150)
    low, high = section.interval
    assert section.usable
    assert low <= section.lr <= high < 100.0
    confirmed = confirm(bowl(setup_of(network())), section, lrs=[section.lr / 3, section.lr, 3 * section.lr], steps=40)
    assert confirmed.usable
    assert 0.1 < confirmed.lr < 4.0
    assert len(section.curve.x) < 150
    assert section.curve.x[0] == 1e-5
    ratios = np.diff(np.log(section.curve.x))
    assert np.allclose(ratios, ratios[0])


def test_confirmation_keeps_the_rate_with_the_lowest_end(setup_of: Make) -> None:
    setup = bowl(setup_of(network()))
    section = lr_sweep(setup, low=1e-5, high=100.0, steps=100)
    confirmed = confirm(setup, section, lrs=[1e-4, 0.5, 50.0], steps=40)
    assert confirmed.lr == 0.5
    assert confirmed.usable
    assert [len(curve.x) for curve in confirmed.confirmations][:2] == [40, 40]
    hopeless = confirm(setup, replace(section, usable=False), lrs=[50.0, 80.0], steps=40)
    assert not hopeless.usable


def test_a_network_that_cannot_learn_has_no_usable_rate(setup_of: Make) -> None:
    setup = setup_of(network()).with_(inputs=torch.zeros(120, 4))
    assert not lr_sweep(setup, low=1e-6, high=0.1, steps=60).usable


@settings(deadline=None, max_examples=60)
@given(
    losses=st.lists(st.floats(0.01, 10.0), min_size=2, max_size=40),
    last=st.sampled_from([None, math.nan, math.inf]),
)
def test_the_chosen_rate_lies_in_the_interval_whatever_was_measured(losses: list[float], last: float | None) -> None:
    smoothed = losses + ([] if last is None else [last])
    rates = [1e-4 * 1.3**i for i in range(len(smoothed))]
    chosen, (low, high), usable = read_sweep(rates, smoothed, smoothed)
    assert rates[0] <= low <= chosen <= high <= rates[-1]
    assert not usable or min(losses) < max(losses)


def test_two_numbers_at_least_are_needed() -> None:
    assert read_sweep([0.1], [math.nan], [math.nan]) == (0.1, (0.1, 0.1), False)


def bits(setup: Setup) -> dict[str, Any]:
    found: dict[str, Any] = {name: tensor.numpy().tobytes() for name, tensor in setup.model.state_dict().items()}
    found["modes"] = [module.training for module in setup.model.modules()]
    found["gradients"] = [parameter.grad is None and parameter.requires_grad for parameter in setup.model.parameters()]
    found["hooks"] = [
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in setup.model.modules()
    ]
    found["data"] = setup.inputs.numpy().tobytes() + setup.targets.numpy().tobytes() + setup.train.numpy().tobytes()
    found["torch"] = torch.get_rng_state().numpy().tobytes()
    found["numpy"] = np.random.get_state(legacy=False)["state"]["key"].tobytes()  # noqa: NPY002 - the global state is what is watched
    # Python's own generator is not watched: beartype, which checks the shapes here, draws from it.
    return found


PROBES: dict[str, Callable[[Setup], object]] = {
    "initial_loss": initial_loss,
    "small_sample": lambda setup: small_sample(setup, lrs=[0.1, 0.01], max_steps=20, enough=2.0, more_steps=20),
    "lr_sweep": lambda setup: lr_sweep(setup, low=1e-4, high=10.0, steps=30),
    "confirm": lambda setup: confirm(setup, lr_sweep(setup, low=1e-4, high=1.0, steps=20), lrs=[0.1], steps=10),
}


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("name", PROBES)
def test_no_probe_changes_anything_and_each_says_the_same_twice(setup_of: Make, name: str, mode: bool) -> None:
    setup = setup_of(network().train(mode), optimizer="adamw")
    torch.manual_seed(8)
    before = bits(setup)
    first = PROBES[name](setup)
    after = bits(setup)
    assert [name for name, found in after.items() if found != before[name]] == []
    torch.manual_seed(9)
    assert repr(PROBES[name](setup)) == repr(first)
