"""ConvNet: shapes, start, reproducibility, and that it learns."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.models.convnet import OUTPUT_SCALE, ConvNet, Stage, identity_convolution, output_layer, stage_widths
from trainwell.models.image_input import ImageInput


def images(count: int, side: int, channels: int = 1, *, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, channels), generator=draw, dtype=torch.uint8)


def network(
    side: int = 8, *, channels: int = 1, width: int = 8, depth: int = 2, dropout: float = 0.0, seed: int = 0
) -> ConvNet:
    entry = ImageInput(InputLayout(kind="image", height=side, width=side, channels=channels))
    entry.fit(images(16 if side > 32 else 64, side, channels))
    draw = torch.Generator().manual_seed(seed)
    return ConvNet(entry, width=width, depth=depth, outputs=10, dropout=dropout, generator=draw)


@pytest.mark.parametrize("side", [1, 2, 3, 8, 28, 64, 96, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_takes_images_of_any_size(side: int, channels: int) -> None:
    made = network(side, channels=channels, width=4)
    outputs = made.eval()(images(2, side, channels))
    assert outputs.shape == (2, 10)
    assert bool(outputs.isfinite().all())


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.ELU, nn.SELU, nn.PReLU])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_loss_begins_at_that_of_a_constant_output(activation: type[nn.Module], depth: int) -> None:
    entry = ImageInput(InputLayout(kind="image", height=28, width=28, channels=1))
    entry.fit(images(64, 28))
    draw = torch.Generator().manual_seed(1)
    made = ConvNet(entry, width=16, depth=depth, outputs=10, activation=activation, generator=draw)
    labels = torch.arange(64) % 10
    loss = functional.cross_entropy(made(images(64, 28)), labels)
    assert loss.item() == pytest.approx(math.log(10), abs=0.1)


def test_weights_are_a_function_of_the_generator_alone() -> None:
    torch.manual_seed(5)
    first = network(seed=3).state_dict()
    state = torch.random.get_rng_state()
    torch.manual_seed(6)
    second = network(seed=3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["output.weight"], network(seed=4).state_dict()["output.weight"])
    torch.random.set_rng_state(state)
    network(seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)


@given(inputs=st.integers(1, 6), channels=st.integers(1, 6), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_identity_convolution_hands_its_inputs_on(inputs: int, channels: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, inputs, 4, 5, generator=draw)
    kept = min(inputs, channels)
    found = identity_convolution(inputs, channels, generator=draw)(maps)
    assert found.shape == (2, channels, 4, 5)
    assert torch.equal(found[:, :kept], maps[:, :kept])


def test_drawn_weights_have_the_deviation_that_is_asked_for() -> None:
    draw = torch.Generator().manual_seed(0)
    others = identity_convolution(16, 400, generator=draw).weight[16:]
    assert others.std().item() == pytest.approx(1 / math.sqrt(27 * 16), rel=0.02)
    layer = output_layer(300, 100, std=0.02, generator=draw)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not layer.bias.any()


@given(side=st.integers(1, 56), width=st.integers(1, 64))
@settings(deadline=None, max_examples=40)
def test_stages_widen_and_leave_a_map(side: int, width: int) -> None:
    widths = stage_widths(side, width=width)
    assert 2 <= len(widths) <= 4
    assert widths[0] == width
    assert list(widths) == sorted(widths)
    assert len(widths) == 2 or side // 2 ** len(widths) >= 3


def test_outputs_by_hand() -> None:
    made = network().eval()
    batch = images(4, 8)
    maps = made.input(batch)
    for stage in made.stages:
        assert isinstance(stage, Stage)
        for layer in stage.layers:
            maps = layer(maps)
    features = maps.flatten(2).max(dim=2).values
    torch.testing.assert_close(made(batch), OUTPUT_SCALE * (features @ made.output.weight.T + made.output.bias))


def test_samples_do_not_depend_on_each_other_at_test_time() -> None:
    made = network(dropout=0.5)
    made(images(16, 8))
    made.eval()
    batch = images(6, 8, seed=1)
    torch.testing.assert_close(made(batch)[2:3], made(batch[2:3]))


def test_dropout_is_random_in_training_only() -> None:
    made = network(dropout=0.5)
    batch = images(6, 8)
    assert not torch.equal(made(batch), made(batch))
    made.eval()
    assert torch.equal(made(batch), made(batch))


@pytest.mark.parametrize("kind", ["bytes", "bytes laid out otherwise", "floats"])
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_lie_channels_last_and_weights_contiguous(channels: int, kind: str) -> None:
    made = network(channels=channels)
    batch = images(4, 8, channels)
    second = batch.permute(0, 3, 1, 2).contiguous()
    seen: list[bool] = []
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda _module, _inputs, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
            )
    made({"bytes": batch, "bytes laid out otherwise": second.permute(0, 2, 3, 1), "floats": second / 255}[kind])
    assert len(seen) == 4
    assert all(seen)
    assert all(tensor.is_contiguous() for tensor in made.state_dict().values())


def test_what_is_saved_is_what_was_trained() -> None:
    made, fresh = network(channels=3), network(channels=3, seed=9)
    fresh.load_state_dict(load(save(made.state_dict())))
    batch = images(3, 8, 3)
    assert torch.equal(fresh.eval()(batch), made.eval()(batch))


def test_learns_a_few_images_by_heart() -> None:
    made = network()
    batch, labels = images(64, 8), torch.arange(64) % 10
    optimizer = torch.optim.AdamW(made.parameters(), lr=4e-3)
    for _ in range(30):
        optimizer.zero_grad()
        functional.cross_entropy(made(batch), labels).backward()
        optimizer.step()
    assert (made(batch).argmax(dim=1) == labels).all()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_refuses_all_arguments_outside_their_range_at_once() -> None:
    entry = ImageInput(InputLayout(kind="image", height=8, width=8, channels=1))
    with pytest.raises(
        SettingError,
        match=r"`width >= 1` .* got 0\. `depth >= 1` .* got 0\. `outputs >= 1` .* got 0\. `0 <= dropout < 1` .* got 1",
    ):
        ConvNet(entry, width=0, depth=0, outputs=0, dropout=1.0, generator=torch.Generator())
