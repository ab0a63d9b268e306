"""models/transferred.py: a head on fixed features, and the stages that are trained with it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Transfer
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.models.backbones import available_backbones, load_backbone
from trainwell.models.build import build_model
from trainwell.models.pretrained import Pretrained, features_of
from trainwell.models.transferred import FeatureHead, TransferNetwork, assembled

NAME = "efficientnet_lite0"
pytestmark = pytest.mark.skipif(NAME not in available_backbones(), reason="the extra `pretrained` is missing")
OUTPUT = OutputLayout(task="classification", size=3, names=("a", "b", "c"))
PICTURES = InputLayout(kind="image", height=40, width=56, channels=3)
POINT = Hyperparameters(architecture=Architecture(name=NAME))


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Crops of a photograph, (12, 40, 56, 3) in uint8."""
    from sklearn.datasets import load_sample_image

    whole = torch.tensor(load_sample_image("flower.jpg"))
    return torch.stack([whole[30 * i : 30 * i + 40, 40 * i : 40 * i + 56] for i in range(12)])


def tuned(stages: int) -> Hyperparameters:
    return replace(POINT, transfer=Transfer(tuned_stages=stages, rate_decay=0.5))


def build(point: Hyperparameters, layout: InputLayout, samples: Tensor | None) -> TransferNetwork:
    index = None if samples is None else torch.arange(len(samples))
    made = build_model(point, input=layout, output=OUTPUT, samples=samples, index=index)
    assert isinstance(made, TransferNetwork)
    return made


def test_the_head_sees_features_of_unit_norm_centred_and_of_unit_spread() -> None:
    features = 0.3 + torch.randn(50, 20, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 2, 20)
    head = FeatureHead(20, 3)
    head.fit(features)
    flattened = features.double().sign() * features.double().abs() ** 0.75
    unit = flattened / flattened.norm(dim=1, keepdim=True)
    wanted = (unit - unit.mean(0)) / unit.var(0, correction=0).mean().sqrt()
    assert torch.allclose(head.scaled(features).double(), wanted, atol=1e-5)
    assert torch.allclose(head.scaled(features).mean(0), torch.zeros(20), atol=1e-5)
    assert head.scaled(features).square().mean().item() == pytest.approx(1.0, rel=1e-4)
    # One gain: features keep their proportions.
    assert torch.allclose(head.scaled(features).std(0) / unit.std(0), head.gain.double(), rtol=1e-4)
    assert torch.allclose(head(features), functional.linear(head.scaled(features), head.linear.weight), atol=1e-6)


def test_features_that_are_all_alike_leave_the_head_finite() -> None:
    head = FeatureHead(4, 2)
    head.fit(torch.ones(5, 4))
    assert bool(head(torch.ones(5, 4)).isfinite().all())
    head.fit(torch.zeros(1, 4))
    assert bool(head(torch.zeros(1, 4)).isfinite().all())


def test_the_untrained_head_says_next_to_nothing(pictures: Tensor) -> None:
    network = build(POINT, PICTURES, pictures)
    with torch.no_grad():
        assert network(pictures).abs().max() < 0.2


def test_a_network_on_cached_features_is_the_whole_network(pictures: Tensor) -> None:
    backbone = load_backbone(NAME)
    for stages in (0, 3):
        below = Pretrained(PICTURES, backbone, above=stages)
        with torch.no_grad():
            shape = tuple(below(pictures[:1]).shape[1:])
        crossing = features_of(below, pictures)
        channels, rows, columns = shape if stages else (0, 0, 0)
        layout = InputLayout(kind="table", numbers=crossing.shape[1], channels=channels, height=rows, width=columns)
        upper = build(tuned(stages), layout, crossing)
        upper.eval()
        whole = assembled(upper, PICTURES, backbone)
        with torch.no_grad():
            assert torch.allclose(whole(pictures), upper(crossing), atol=1e-4)
        # What is written to disk is read into a network that no package is needed for.
        again = build(tuned(stages), PICTURES, None)
        again.load_state_dict(whole.state_dict())
        again.eval()
        with torch.no_grad():
            assert torch.equal(again(pictures), whole(pictures))


def test_only_the_tuned_stages_and_the_head_are_trained_and_norms_stay(pictures: Tensor) -> None:
    network = build(tuned(2), PICTURES, pictures)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    functional.cross_entropy(network(pictures), torch.arange(12) % 3).backward()
    optimizer.step()
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith(("upper.", "head.linear.")) for name in moved)
    assert not any("running" in name or "batches" in name for name in moved)
    assert not any(module.training for module in network.upper.modules())
    assert network.head.training


def test_rates_fall_from_part_to_part(pictures: Tensor) -> None:
    factors = build(tuned(3), PICTURES, pictures).rate_factors(0.5)
    assert factors["head.linear.weight"] == 1.0
    assert factors["upper.2.0.0.weight"] == 0.5
    assert {factor for name, factor in factors.items() if name.startswith("upper.0.")} == {0.125}
    assert build(POINT, PICTURES, pictures).rate_factors(0.5) == {"head.linear.weight": 1.0, "head.linear.bias": 1.0}


def test_more_stages_than_there_are_is_refused() -> None:
    with pytest.raises(SettingError, match="no further stages"):
        build(tuned(10), PICTURES, None)


def test_the_weights_of_the_pretraining_are_shared_with_nobody(pictures: Tensor) -> None:
    first, second = build(tuned(1), PICTURES, pictures), build(tuned(1), PICTURES, pictures)
    with torch.no_grad():
        next(first.upper.parameters()).zero_()
    assert bool(next(second.upper.parameters()).any())
    assert isinstance(first.upper[0], nn.Sequential)
