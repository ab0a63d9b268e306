"""How wide the first weights are drawn, as formulas, and the table of the schemes.

A layer that sums fan_in inputs multiplies their second moment by fan_in · std². Too small a std and the signal vanishes
with depth, too large and it saturates or explodes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from trainwell.core.errors import SettingError

SMALL_STD = 0.01
RELU_GAIN = math.sqrt(2.0)


def small_random_std(fan_in: int = 1, *, std: float = SMALL_STD) -> float:
    r"""The same small standard deviation for every layer: fine for shallow networks, vanishing in deep ones.

    .. math:: \sigma = 0.01

    Args:
        fan_in: inputs of one unit, >= 1; without influence.
        std: sigma, > 0.
    Returns:
        sigma, in units of the weights.
    Raises:
        SettingError: fan_in < 1 or std <= 0.
    Example:
        >>> small_random_std()
        0.01

    Source: notes, small random numbers.
    """
    _check(fan_in=fan_in, std=std)
    return std


def xavier_std(fan_in: int, fan_out: int | None = None, *, gain: float = 1.0) -> float:
    r"""Standard deviation that makes the variance of y = Wx that of x, for zero-centred x.

    .. math:: \sigma = g / \sqrt{n_\text{in}} \quad\text{or}\quad \sigma = g \sqrt{2 / (n_\text{in} + n_\text{out})}

    Args:
        fan_in: inputs of one unit (convolution: kernel height x width x channels / groups), >= 1.
        fan_out: outputs that one input reaches, >= 1: gives the paper's form, a compromise with the backward pass.
        gain: 1, or 5/3 for tanh; dimensionless, > 0.
    Returns:
        sigma, in units of the weights.
    Raises:
        SettingError: a fan below 1 or gain <= 0.
    Example:
        >>> xavier_std(100), xavier_std(100, 28)
        (0.1, 0.125)

    Source: notes, Xavier Initialization (fan_in form); Glorot & Bengio 2010, eq. 12 (fan_avg form).
    """
    _check(fan_in=fan_in, fan_out=1 if fan_out is None else fan_out, gain=gain)
    return gain / math.sqrt(fan_in) if fan_out is None else gain * math.sqrt(2.0 / (fan_in + fan_out))


def kaiming_std(fan_in: int, *, gain: float = RELU_GAIN) -> float:
    r"""Standard deviation that keeps the activations' second moment constant under ReLU.

    .. math:: \sigma = g / \sqrt{n_\text{in}}

    Args:
        fan_in: inputs of one unit (convolution: kernel height x width x channels / groups), >= 1.
        gain: sqrt(2) for ReLU, dimensionless, > 0.
    Returns:
        sigma, in units of the weights.
    Raises:
        SettingError: fan_in < 1 or gain <= 0.
    Example:
        >>> round(kaiming_std(50), 12)
        0.2

    Source: notes, Kaiming Initialization (printed there as 2/sqrt(Din)); He et al. 2015, eq. 10.
    """
    _check(fan_in=fan_in, gain=gain)
    return gain / math.sqrt(fan_in)


def lecun_std(fan_in: int, *, gain: float = 1.0) -> float:
    r"""Standard deviation for self-normalizing networks (SELU).

    .. math:: \sigma = g / \sqrt{n_\text{in}}

    Args:
        fan_in: inputs of one unit, >= 1.
        gain: 1 for SELU, dimensionless, > 0.
    Returns:
        sigma, in units of the weights.
    Raises:
        SettingError: fan_in < 1 or gain <= 0.
    Example:
        >>> lecun_std(25)
        0.2

    Source: LeCun et al. 1998, section 4.6; Klambauer et al. 2017.
    """
    _check(fan_in=fan_in, gain=gain)
    return gain / math.sqrt(fan_in)


def _check(**numbers: int | float) -> None:
    wrong = [
        f"`{name}` must be {'at least 1' if name.startswith('fan') else 'above 0 and finite'}, but got {value}"
        for name, value in numbers.items()
        if not (value >= 1 if name.startswith("fan") else 0 < value < math.inf)
    ]
    if wrong:
        raise SettingError("; ".join(wrong) + ". Pass what the layer has.")


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A way to initialize a network.

    Attributes:
        std: (fan_in, gain) -> standard deviation of a hidden layer; None: all weights zero.
        gain: where the caller passes none.
        needs_batch: whether the network must be run.
        orthonormal: start from orthonormal matrices and scale by what the layers put out (LSUV).
        zero_branches: the last layer of each residual branch is zero.
        why: one sentence.
    """

    std: Callable[[int, float], float] | None
    gain: float = 1.0
    needs_batch: bool = False
    orthonormal: bool = False
    zero_branches: bool = False
    why: str


def _small(fan_in: int, _gain: float) -> float:
    return small_random_std(fan_in)


def _xavier(fan_in: int, gain: float) -> float:
    return xavier_std(fan_in, gain=gain)


def _kaiming(fan_in: int, gain: float) -> float:
    return kaiming_std(fan_in, gain=gain)


def _lecun(fan_in: int, gain: float) -> float:
    return lecun_std(fan_in, gain=gain)


SCHEMES: dict[str, Scheme] = {
    "small_random": Scheme(
        std=_small, why="Std 0.01 everywhere: enough for a shallow network, vanishing in a deep one."
    ),
    "xavier": Scheme(std=_xavier, why="Keeps the variance where activations are zero-centred, such as tanh."),
    "kaiming": Scheme(std=_kaiming, gain=RELU_GAIN, why="Keeps the second moment through ReLU, which halves it."),
    "lecun": Scheme(std=_lecun, why="For SELU, whose constants expect it."),
    "zeros": Scheme(std=None, why="To show why not: all units of a layer have one gradient, and stay equal for ever."),
    "lsuv": Scheme(
        std=_lecun,
        needs_batch=True,
        orthonormal=True,
        why="Measures instead of computing: each layer is scaled to unit variance on a batch, whatever the activation.",
    ),
    "residual": Scheme(
        std=_kaiming,
        gain=RELU_GAIN,
        needs_batch=True,
        zero_branches=True,
        why="Kaiming, and each residual branch starts as zero: the network starts as its shortcuts.",
    ),
}
