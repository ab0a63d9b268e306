"""Trainings without dropout, and with norms over the sample: as a person would have changed the script."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.interventions import PER_GROUP, changed
from trainwell.core.records.forks import Fork

WITHOUT = Fork(changed="no weight decay or dropout")
OVER_THE_SAMPLE = Fork(changed="norms over the sample")


def attention(x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(x, x, x, None, 0.5)


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "dropout": lambda x: F.dropout(x, 0.5),
    "by place": lambda x: F.dropout(x, 0.5, True, False),
    "channels": lambda x: F.dropout2d(x[None], p=0.5)[0],
    "alpha": lambda x: F.alpha_dropout(x, 0.5, training=True),
    "attention": attention,
    "attention by name": lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
    "module": nn.Dropout(0.5),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_out(way: str) -> None:
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))

    with changed(WITHOUT):
        assert torch.equal(WAYS[way](x), WAYS[way](x))


@pytest.mark.parametrize("way", ["dropout", "channels", "alpha", "attention"])
def test_afterwards_it_is_left_out_again(way: str) -> None:
    x = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    with changed(WITHOUT):
        pass
    torch.manual_seed(0)
    once = WAYS[way](x)
    assert not torch.equal(once, WAYS[way](x))


def test_dropout_in_modules_is_off() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 8)
    modules = (nn.MultiheadAttention(8, 2, dropout=0.5), nn.LSTM(8, 8, 2, dropout=0.5))
    with changed(WITHOUT):
        for module in modules:
            given = (x, x, x) if isinstance(module, nn.MultiheadAttention) else (x,)
            assert torch.equal(module(*given)[0], module(*given)[0])


@pytest.mark.parametrize(("shape", "groups"), [((4, 3 * PER_GROUP), 3), ((4, 5), 1), ((4, PER_GROUP, 3, 3), 1)])
def test_a_sample_is_normalized_by_itself(shape: tuple[int, ...], groups: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(*shape)
    norm = nn.BatchNorm2d(shape[1]) if len(shape) == 4 else nn.BatchNorm1d(shape[1])
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    alike = nn.GroupNorm(groups, shape[1])
    alike.load_state_dict({"weight": norm.weight.detach(), "bias": norm.bias.detach()})
    with changed(OVER_THE_SAMPLE):
        torch.testing.assert_close(norm(x), alike(x))
        torch.testing.assert_close(norm(x[:1]) if len(shape) == 4 else norm(x)[:1], alike(x[:1]))
        norm.eval()
        assert not torch.allclose(norm(x), alike(x))
    norm.train()
    assert not torch.allclose(norm(x), alike(x))
