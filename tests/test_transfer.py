from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell.anatomy import trace
from trainwell.core.errors import ModelError, SettingError
from trainwell.transfer import (
    LITTLE_BELOW,
    PLENTY_FROM,
    SIMILAR_FROM,
    TRANSFER_TABLE,
    freeze,
    frozen_batch_norm,
    layer_rates,
    layerwise_lr,
    transfer_plan,
    unfreeze,
    unfreeze_top,
    unfrozen_stages,
)


class Backwards(nn.Module):
    """Registered from the last layer to the first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.middle = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.first = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(torch.relu(self.middle(torch.relu(self.first(x)))))
        return output


class Functional(nn.Module):
    """A weight that is multiplied with, and that no layer of torch holds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.shift = nn.Parameter(torch.zeros(4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(torch.relu(self.first(x)) @ self.weight + self.shift)
        return output


def ten_layers() -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(2, 2) for _ in range(11)))


# Freezing.


def test_prefix_ends_at_a_dot() -> None:
    model = ten_layers()
    assert freeze(model, prefixes=["1"]) == ("1.weight", "1.bias")
    assert [name for name, one in model.named_parameters() if not one.requires_grad] == ["1.weight", "1.bias"]


def test_freeze_returns_what_changed_and_unfreeze_undoes_it() -> None:
    model = Backwards()
    model.first.bias.requires_grad_(False)
    frozen = freeze(model, prefixes=["first", "middle.1.bias"], modules=[model.head])
    assert frozen == ("head.weight", "head.bias", "middle.1.bias", "first.weight")
    assert unfreeze(model, prefixes=frozen) == frozen
    assert [name for name, one in model.named_parameters() if not one.requires_grad] == ["first.bias"]
    assert len(freeze(model, prefixes=[""])) == 7
    assert not any(one.requires_grad for one in model.parameters())


def test_a_frozen_parameter_stays_even_with_momentum_and_a_stale_gradient() -> None:
    model = Backwards()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    freeze(model, prefixes=["head"])
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    same = {name for name, one in model.named_parameters() if torch.equal(one, before[name])}
    assert same == {"head.weight", "head.bias"}


def test_shared_parameters_answer_to_each_of_their_names() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    assert freeze(model, prefixes=["1.weight"]) == ("1.weight",)
    assert not model[0].weight.requires_grad
    assert unfreeze(model, prefixes=["0", "1"]) == ("0.weight",)


def test_names_that_are_not_there_are_refused_all_at_once() -> None:
    model = Backwards()
    with pytest.raises(SettingError) as caught:
        freeze(model, prefixes=["haed", "first"], modules=[nn.Linear(1, 1), model.head])
    for part in ('but got "haed". Did you mean "head"?', "`modules` must be parts of the model, but 1 of 2 are not"):
        assert part in str(caught.value)
    assert all(one.requires_grad for one in model.parameters())
    with pytest.raises(SettingError, match=r'must be given, but got neither\. Use prefixes=\[""\] for everything\.'):
        unfreeze(model)


# Rates that fall with depth.


def test_rates_are_a_geometric_sequence_from_the_top() -> None:
    groups = layerwise_lr(ten_layers(), lr=0.5, decay=0.8)
    assert [group["lr"] for group in groups] == pytest.approx([0.5 * 0.8 ** (10 - depth) for depth in range(11)])
    assert [group["name"] for group in groups] == [f"depth {10 - depth}" for depth in range(11)]
    assert groups[-1]["lr"] == 0.5


def test_order_of_the_trace_overrules_the_order_of_registration() -> None:
    model = Backwards()
    rates = layer_rates(model, lr=1.0, decay=0.5, order=trace(model, torch.ones(2, 3)))
    assert rates == {
        "head.weight": 1.0,
        "head.bias": 1.0,
        "middle.0.weight": 0.5,
        "middle.0.bias": 0.5,
        "middle.1.weight": 0.5,
        "middle.1.bias": 0.5,
        "first.weight": 0.25,
        "first.bias": 0.25,
    }
    assert layer_rates(model, lr=1.0, decay=0.5)["head.weight"] == 0.25
    assert layer_rates(model, lr=1.0, decay=0.5, order=["first", "middle", "head"]) == rates


def test_weights_of_functional_layers_and_parameters_of_the_network_itself_have_their_depth() -> None:
    model = Functional()
    rates = layer_rates(model, lr=1.0, decay=0.5, order=trace(model, torch.ones(2, 3)))
    assert rates["first.weight"] == rates["first.bias"] == 0.25
    assert rates["weight"] == 0.5
    assert rates["head.weight"] == 1.0
    assert "shift" in rates


def test_layers_that_never_run_do_not_lower_the_others() -> None:
    model = Backwards()
    model.spare = nn.Linear(4, 4)
    rates = layer_rates(model, lr=1.0, decay=0.5, order=trace(model, torch.ones(2, 3)))
    assert rates["head.weight"] == rates["spare.weight"] == 1.0
    assert rates["first.weight"] == 0.25


def test_frozen_parameters_are_left_out_and_keep_their_depth() -> None:
    model = ten_layers()
    freeze(model, prefixes=["10", "0"])
    rates = layer_rates(model, lr=1.0, decay=0.5)
    assert rates["9.weight"] == 0.5
    assert "10.weight" not in rates
    assert "0.bias" not in rates


@given(lr=st.floats(1e-6, 10.0), decay=st.floats(0.1, 1.0), layers=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_groups_hold_every_parameter_once_and_rise_to_lr(lr: float, decay: float, layers: int) -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)) for _ in range(layers)))
    groups = layerwise_lr(model, lr=lr, decay=decay)
    rates = [group["lr"] for group in groups]
    assert rates == sorted(rates)
    assert rates[-1] == lr
    members = [one for group in groups for one in group["params"]]
    assert len(members) == len({id(one) for one in members}) == len(list(model.parameters()))
    optimizer = torch.optim.AdamW(groups)
    assert [group["lr"] for group in optimizer.param_groups] == rates


def test_bad_rates_and_orders_are_refused_all_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        layerwise_lr(Backwards(), lr=0.0, decay=1.5, order=["first", "midle"])
    for part in (
        "`0 < lr < inf` must hold, but got 0.0",
        "`0 < decay <= 1` must hold, but got 1.5",
        '`order` must name modules of the model, but got "midle". Did you mean "middle"?',
        "none of its layers holds head.weight, head.bias, middle.0.weight",
    ):
        assert part in str(caught.value)
    model = Backwards()
    freeze(model, prefixes=[""])
    with pytest.raises(ModelError, match=r"must have parameters that require gradients, but this one has none"):
        layer_rates(model, lr=0.1, decay=0.5)


# Gradual unfreezing.


@given(stages=st.integers(1, 20), first=st.integers(0, 20), stride=st.integers(1, 50), step=st.integers(0, 2000))
@settings(max_examples=100, deadline=None)
def test_stages_unfreeze_one_by_one_until_all_are(stages: int, first: int, stride: int, step: int) -> None:
    first = min(first, stages)
    now, later = (
        unfrozen_stages(at, stages=stages, steps_per_stage=stride, first_stages=first) for at in (step, step + 1)
    )
    assert first <= now <= later <= min(now + 1, stages)
    assert unfrozen_stages(0, stages=stages, steps_per_stage=stride, first_stages=first) == first
    end = (stages - first) * stride
    assert unfrozen_stages(end, stages=stages, steps_per_stage=stride, first_stages=first) == stages
    if end > 0:
        assert unfrozen_stages(end - 1, stages=stages, steps_per_stage=stride, first_stages=first) == stages - 1


def test_unfreeze_top_trains_the_last_stages_alone() -> None:
    model = Backwards()
    model.middle[1].requires_grad_(False)
    stages = ("first", "middle.0", "head")
    for count, trained in ((0, set()), (1, {"head"}), (3, {"head", "middle.0", "first"}), (2, {"head", "middle.0"})):
        names = unfreeze_top(model, stages=stages, count=count)
        assert {name.rpartition(".")[0] for name in names} == trained
        assert {name for name, one in model.named_parameters() if one.requires_grad} == set(names)
    with pytest.raises(SettingError, match=r"`0 <= count <= 3` must hold, but got 4"):
        unfreeze_top(model, stages=stages, count=4)


def test_bad_unfreezing_is_refused_all_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        unfrozen_stages(-1, stages=0, steps_per_stage=0, first_stages=2)
    for rule in ("step >= 0", "stages >= 1", "steps_per_stage >= 1", "0 <= first_stages <= stages"):
        assert f"`{rule}` must hold, but got" in str(caught.value)


# Batch norms kept still.


def normed() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 36, 3), nn.BatchNorm1d(3))


def test_statistics_stay_through_model_train_while_scales_train() -> None:
    model = normed()
    model[1].eval()
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 2
    wanted = model.eval()(x)
    modes = []
    with frozen_batch_norm(model) as count:
        assert count == 2
        for _ in range(2):
            model.train()
            made = model(x)
            made.sum().backward()
            modes.append([module.training for module in model.modules()])
    assert torch.equal(made, wanted)
    assert modes == [[True] * 6] * 2
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    scale = model.get_parameter("1.weight").grad
    assert scale is not None
    assert float(scale.abs().sum()) > 0.0
    model(x)
    assert not any(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_modes_are_as_found_after_an_error_in_the_forward_pass() -> None:
    model = normed()
    with frozen_batch_norm(model):
        with pytest.raises(ValueError, match="expected 4D input"):
            model[1](torch.ones(3))
        assert model[1].training
    assert model[1].training


def test_norms_without_statistics_and_other_norms_are_left_alone() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False), nn.LayerNorm(2))
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    wanted = model(x)
    with frozen_batch_norm(model) as count:
        assert count == 0
        assert torch.equal(model(x), wanted)


# The notes' table.


def test_table_is_the_slide() -> None:
    few, many = LITTLE_BELOW - 1, LITTLE_BELOW
    like, unlike = SIMILAR_FROM, SIMILAR_FROM - 0.1
    cells: dict[tuple[int, float], tuple[str, str | None]] = {
        (few, like): ("freeze", None),
        (few, unlike): ("freeze", "tune_top"),
        (many, like): ("tune_top", "tune_all"),
        (many, unlike): ("tune_all", "from_scratch"),
        (PLENTY_FROM, like): ("tune_all", "from_scratch"),
        (PLENTY_FROM, unlike): ("from_scratch", "tune_all"),
    }
    for (samples, similarity), wanted in cells.items():
        plan = transfer_plan(samples_per_class=samples, similarity=similarity)
        assert (plan.action, plan.compare_with) == wanted
    assert len(TRANSFER_TABLE) == len(cells)
    for (amount, similar), plan in TRANSFER_TABLE.items():
        assert (plan.amount, plan.similar) == (amount, similar)
        assert plan.advice.endswith(".")


@given(samples=st.floats(0.1, 1e5), more=st.floats(1.0, 100.0), likeness=st.floats(0.0, 1.0), less=st.floats(0.0, 1.0))
@settings(max_examples=100, deadline=None)
def test_more_data_and_less_likeness_never_train_less_of_the_network(
    samples: float, more: float, likeness: float, less: float
) -> None:
    scale: list[Any] = ["freeze", "tune_top", "tune_all", "from_scratch"]
    at = scale.index(transfer_plan(samples_per_class=samples, similarity=likeness).action)
    assert scale.index(transfer_plan(samples_per_class=samples * more, similarity=likeness).action) >= at
    assert scale.index(transfer_plan(samples_per_class=samples, similarity=likeness * less).action) >= at


def test_bad_plans_are_refused_all_at_once() -> None:
    with pytest.raises(SettingError, match=r"`samples_per_class > 0` .* got 0.*`0 <= similarity <= 1` .* got 1\.5"):
        transfer_plan(samples_per_class=0, similarity=1.5)
