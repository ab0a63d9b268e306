"""Penalties against torch's optimizers, and who decays."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell.core.errors import ModelError, SettingError
from trainwell.regularization import (
    couple_decay,
    decouple_decay,
    elastic_net_penalty,
    l1_penalty,
    l2_penalty,
    parameter_groups,
)


def problem() -> tuple[nn.Parameter, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64))
    return weight, torch.randn(4, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_l2_penalty_and_coupled_decay_are_torchs_weight_decay(name: str) -> None:
    """Three ways to the same weights: penalty in the loss, gradient added by hand, the optimizer's own."""
    results = []
    for way in ("penalty", "coupled", "torch"):
        weight, slope = problem()
        options = {"lr": 0.1, "weight_decay": 0.3 if way == "torch" else 0.0}
        optimizer = getattr(torch.optim, name)([weight], **options)
        for _ in range(5):
            optimizer.zero_grad()
            loss = (weight * slope).sum()
            if way == "penalty":
                loss = loss + l2_penalty([weight], strength=0.3)
            torch.autograd.backward(loss)
            if way == "coupled":
                couple_decay([weight], weight_decay=0.3)
            optimizer.step()
        results.append(weight.detach())
    torch.testing.assert_close(results[0], results[2])
    torch.testing.assert_close(results[1], results[2])


def test_decoupled_decay_is_adamw_and_not_coupled_adam() -> None:
    results = {}
    for way in ("ours", "AdamW", "Adam"):
        weight, slope = problem()
        kind = torch.optim.AdamW if way == "AdamW" else torch.optim.Adam
        optimizer = kind([weight], lr=0.1, weight_decay=0.0 if way == "ours" else 0.3)
        for _ in range(5):
            optimizer.zero_grad()
            torch.autograd.backward((weight * slope).sum())
            if way == "ours":
                decouple_decay([weight], weight_decay=0.3, lr=0.1)
            optimizer.step()
        results[way] = weight.detach()
    torch.testing.assert_close(results["ours"], results["AdamW"])
    assert float((results["ours"] - results["Adam"]).abs().max()) > 0.01


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.floats(-100, 100), min_size=1, max_size=8),
    l1=st.floats(0, 10),
    l2=st.floats(0, 10),
)
def test_elastic_net_is_the_sum_of_both_with_the_closed_form_gradient(
    values: list[float], l1: float, l2: float
) -> None:
    weight = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    penalty = elastic_net_penalty([weight], l1=l1, l2=l2)
    apart = float((l1_penalty([weight], strength=l1) + l2_penalty([weight], strength=l2)).detach())
    expected = l1 * sum(abs(value) for value in values) + l2 / 2 * sum(value**2 for value in values)
    assert float(penalty.detach()) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert apart == pytest.approx(expected, rel=1e-9, abs=1e-12)
    if penalty.requires_grad:
        (slope,) = torch.autograd.grad(penalty, weight)
        torch.testing.assert_close(slope, (l1 * weight.sign() + l2 * weight).detach())


def test_l1_drives_small_weights_to_zero_where_l2_does_not() -> None:
    sizes = {}
    for name, penalty in (("l1", l1_penalty), ("l2", l2_penalty)):
        weight = torch.tensor([0.05, 2.0], requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=0.01)
        for _ in range(200):
            optimizer.zero_grad()
            loss = 0.5 * (weight - torch.tensor([0.05, 2.0])).square().sum() + penalty([weight], strength=0.1)
            torch.autograd.backward(loss)
            optimizer.step()
        sizes[name] = float(weight[0].detach().abs())
    assert sizes["l1"] < 0.002
    assert sizes["l2"] > 0.04


def test_half_precision_weights_are_summed_in_float32() -> None:
    weight = torch.full((100_000,), 0.01, dtype=torch.bfloat16)
    penalty = l1_penalty([weight], strength=1.0)
    assert penalty.dtype == torch.float32
    assert float(penalty) == pytest.approx(100_000 * float(weight[0]), rel=1e-5)


def test_parameters_without_gradient_are_passed_over() -> None:
    weight = torch.ones(2, requires_grad=True)
    couple_decay([weight], weight_decay=1.0)
    decouple_decay([weight], weight_decay=1.0, lr=0.5)
    assert weight.grad is None
    torch.testing.assert_close(weight.detach(), torch.ones(2))


def test_penalties_refuse() -> None:
    weight = torch.ones(2)
    with pytest.raises(SettingError, match=r"`l1 >= 0` must hold, but got -1.*`l2 >= 0` must hold, but got nan"):
        elastic_net_penalty([weight], l1=-1.0, l2=float("nan"))
    used_up = iter([weight])
    next(used_up)
    with pytest.raises(SettingError, match="a generator is used up after one pass"):
        l1_penalty(used_up, strength=1.0)
    with pytest.raises(SettingError, match=r"`weight_decay >= 0` must hold, but got -0\.1"):
        parameter_groups(nn.Linear(2, 2), weight_decay=-0.1)
    with pytest.raises(SettingError, match="`lr >= 0`"):
        decouple_decay([weight], weight_decay=0.1, lr=-1.0)


class Everything(nn.Module):
    """One of each kind of parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.conv = nn.Conv2d(3, 4, 3)
        self.batch_norm = nn.BatchNorm2d(4)
        self.instance_norm = nn.InstanceNorm2d(4, affine=True)
        self.image_norm = nn.LayerNorm([4, 5, 5])
        self.group_norm = nn.GroupNorm(2, 4)
        self.rms_norm = nn.RMSNorm([4, 5])
        self.attention = nn.MultiheadAttention(4, 2)
        self.prelu = nn.PReLU(4)
        self.scale = nn.Parameter(torch.ones(()))
        self.table_bias = nn.Parameter(torch.zeros(3, 3))
        self.linear = nn.Linear(4, 1)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


def decayed_names(model: nn.Module, *, decay_embeddings: bool = False) -> set[str]:
    groups = parameter_groups(model, weight_decay=0.1, decay_embeddings=decay_embeddings)
    ids = {id(one) for group in groups if group["weight_decay"] == 0.1 for one in group["params"]}
    return {name for name, one in model.named_parameters() if id(one) in ids}


def test_only_weights_decay() -> None:
    weights = {"conv.weight", "linear.weight", "attention.in_proj_weight", "attention.out_proj.weight"}
    assert decayed_names(Everything()) == weights
    assert decayed_names(Everything(), decay_embeddings=True) == weights | {"embedding.weight"}


def test_every_trained_parameter_stands_in_exactly_one_group() -> None:
    model = Everything()
    stood = [id(one) for group in parameter_groups(model, weight_decay=0.1) for one in group["params"]]
    assert sorted(stood) == sorted(id(one) for one in model.parameters() if one.requires_grad)
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.1))
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


@pytest.mark.parametrize("first", ["embedding", "linear"])
def test_tied_weights_stand_once_and_follow_the_embedding(first: str) -> None:
    parts: dict[str, nn.Module] = {"embedding": nn.Embedding(5, 4), "linear": nn.Linear(4, 5, bias=False)}
    parts["linear"].weight = parts["embedding"].weight
    order = [first, *(name for name in parts if name != first)]
    model = nn.Sequential(*(parts[name] for name in order))
    (group,) = parameter_groups(model, weight_decay=0.1)
    assert group["name"] == "undecayed"
    assert len(group["params"]) == 1


def test_models_without_usable_parameters_are_refused() -> None:
    with pytest.raises(ModelError, match="this one has none"):
        parameter_groups(nn.ReLU(), weight_decay=0.1)
    with pytest.raises(ModelError, match=r"0\.weight is lazy"):
        parameter_groups(nn.Sequential(nn.LazyLinear(3)), weight_decay=0.1)
