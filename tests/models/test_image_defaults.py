"""image_defaults: what a search over image networks begins with."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import Architecture
from trainwell.core.records.layout import InputLayout
from trainwell.models.convnet import ConvNet
from trainwell.models.image_defaults import (
    MOST_EPOCHS,
    image_defaults,
    multiplications,
    planned_epochs,
    seconds_per_step,
)
from trainwell.models.image_input import ImageInput
from trainwell.models.resnet import ResNet


def layout(side: int, channels: int = 1) -> InputLayout:
    return InputLayout(kind="image", height=side, width=side, channels=channels)


def counted(network: nn.Module, batch: Tensor) -> int:
    """Multiplications of the convolutions that were in fact run."""
    total = 0

    def count(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += output[0].numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network.eval()(batch)
    return total


@pytest.mark.parametrize("name", ["convnet", "resnet"])
@pytest.mark.parametrize(("side", "channels"), [(2, 1), (8, 1), (28, 1), (32, 3), (100, 3)])
@pytest.mark.parametrize("depth", [1, 2])
def test_multiplications_are_those_of_the_network(name: str, side: int, channels: int, depth: int) -> None:
    entry = ImageInput(layout(side, channels))
    draw = torch.Generator().manual_seed(0)
    make = {"convnet": ConvNet, "resnet": ResNet}[name]
    network = make(entry, width=4, depth=depth, outputs=3, generator=draw)
    ran = counted(network, torch.zeros(1, side, side, channels, dtype=torch.uint8))
    whitening = entry.size[0] * entry.size[1] * entry.weight.numel()
    found = multiplications(layout(side, channels), architecture=Architecture(name=name, width=4, depth=depth))
    assert found == ran + whitening


@given(
    side=st.sampled_from([8, 28, 32, 64, 96, 224]),
    channels=st.sampled_from([1, 3]),
    samples=st.integers(1, 1_000_000),
    budget=st.floats(1.0, 1e5),
)
@settings(deadline=None, max_examples=60)
def test_settings_are_usable_and_more_time_is_no_narrower(
    side: int, channels: int, samples: int, budget: float
) -> None:
    chosen = image_defaults(layout(side, channels), samples=samples, classes=10, budget_seconds=budget)
    assert chosen.architecture.name in ("convnet", "resnet")
    assert 32 <= chosen.optimization.batch_size <= 512
    assert chosen.schedule.warmup_fraction + chosen.schedule.decay_fraction <= 1.0
    assert chosen.augmentation.flip == "none"
    assert 0 <= chosen.augmentation.translate <= side // 8
    longer = image_defaults(layout(side, channels), samples=samples, classes=10, budget_seconds=2 * budget)
    assert (
        longer.architecture.name != chosen.architecture.name or longer.architecture.width >= chosen.architecture.width
    )


def test_a_slower_machine_gets_a_narrower_network_and_the_estimated_one_the_same() -> None:
    chosen = image_defaults(layout(28), samples=60_000, classes=10, budget_seconds=330.0)
    step = seconds_per_step(layout(28), architecture=chosen.architecture, batch_size=512)
    same = image_defaults(layout(28), samples=60_000, classes=10, budget_seconds=330.0, steps_per_second=1.0 / step)
    slow = image_defaults(layout(28), samples=60_000, classes=10, budget_seconds=330.0, steps_per_second=0.3 / step)
    assert same == chosen
    assert slow.architecture.width < chosen.architecture.width


def test_many_samples_are_learnt_by_momentum_alone_and_few_by_adam() -> None:
    many = image_defaults(layout(28), samples=60_000, classes=10, budget_seconds=330.0)
    few = image_defaults(layout(8), samples=1_300, classes=10, budget_seconds=30.0)
    assert many.optimization.optimizer == "sgd"
    assert few.optimization.optimizer == "adamw"
    assert few.optimization.lr < many.optimization.lr
    assert few.architecture.width == 32
    assert few.augmentation.translate == 0


def test_large_images_and_long_budgets_get_a_residual_network() -> None:
    assert image_defaults(layout(96, 3), samples=60_000, classes=10, budget_seconds=60.0).architecture.name == "convnet"
    assert (
        image_defaults(layout(96, 3), samples=60_000, classes=10, budget_seconds=7200.0).architecture.name == "resnet"
    )
    assert image_defaults(layout(28), samples=60_000, classes=10, budget_seconds=7200.0).architecture.name == "convnet"


def test_regression_has_no_labels_to_smooth() -> None:
    chosen = image_defaults(layout(28), samples=1000, classes=1, budget_seconds=60.0)
    assert chosen.regularization.label_smoothing == 0.0


@pytest.mark.parametrize(
    ("samples", "batch_size", "budget", "speed", "epochs"),
    [
        (1000, 100, 10.0, 2.0, 2),
        (1099, 100, 10.0, 2.0, 2),
        (1000, 100, 1.0, 1.0, 1),
        (50, 100, 7.0, 1.0, 7),
        (1000, 100, 1e6, 10.0, MOST_EPOCHS),
    ],
)
def test_epochs_fill_the_budget(samples: int, batch_size: int, budget: float, speed: float, epochs: int) -> None:
    found = planned_epochs(samples=samples, batch_size=batch_size, budget_seconds=budget, steps_per_second=speed)
    assert found == epochs


def test_refuses_all_arguments_outside_their_range_at_once() -> None:
    with pytest.raises(
        SettingError,
        match=r"`samples >= 1` .* got 0\. `classes >= 1` .* got 0\. `budget_seconds > 0` .* got 0\.0\. "
        r"`steps_per_second > 0` .* got -1\.0",
    ):
        image_defaults(layout(8), samples=0, classes=0, budget_seconds=0.0, steps_per_second=-1.0)
    with pytest.raises(SettingError, match=r"`batch_size >= 1` must hold, but got 0"):
        planned_epochs(samples=1, batch_size=0, budget_seconds=1.0, steps_per_second=1.0)
