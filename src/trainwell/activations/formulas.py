"""The activation functions, written out, and the gains that follow from them.

Gain. A layer whose weights have the standard deviation gain / sqrt(fan_in), and whose inputs are f(z) with z ~ N(0, 1),
puts out second moment 1 if gain = 1 / sqrt(E[f(z)²]). That is sqrt(2) for ReLU.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from trainwell.core.errors import SettingError

LEAKY_SLOPE = 0.01
PRELU_SLOPE = 0.25
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Squashes to (0, 1); kills gradients where it saturates.

    .. math:: \sigma(x) = \frac{1}{1 + e^{-x}}

    Args:
        x: pre-activations.
    Returns:
        sigma(x), in (0, 1), same shape.
    Example:
        >>> sigmoid(torch.tensor([0.0])).item()
        0.5

    Source: notes, Sigmoid.
    """
    # exp of a large number overflows: both branches are written with exp(-|x|).
    small = torch.exp(-_magnitude(x))
    return torch.where(x >= 0, 1.0, small) / (1.0 + small)


def tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Squashes to (-1, 1), centred at zero; still kills gradients where it saturates.

    .. math:: \tanh(x) = \frac{e^x - e^{-x}}{e^x + e^{-x}}

    Args:
        x: pre-activations.
    Returns:
        tanh(x), in (-1, 1), same shape.
    Example:
        >>> round(tanh(torch.tensor([1.0])).item(), 4)
        0.7616

    Source: notes, Tanh.
    """
    less_one = torch.expm1(-2.0 * _magnitude(x))
    return torch.where(x >= 0, -less_one, less_one) / (2.0 + less_one)


def relu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Rectified linear unit: does not saturate for x > 0, and has no gradient for x < 0.

    .. math:: f(x) = \max(0, x)

    Args:
        x: pre-activations.
    Returns:
        f(x) >= 0, same shape. The gradient at 0 is taken as 0.
    Example:
        >>> relu(torch.tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]

    Source: notes, ReLU; Nair & Hinton 2010.
    """
    return torch.where(x > 0, x, 0.0)


def leaky_relu(x: Float[Tensor, "*shape"], *, slope: float = LEAKY_SLOPE) -> Float[Tensor, "*shape"]:
    r"""ReLU with a small slope on the negative side, so that it does not die.

    .. math:: f(x) = \max(ax, x)

    Args:
        x: pre-activations.
        slope: a, in [0, 1).
    Returns:
        f(x), same shape.
    Raises:
        SettingError: slope outside [0, 1).
    Example:
        >>> leaky_relu(torch.tensor([-1.0, 2.0]), slope=0.5).tolist()
        [-0.5, 2.0]

    Source: notes, LeakyReLU; Maas et al. 2013.
    """
    if not 0 <= slope < 1:
        raise SettingError(f"`slope` must be in [0, 1), but got {slope}. Use 0.01, or 0 for ReLU.")
    return torch.where(x > 0, x, slope * x)


def prelu(
    x: Float[Tensor, "batch channels *rest"], slope: Float[Tensor, " slopes"]
) -> Float[Tensor, "batch channels *rest"]:
    r"""Leaky ReLU whose slope is learned by backpropagation.

    .. math:: f(x) = \max(0, x) + a \min(0, x)

    The notes write max(ax, x), which is the same for a <= 1; the paper's form holds for every a.

    Args:
        x: pre-activations.
        slope: one slope for all channels, or one for each.
    Returns:
        f(x), same shape.
    Raises:
        SettingError: neither one slope nor one for each channel.
    Example:
        >>> prelu(torch.tensor([[-1.0, -1.0]]), torch.tensor([0.25, 2.0])).tolist()
        [[-0.25, -2.0]]

    Source: notes, Parametric ReLU; He et al. 2015, eq. 1.
    """
    if slope.numel() not in (1, x.shape[1]):
        raise SettingError(
            f"`slope` must hold 1 number or one for each channel, but got {slope.numel()} for {x.shape[1]} channels. "
            "Pass a tensor of one of these lengths."
        )
    per_channel = slope.reshape(1, -1, *[1] * (x.ndim - 2))
    return torch.where(x > 0, x, per_channel * x)


def elu(x: Float[Tensor, "*shape"], *, alpha: float = 1.0) -> Float[Tensor, "*shape"]:
    r"""Exponential linear unit: mean nearer to zero, and a negative side that saturates, robust to noise.

    .. math:: f(x) = x \text{ if } x > 0 \text{ else } \alpha (e^x - 1)

    Args:
        x: pre-activations.
        alpha: minus the limit at minus infinity, > 0.
    Returns:
        f(x) > -alpha, same shape.
    Raises:
        SettingError: alpha <= 0.
    Example:
        >>> round(elu(torch.tensor([-1.0])).item(), 4)
        -0.6321

    Source: notes, ELU; Clevert et al. 2015.
    """
    if not alpha > 0:
        raise SettingError(f"`alpha` must be above 0, but got {alpha}. Use 1, or `relu` for 0.")
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


def selu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Scaled ELU: mean 0 and variance 1 are an attracting fixed point through depth (LeCun normal weights).

    .. math:: f(x) = \lambda x \text{ if } x > 0 \text{ else } \lambda \alpha (e^x - 1)

    with alpha = 1.6732632423543772 and lambda = 1.0507009873554805.

    Args:
        x: pre-activations.
    Returns:
        f(x) > -1.7581, same shape.
    Example:
        >>> round(selu(torch.tensor([1.0])).item(), 4)
        1.0507

    Source: notes, SELU; Klambauer et al. 2017.
    """
    return SELU_SCALE * elu(x, alpha=SELU_ALPHA)


def gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Gaussian error linear unit: the expectation of x·m, m ~ Bernoulli(Φ(x)) (`gelu_sample` draws it).

    .. math:: f(x) = x \, \Phi(x) = \tfrac{x}{2} \left(1 + \operatorname{erf}(x / \sqrt 2)\right)

    Args:
        x: pre-activations.
    Returns:
        f(x) >= -0.17, same shape.
    Example:
        >>> round(gelu(torch.tensor([1.0])).item(), 4)
        0.8413

    Source: notes, GELU; Hendrycks & Gimpel 2016.
    """
    return x * _normal_cdf(x)


def gelu_tanh(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""GELU's approximation by tanh, within 0.0005 of it.

    .. math:: f(x) = \tfrac{x}{2} \left(1 + \tanh\left(\sqrt{2/\pi} (x + 0.044715 x^3)\right)\right)

    Args:
        x: pre-activations.
    Returns:
        f(x), same shape.
    Example:
        >>> round(gelu_tanh(torch.tensor([1.0])).item(), 4)
        0.8412

    Source: notes, GELU; Hendrycks & Gimpel 2016, section 2.
    """
    return 0.5 * x * (1.0 + tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def gelu_sample(x: Float[Tensor, "*shape"], *, generator: torch.Generator) -> Float[Tensor, "*shape"]:
    r"""One draw of the dropout whose expectation is GELU: large inputs are more likely to be kept.

    .. math:: x \cdot m, \quad m \sim \text{Bernoulli}(\Phi(x))

    Args:
        x: pre-activations.
        generator: draws m.
    Returns:
        x or 0 for each element, same shape.
    Example:
        >>> gelu_sample(torch.tensor([9.0, -9.0]), generator=torch.Generator().manual_seed(0)).abs().tolist()
        [9.0, 0.0]

    Source: notes, GELU (data-dependent dropout, then the expectation over its randomness); Hendrycks & Gimpel 2016.
    """
    return x * torch.bernoulli(_normal_cdf(x), generator=generator)


def _magnitude(x: Tensor) -> Tensor:
    """|x| with slope 1 at 0, where `abs` has slope 0 and would take the whole gradient with it."""
    return torch.where(x >= 0, x, -x)


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-x / math.sqrt(2.0))


def gaussian_moment(function: Callable[[Tensor], Tensor], *, power: int = 1) -> float:
    r"""The mean of a power of f(z) for a standard normal z, by quadrature.

    .. math:: E[f(z)^k] = \int f(z)^k \varphi(z) \, dz

    Args:
        function: elementwise.
        power: k, >= 1: 1 for the mean, 2 for the second moment.
    Returns:
        The moment; the trapezoidal rule on [-14, 14] with 2**18 intervals errs by less than 1e-9.
    Raises:
        SettingError: power < 1.
    Example:
        >>> round(gaussian_moment(relu, power=2), 9)
        0.5
    """
    if power < 1:
        raise SettingError(f"`power` must be at least 1, but got {power}. Use 1 for the mean, 2 for the second moment.")
    z = torch.linspace(-14.0, 14.0, 2**18 + 1, dtype=torch.float64)
    density = torch.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    return float(torch.trapezoid(function(z) ** power * density, z).item())


def gain_of(function: Callable[[Tensor], Tensor]) -> float:
    r"""The gain that keeps the second moment of pre-activations at 1.

    .. math:: g = 1 / \sqrt{E[f(z)^2]}, \quad z \sim N(0, 1)

    Args:
        function: elementwise, not zero everywhere.
    Returns:
        The gain, > 0, dimensionless.
    Example:
        >>> round(gain_of(relu) ** 2, 6)
        2.0

    Source: He et al. 2015, section 2.2, for any activation.
    """
    return 1.0 / math.sqrt(gaussian_moment(function, power=2))


def leaky_gain(slope: float) -> float:
    r"""Gain of leaky ReLU, of PReLU at its start, and of ReLU (slope 0).

    .. math:: g = \sqrt{2 / (1 + a^2)}

    Args:
        slope: a, any number.
    Returns:
        The gain, in (0, sqrt(2)].
    Example:
        >>> round(leaky_gain(0.0), 4)
        1.4142

    Source: He et al. 2015, eq. 15.
    """
    return math.sqrt(2.0 / (1.0 + slope**2))
