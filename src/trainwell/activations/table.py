"""What the recipe needs to know of each activation: torch's module joined to the formula and its properties."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trainwell.activations.formulas import (
    LEAKY_SLOPE,
    PRELU_SLOPE,
    elu,
    gelu,
    gelu_tanh,
    leaky_gain,
    leaky_relu,
    relu,
    selu,
    sigmoid,
    tanh,
)
from trainwell.core.errors import SettingError, suggestion


@dataclass(frozen=True, kw_only=True)
class Activation:
    """What the recipe needs to know of an activation.

    Attributes:
        make: makes torch's module.
        formula: the function written out.
        gain: see `trainwell.activations.formulas`; where the field has agreed on another number it stands here, and
            `note` says so.
        saturating: the gradient vanishes at both ends.
        zero_centered: the mean of f(z), z ~ N(0, 1), lies within 0.05 of zero.
        can_die: there is no gradient at all for x < 0.
        cost: processor time of a forward and backward pass, ReLU = 1: `measure_cost` with torch 2.13, one x86 thread,
            float32; the median of 3 measurements, which differ by a quarter.
        scheme: name of the initialization that goes with it.
        dropout: name of the dropout that goes with it.
        note: where a number deserves a word.
    """

    make: Callable[[], nn.Module]
    formula: Callable[[Tensor], Tensor]
    gain: float
    saturating: bool = False
    zero_centered: bool = False
    can_die: bool = False
    cost: float
    scheme: Literal["xavier", "kaiming", "lecun"] = "kaiming"
    dropout: Literal["dropout", "alpha_dropout"] = "dropout"
    note: str = ""


def activation(name: str) -> Activation:
    """The entry of a name.

    Args:
        name: a name of `ACTIVATIONS`.
    Returns:
        Its entry.
    Raises:
        SettingError: there is none of that name.
    Example:
        >>> activation("selu").dropout
        'alpha_dropout'
    """
    if name not in ACTIVATIONS:
        raise SettingError(f"An activation must be one of the table, but got {name!r}. {suggestion(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]


def measure_cost(name: str, *, elements: int = 1_000_000, repeats: int = 9) -> float:
    """Processor time of one forward and backward pass of torch's module, relative to ReLU's.

    Args:
        name: a name of `ACTIVATIONS`.
        elements: numbers in the tensor, >= 1.
        repeats: passes, >= 1; the fastest counts.
    Returns:
        Ratio, > 0. ReLU is measured in turn with it, so that a slow moment of the machine hits both.
    Raises:
        SettingError: unknown name, or elements or repeats below 1.
    """
    module, reference = activation(name).make(), activation("relu").make()
    if elements < 1 or repeats < 1:
        raise SettingError(
            f"`elements` and `repeats` must be at least 1, but got {elements} and {repeats}. Raise them."
        )
    x = torch.randn(elements, generator=torch.Generator().manual_seed(0)).requires_grad_()
    upstream = torch.ones_like(x)

    def seconds(layer: nn.Module) -> float:
        start = time.process_time()
        torch.autograd.grad(layer(x), x, upstream)
        return time.process_time() - start

    seconds(module), seconds(reference)
    pairs = [(seconds(module), seconds(reference)) for _ in range(repeats)]
    return min(first for first, _ in pairs) / max(min(second for _, second in pairs), 1e-9)


def _prelu_at_start(x: Tensor) -> Tensor:
    return leaky_relu(x, slope=PRELU_SLOPE)


def _gelu_tanh_module() -> nn.Module:
    return nn.GELU(approximate="tanh")


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(
        make=nn.Sigmoid,
        formula=sigmoid,
        gain=1.0,
        saturating=True,
        cost=1.7,
        scheme="xavier",
        note="Gain 1 by torch's convention; its second moment would ask for 1.85, most of which is its mean of 1/2.",
    ),
    "tanh": Activation(
        make=nn.Tanh,
        formula=tanh,
        gain=5.0 / 3.0,
        saturating=True,
        zero_centered=True,
        cost=6.4,
        scheme="xavier",
        note="Gain 5/3 by torch's convention; the second moment asks for 1.59.",
    ),
    "relu": Activation(make=nn.ReLU, formula=relu, gain=math.sqrt(2.0), can_die=True, cost=1.0),
    "leaky_relu": Activation(make=nn.LeakyReLU, formula=leaky_relu, gain=leaky_gain(LEAKY_SLOPE), cost=1.0),
    "prelu": Activation(make=nn.PReLU, formula=_prelu_at_start, gain=leaky_gain(PRELU_SLOPE), cost=9.0),
    "elu": Activation(make=nn.ELU, formula=elu, gain=1.2451983, cost=4.7),
    "selu": Activation(
        make=nn.SELU,
        formula=selu,
        gain=1.0,
        zero_centered=True,
        cost=4.9,
        scheme="lecun",
        dropout="alpha_dropout",
        note="Gain 1, since its constants are chosen for LeCun normal weights; torch's 3/4 gives up the fixed point.",
    ),
    "gelu": Activation(make=nn.GELU, formula=gelu, gain=1.5335304, cost=3.4),
    "gelu_tanh": Activation(make=_gelu_tanh_module, formula=gelu_tanh, gain=1.5335805, cost=6.9),
}
