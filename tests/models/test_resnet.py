"""ResNet: shapes, start, reproducibility, and that it learns."""

import math

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import InputLayout
from trainwell.models.image_input import ImageInput
from trainwell.models.resnet import Block, ResNet
from trainwell.regularization import StochasticDepth


def images(count: int, side: int, channels: int = 1, *, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, channels), generator=draw, dtype=torch.uint8)


def network(
    side: int = 8,
    *,
    channels: int = 1,
    width: int = 8,
    depth: int = 1,
    stochastic_depth: float = 0.0,
    seed: int = 0,
) -> ResNet:
    entry = ImageInput(InputLayout(kind="image", height=side, width=side, channels=channels))
    entry.fit(images(16 if side > 32 else 64, side, channels))
    draw = torch.Generator().manual_seed(seed)
    return ResNet(entry, width=width, depth=depth, outputs=10, stochastic_depth=stochastic_depth, generator=draw)


@pytest.mark.parametrize("side", [1, 8, 28, 32, 64, 96, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_takes_images_of_any_size(side: int, channels: int) -> None:
    outputs = network(side, channels=channels, width=4).eval()(images(2, side, channels))
    assert outputs.shape == (2, 10)
    assert bool(outputs.isfinite().all())


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.ELU, nn.SELU, nn.PReLU])
@pytest.mark.parametrize("depth", [1, 3])
def test_loss_begins_at_that_of_a_constant_output(activation: type[nn.Module], depth: int) -> None:
    entry = ImageInput(InputLayout(kind="image", height=28, width=28, channels=1))
    entry.fit(images(64, 28))
    draw = torch.Generator().manual_seed(1)
    made = ResNet(entry, width=16, depth=depth, outputs=10, activation=activation, generator=draw)
    loss = functional.cross_entropy(made(images(64, 28)), torch.arange(64) % 10)
    assert loss.item() == pytest.approx(math.log(10), abs=0.02)


def test_a_block_begins_as_its_activation_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    block = Block(4, activation=nn.ReLU, gain=math.sqrt(2), drop=0.0, generator=draw)
    maps = torch.randn(3, 4, 5, 5, generator=draw)
    assert torch.equal(block(maps), maps.relu())


def test_dropped_blocks_begin_rarely_and_end_at_the_given_probability() -> None:
    made = network(28, depth=2, stochastic_depth=0.3)
    drops = [layer.p for layer in made.modules() if isinstance(layer, StochasticDepth)]
    assert drops == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    assert not any(isinstance(layer, StochasticDepth) for layer in network(28).modules())


def test_weights_are_a_function_of_the_generator_alone() -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = network(seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(6)
    second = network(seed=3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["output.weight"], network(seed=4).state_dict()["output.weight"])


def test_hidden_maps_keep_their_size_through_the_convolutions() -> None:
    made = network(32, channels=3, width=16, depth=2)
    seen: list[float] = []
    for layer in made.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda _module, _inputs, output: seen.append(float(output.detach().std())))
    made(images(64, 32, 3))
    assert len(seen) == 3 * (1 + 2 * 2)
    assert all(0.3 < std < 3.0 for std in seen)


def test_samples_do_not_depend_on_each_other_at_test_time() -> None:
    made = network(stochastic_depth=0.5)
    made(images(16, 8))
    made.eval()
    batch = images(6, 8, seed=1)
    torch.testing.assert_close(made(batch)[2:3], made(batch[2:3]))


def test_what_is_saved_is_what_was_trained() -> None:
    made, fresh = network(channels=3), network(channels=3, seed=9)
    fresh.load_state_dict(load(save(made.state_dict())))
    batch = images(3, 8, 3)
    assert torch.equal(fresh.eval()(batch), made.eval()(batch))


def test_learns_a_few_images_by_heart() -> None:
    made = network()
    batch, labels = images(64, 8), torch.arange(64) % 10
    optimizer = torch.optim.AdamW(made.parameters(), lr=4e-3)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(made(batch), labels).backward()
        optimizer.step()
    assert (made(batch).argmax(dim=1) == labels).all()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_refuses_all_arguments_outside_their_range_at_once() -> None:
    entry = ImageInput(InputLayout(kind="image", height=8, width=8, channels=1))
    with pytest.raises(SettingError, match=r"`depth >= 1` .* got 0\. `0 <= stochastic_depth < 1` .* got 1"):
        ResNet(entry, width=8, depth=0, outputs=10, stochastic_depth=1.0, generator=torch.Generator())
