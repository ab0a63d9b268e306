"""Dropping at random: activations, weights, or whole branches.

p is the probability to DROP, as in torch; the notes' p is the probability to keep. All three leave the layer's output
as it is, in expectation over the draws. What the network's later layers make of it is averaged out approximately.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import linear

from trainwell.core.errors import ModelError, SettingError

LEVELS = 2**16
"""Of a random number: p is met to within 1 / LEVELS, and one 64-bit draw makes four of them."""


def draw_kept(
    shape: tuple[int, ...],
    *,
    p: float,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Bool[Tensor, "..."]:
    """A mask, True with probability 1 - p, to within 1 / 65,536.

    On a CPU a random number an element, as Bernoulli masks take it, costs a good part of a small dense network's step:
    four elements share one here.

    Args:
        shape: of the mask.
        p: probability to drop, 0 <= p < 1.
        generator: None takes the device's global one.
        device: where the mask is wanted; it is drawn where the generator lives.
    Returns:
        The mask.
    Example:
        >>> bool(draw_kept((3,), p=0.0).all())
        True
    """
    source = torch.device(device) if generator is None else generator.device
    count = math.prod(shape)
    words = torch.empty(-(-count // 4), dtype=torch.int64, device=source)
    words.random_(torch.iinfo(torch.int64).min, None, generator=generator)
    lowest = torch.iinfo(torch.int16).min
    kept = words.view(torch.int16)[:count] >= min(lowest + round(p * LEVELS), torch.iinfo(torch.int16).max)
    return kept.view(shape).to(device)


def dropout(
    inputs: Float[Tensor, "*shape"],
    *,
    p: float,
    training: bool,
    generator: torch.Generator | None = None,
    kept: Bool[Tensor, "*shape"] | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Inverted dropout: scaled up in training, so that testing is the identity (torch.nn.Dropout).

    .. math:: y = \frac{m}{1 - p} x, \quad m \sim \text{Bernoulli}(1 - p) \qquad \text{testing: } y = x

    Args:
        inputs: activations.
        p: probability to drop, 0 <= p < 1.
        training: drop; else the identity.
        generator: None takes the device's global one.
        kept: the mask, instead of drawing it.
    Returns:
        The same shape.
    Raises:
        SettingError: p is outside its range.
    Example:
        >>> dropout(torch.tensor([1.0, 2.0]), p=0.5, training=True, kept=torch.tensor([True, False]))
        tensor([2., 0.])

    Source: notes, Dropout (inverted); Srivastava et al. 2014, section 10.
    """
    _check(p)
    if not training or p == 0:
        return inputs
    mask = draw_kept(inputs.shape, p=p, generator=generator, device=inputs.device) if kept is None else kept
    return inputs * mask.to(inputs.dtype).div_(1 - p)


def plain_dropout(
    inputs: Float[Tensor, "*shape"],
    *,
    p: float,
    training: bool,
    generator: torch.Generator | None = None,
    kept: Bool[Tensor, "*shape"] | None = None,
) -> Float[Tensor, "*shape"]:
    r"""Dropout with test-time scaling: the first form, which every later reader of the model must know about.

    .. math:: y = m x, \quad m \sim \text{Bernoulli}(1 - p) \qquad \text{testing: } y = (1 - p) x

    Args:
        inputs: activations.
        p: probability to drop, 0 <= p < 1 (the notes multiply by their p at test time, the probability to keep).
        training: drop; else scale down.
        generator: None takes the device's global one.
        kept: the mask, instead of drawing it.
    Returns:
        The same shape.
    Raises:
        SettingError: p is outside its range.
    Example:
        >>> plain_dropout(torch.tensor([1.0, 2.0]), p=0.25, training=False)
        tensor([0.7500, 1.5000])

    Source: notes, Dropout; Hinton et al. 2012; Srivastava et al. 2014, section 4.
    """
    _check(p)
    if not training:
        return inputs * (1 - p)
    mask = draw_kept(inputs.shape, p=p, generator=generator, device=inputs.device) if kept is None else kept
    return inputs * mask


def drop_connect(
    inputs: Float[Tensor, "batch inputs"],
    weight: Float[Tensor, "outputs inputs"],
    bias: Float[Tensor, " outputs"] | None = None,
    *,
    p: float,
    training: bool,
    generator: torch.Generator | None = None,
    kept: Bool[Tensor, "outputs inputs"] | None = None,
) -> Float[Tensor, "batch outputs"]:
    r"""DropConnect: weights are dropped instead of activations.

    .. math:: y = \frac{M \odot W}{1 - p} x + b, \quad M_{ij} \sim \text{Bernoulli}(1 - p)

    One mask a batch (the paper draws one a sample), scaled in training; the bias is kept. Testing is the plain layer:
    the exact expectation of the output, where the paper samples from a Gaussian of the same mean.

    Args:
        inputs: activations.
        weight: as in torch.nn.functional.linear.
        bias: likewise.
        p: probability to drop, 0 <= p < 1.
        training: drop; else the plain layer.
        generator: None takes the device's global one.
        kept: the mask, instead of drawing it.
    Returns:
        The layer's output.
    Raises:
        SettingError: p is outside its range.
    Example:
        >>> drop_connect(torch.ones(1, 2), torch.ones(1, 2), p=0.5, training=True, kept=torch.tensor([[True, False]]))
        tensor([[2.]])

    Source: notes, Regularization (common pattern); Wan et al. 2013.
    """
    return linear(inputs, dropout(weight, p=p, training=training, generator=generator, kept=kept), bias)


def stochastic_depth(
    branch: Float[Tensor, "batch *rest"],
    *,
    p: float,
    training: bool,
    generator: torch.Generator | None = None,
    kept: Bool[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch *rest"]:
    r"""Stochastic depth: a residual branch is dropped whole, each sample with its own draw.

    .. math:: y = x + \frac{m}{1 - p} f(x), \quad m \sim \text{Bernoulli}(1 - p) \qquad \text{testing: } y = x + f(x)

    Scaled in training (the paper scales at test time instead).

    Args:
        branch: f(x), before it is added.
        p: probability to drop, 0 <= p < 1.
        training: drop; else the identity.
        generator: None takes the device's global one.
        kept: a mask over the batch, instead of drawing it.
    Returns:
        What to add to x, the same shape.
    Raises:
        SettingError: p is outside its range.
    Example:
        >>> stochastic_depth(torch.ones(2, 1), p=0.5, training=True, kept=torch.tensor([True, False]))
        tensor([[2.],
                [0.]])

    Source: notes, Regularization (common pattern); Huang et al. 2016, "Deep Networks with Stochastic Depth".
    """
    _check(p)
    if not training or p == 0:
        return branch
    mask = draw_kept((len(branch),), p=p, generator=generator, device=branch.device) if kept is None else kept
    return branch * mask.reshape(-1, *[1] * (branch.ndim - 1)) / (1 - p)


def depth_rates(blocks: int, *, last_p: float) -> tuple[float, ...]:
    r"""Stochastic depth's linear rule: early blocks are dropped rarely, the last one with `last_p`.

    .. math:: p_l = \frac{l}{L} p_L

    Args:
        blocks: L, residual blocks, >= 1.
        last_p: probability to drop the last block, 0 <= p < 1.
    Returns:
        One probability a block, first block first.
    Raises:
        SettingError: an argument is outside its range.
    Example:
        >>> depth_rates(4, last_p=0.2)
        (0.05, 0.1, 0.15, 0.2)

    Source: Huang et al. 2016, section 3 (there as the probability to keep).
    """
    _check(last_p)
    if blocks < 1:
        raise SettingError(f"`blocks >= 1` must hold, but got {blocks}. Count the residual blocks.")
    return tuple(round(last_p * (block + 1) / blocks, 12) for block in range(blocks))


class Dropout(nn.Dropout):
    """`dropout` as a layer: torch.nn.Dropout with masks that are drawn faster on a CPU.

    Example:
        >>> Dropout(0.25).eval()(torch.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5) -> None:
        _check(p)
        super().__init__(p)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:  # noqa: A002 - torch's word
        """Drop and scale in training; the identity in testing."""
        return dropout(input, p=self.p, training=self.training)


class PlainDropout(nn.Module):
    """`plain_dropout` as a layer; it draws from torch's global generator, as torch.nn.Dropout does.

    Example:
        >>> PlainDropout(0.25).eval()(torch.ones(2))
        tensor([0.7500, 0.7500])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        _check(p)
        self.p = p

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop in training, scale in testing."""
        return plain_dropout(inputs, p=self.p, training=self.training)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"p={self.p}"


class DropConnect(nn.Module):
    """DropConnect around a layer with a `weight` (linear, convolution); it draws from torch's global generator.

    Example:
        >>> layer = DropConnect(nn.Linear(3, 2), p=0.5).eval()
        >>> inputs = torch.ones(1, 3)
        >>> torch.equal(layer(inputs), layer.layer(inputs))
        True
    """

    def __init__(self, layer: nn.Module, *, p: float = 0.5) -> None:
        super().__init__()
        _check(p)
        if not isinstance(layer._parameters.get("weight"), Tensor):
            raise ModelError(
                f"DropConnect needs a layer with a `weight`, but got {type(layer).__name__}. Wrap a linear "
                "layer or a convolution."
            )
        self.layer = layer
        self.p = p

    def forward(self, inputs: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The layer with some of its weights dropped in training."""
        weight = self.layer.get_parameter("weight")
        dropped = dropout(weight, p=self.p, training=self.training)
        result: Tensor = functional_call(self.layer, {"weight": dropped}, (inputs,))
        return result

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"p={self.p}"


class StochasticDepth(nn.Module):
    """`stochastic_depth` as a layer at the end of a residual branch; it draws from torch's global generator.

    Example:
        >>> StochasticDepth(0.5).eval()(torch.ones(2, 1)).flatten()
        tensor([1., 1.])
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        _check(p)
        self.p = p

    def forward(self, branch: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
        """Drop whole samples' branches in training."""
        return stochastic_depth(branch, p=self.p, training=self.training)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"p={self.p}"


def _check(p: float) -> None:
    if not 0 <= p < 1:
        raise SettingError(
            f"`0 <= p < 1` must hold, but got {p}. p is the probability to drop; to keep with probability k, "
            "give 1 - k."
        )
