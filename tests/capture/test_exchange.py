"""capture/exchange.py: whether any output depends on the inputs, where that can be told."""

import pytest
import torch
from torch import Tensor, nn

from trainwell.capture.dependence import Call, UntoldError
from trainwell.capture.exchange import input_dependence
from trainwell.core.records.finding import Where


class Module(nn.Module):
    """What a function does."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.linear = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> object:
        out: Tensor = self.linear(x)
        match self.kind:
            case "plain":
                return out
            case "lost":
                return 0 * out + self.linear.bias
            case "second alone":
                return 0 * out, out
            case "largest of all":
                return out.amax(dim=0).expand_as(out)
            case "mean of all":
                return out.mean(dim=0, keepdim=True) + torch.zeros_like(out)
            case "noise":
                return out + torch.randn_like(out)
            case "bfloat16":
                return (0 * out).bfloat16()
            case "boxes in test mode":
                return out if self.training else out[:0]
            case "one for all":
                return out.mean(dim=0)
        raise AssertionError


def asked(kind: str, samples: Tensor, *, repeated: bool = False) -> tuple[int, int]:
    torch.manual_seed(0)
    module = Module(kind)
    output = module(samples)
    first = output[0] if isinstance(output, tuple) else output
    assert isinstance(first, Tensor)
    call = Call(
        module=module,
        args=(samples,),
        options={},
        output=tuple(first.shape),
        where=Where(),
        repeated=repeated,
        targets=[torch.arange(len(samples))],
    )
    before = samples.clone()
    seen = input_dependence([call])
    assert torch.equal(samples, before)
    return seen.numbers, seen.changed


SAMPLES = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["plain", "largest of all", "mean of all", "second alone"])
def test_outputs_that_depend(kind: str) -> None:
    numbers, changed = asked(kind, SAMPLES)
    assert 0 < changed <= numbers


def test_outputs_that_do_not() -> None:
    assert asked("lost", SAMPLES) == (48, 0)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("noise", "differ from one call to the next"),
        ("bfloat16", "too few digits"),
        ("boxes in test mode", "returns something else"),
        ("one for all", "no network gives an output for each"),
    ],
)
def test_what_cannot_be_told(kind: str, why: str) -> None:
    with pytest.raises(UntoldError, match=why):
        asked(kind, SAMPLES)


def test_few_samples_and_none() -> None:
    with pytest.raises(UntoldError, match="several samples"):
        asked("plain", SAMPLES[:3])
    with pytest.raises(UntoldError, match="several samples"):
        input_dependence([])


def test_samples_that_are_alike() -> None:
    torch.manual_seed(0)
    assert asked("plain", torch.zeros(8, 6), repeated=True) == (0, 0)
    # An environment begins in one state; a batch later it is in others.
    with pytest.raises(UntoldError, match="alike"):
        asked("plain", torch.zeros(8, 6), repeated=False)
