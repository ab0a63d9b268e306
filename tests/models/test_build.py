"""models/build.py: where the chapters meet."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from trainwell.activations import ACTIVATIONS
from trainwell.core.errors import ModelError, SettingError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Initialization
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.models.build import MODELS, build_model
from trainwell.training.state import tensors_hash

PICTURES = InputLayout(kind="image", height=8, width=8, channels=3)
TABLE = InputLayout(kind="table", numbers=3, cardinalities=(4,))
CLASSES = OutputLayout(task="classification", size=5, names=tuple("abcde"))
NUMBERS = OutputLayout(task="regression", size=2, names=("a", "b"), means=(0.0, 0.0), stds=(1.0, 1.0))


def samples_of(layout: InputLayout, count: int = 40) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    if layout.kind == "image":
        return torch.randint(0, 256, (count, *layout.shape), generator=draw, dtype=torch.uint8)
    return torch.cat([torch.randn(count, 3, generator=draw), torch.randint(0, 4, (count, 1), generator=draw)], dim=1)


def point(name: str, **changes: Any) -> Hyperparameters:
    return Hyperparameters(architecture=Architecture(name=name, width=8, depth=1, members=2), **changes)


def layout_for(name: str) -> InputLayout:
    return TABLE if name == "mlp" else PICTURES


@pytest.mark.parametrize("output", [CLASSES, NUMBERS], ids=lambda output: output.task)
@pytest.mark.parametrize("name", MODELS)
def test_every_network_takes_its_data_and_returns_what_was_asked(name: str, output: OutputLayout) -> None:
    layout = layout_for(name)
    samples = samples_of(layout)
    model = build_model(point(name), input=layout, output=output, samples=samples, index=torch.arange(30), seed=1)
    assert model.eval()(samples[:7]).shape == (7, output.size)
    assert torch.isfinite(model(samples)).all()


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_the_weights_and_the_global_generator_is_left_alone(name: str) -> None:
    layout = layout_for(name)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    hashes = []
    for seed in (0, 0, 1):
        hashes.append(tensors_hash(build_model(point(name), input=layout, output=CLASSES, seed=seed)))
        torch.rand(3)
    assert hashes[0] == hashes[1] != hashes[2]
    torch.set_rng_state(before)
    build_model(point(name), input=layout, output=CLASSES)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("activation", [name for name, each in ACTIVATIONS.items() if name not in ("sigmoid", "tanh")])
@pytest.mark.parametrize("scheme", ["own", "kaiming", "lsuv"])
def test_untouched_networks_start_near_honest_ignorance(activation: str, scheme: str) -> None:
    samples = samples_of(PICTURES)
    model = build_model(
        point("convnet", activation=activation, initialization=Initialization(scheme=scheme)),
        input=PICTURES,
        output=CLASSES,
        samples=samples,
        index=torch.arange(40),
    )
    logits = model.train()(samples)
    loss = nn.functional.cross_entropy(logits, torch.arange(40) % 5).item()
    assert loss < 2 * math.log(5)


def test_weights_that_are_loaded_need_no_samples() -> None:
    samples = samples_of(TABLE)
    fitted = build_model(point("mlp"), input=TABLE, output=CLASSES, samples=samples, index=torch.arange(30))
    empty = build_model(point("mlp"), input=TABLE, output=CLASSES, seed=9)
    empty.load_state_dict(fitted.state_dict())
    assert torch.equal(empty.eval()(samples), fitted.eval()(samples))


@pytest.mark.parametrize(
    ("name", "layout", "sentence"),
    [
        ("mlp", PICTURES, 'The model "mlp" is for tables, but the data are pictures'),
        ("convnet", TABLE, 'The model "convnet" is for pictures, but the data are a table'),
        ("resnet", TABLE, 'The model "resnet" is for pictures'),
        ("resnt", PICTURES, r'got "resnt"\. Did you mean "resnet"\?'),
    ],
)
def test_networks_for_other_data_are_refused(name: str, layout: InputLayout, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        build_model(point(name), input=layout, output=CLASSES)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(SettingError, match='Did you mean "gelu"'):
        build_model(point("mlp", activation="gleu"), input=TABLE, output=CLASSES)


class Reshaping(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.last = nn.Linear(8 * 8 * 3, outputs)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(batch.flatten(1))
        return found


def test_a_factorys_network_gets_normalized_pictures_channels_first() -> None:
    seen: list[torch.Tensor] = []

    class Seeing(Reshaping):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            seen.append(batch)
            return super().forward(batch)

    samples = samples_of(PICTURES)
    model = build_model(
        point("python:Seeing"),
        input=PICTURES,
        output=CLASSES,
        samples=samples,
        index=torch.arange(40),
        factory=lambda: Seeing(5),
    )
    assert model.training
    model(samples)
    assert seen[-1].shape == (40, 3, 8, 8)
    assert seen[-1].mean().abs() < 0.05
    assert abs(seen[-1].std() - 1) < 0.05


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (
            lambda: Reshaping(3),
            r"must return \(batch, 5\): logits, one a class; but for a batch of 2 it returned \(2, 3\)",
        ),
        (lambda: nn.Identity(), r"it returned \(2, 3, 8, 8\)\. Change its last layer\."),
        (lambda: nn.Linear(3, 5), r"but raised RuntimeError on one"),
        (lambda: "network", "must return a torch.nn.Module, but returned str"),
    ],
)
def test_a_factory_that_gives_something_else_is_refused(factory: Any, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        build_model(point("python:factory"), input=PICTURES, output=CLASSES, factory=factory)
