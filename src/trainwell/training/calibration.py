"""Calibration: probabilities that mean what they say."""

import math

from jaxtyping import Float, Shaped
from torch import Tensor

from trainwell.core.errors import DataError, SettingError, TargetError

COLDEST = 0.01
"""Temperatures are looked for from here to its inverse: further out a softmax is certain of one class, or of none."""
SHRINKAGE = 10.0
"""So much that validation parts of some dozen samples, which would send T anywhere from 0.6 to 1.7, move it little, and
those of some hundred nearly to where they ask."""
HALVINGS = 60
"""So many halvings of the interval find the root to the last digit."""


def fit_temperature(
    logits: Float[Tensor, "samples classes"], targets: Shaped[Tensor, "..."], *, shrinkage: float = SHRINKAGE
) -> float:
    r"""The one number by which all logits are divided, so that confidence and accuracy agree.

    .. math::
        T = \arg\min_{T > 0} \; \sum_i -\log \text{softmax}(z_i / T)_{y_i}
            \; + \; k \left( \tfrac{1}{T} - 1 - \log \tfrac{1}{T} \right)

    The order of the classes stays, and with it accuracy. In :math:`\beta = 1/T` the sum is convex, so the root of its
    slope is the minimum. The second term is a Gamma prior on :math:`\beta` with mode 1, the conjugate one of a rate: it
    weighs as much as k observations that ask for T = 1. So a handful of samples cannot make T wild, and samples that
    are all right, whose cross-entropy alone would send T to 0, move it no further than their number allows.

    Args:
        logits: of samples that were not trained on, finite.
        targets: class indices (samples,), or probabilities (samples, classes).
        shrinkage: k, in samples, >= 0; 0 for cross-entropy alone.
    Returns:
        T, dimensionless, 0.01 to 100; below 1 makes more confident. 1 where nothing speaks for another.
    Raises:
        SettingError: shrinkage is negative or not finite.
        DataError: no samples, targets of another number, or logits that are not finite.
        TargetError: a class index is outside its range.
    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]]).log_softmax(dim=1)
        >>> targets = torch.tensor([0, 0, 1, 1])
        >>> round(fit_temperature(logits, targets, shrinkage=0.0), 2)  # said 88%, right 75%: 2 / 1.82 = log 3
        1.82

    Source: Guo et al. 2017, section 4.2; the prior is ours.
    """
    if not 0 <= shrinkage < math.inf:
        raise SettingError(f"`shrinkage >= 0` must hold, but got {shrinkage}. {SHRINKAGE:g} is usual.")
    if not len(logits) or len(logits) != len(targets):
        raise DataError(
            f"A temperature is fitted on samples with one target each, but got {len(logits)} rows of logits and "
            f"{len(targets)} targets. Give the validation part's."
        )
    if not logits.isfinite().all():
        raise DataError("Logits must be finite, but some are not. Look for what diverged.")
    scores = logits.detach().double()
    # Adding a constant to a row changes no probability; this one keeps products with a large 1/T exact.
    scores = scores - scores.amax(dim=1, keepdim=True)
    if targets.ndim == 1:
        if not (int(targets.min()) >= 0 and int(targets.max()) < logits.shape[1]):
            raise TargetError(
                f"Class indices must be 0 to {logits.shape[1] - 1}, but got {int(targets.min())} to "
                f"{int(targets.max())}. Number the classes from 0."
            )
        wanted = scores.gather(1, targets.long()[:, None]).sum().item()
    else:
        shares = targets.double()
        wanted = (shares / shares.sum(dim=1, keepdim=True) * scores).sum().item()

    def slope(inverse: float) -> float:
        expected = ((scores * inverse).softmax(dim=1) * scores).sum().item()
        return expected - wanted + shrinkage * (1 - 1 / inverse)

    low, high = math.log(COLDEST), -math.log(COLDEST)
    if slope(math.exp(low)) == 0 == slope(math.exp(high)):
        return 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if slope(math.exp(middle)) < 0:
            low = middle
        else:
            high = middle
    return math.exp(-(low + high) / 2)


def at_temperature(logits: Float[Tensor, "samples classes"], temperature: float) -> Float[Tensor, "samples classes"]:
    r"""Probabilities, :math:`\text{softmax}(z / T)`.

    Args:
        logits: of any samples.
        temperature: T, > 0.
    Returns:
        float64, each row sums to 1, in the order of the logits whatever T is.
    Raises:
        SettingError: temperature <= 0.
    Example:
        >>> import torch
        >>> at_temperature(torch.tensor([[0.0, 2.0]]), 2.0)
        tensor([[0.2689, 0.7311]], dtype=torch.float64)

    Source: Guo et al. 2017, section 4.2.
    """
    if not 0 < temperature < math.inf:
        raise SettingError(f"`temperature > 0` must hold, but got {temperature}. 1 leaves the logits as they are.")
    return (logits.double() / temperature).softmax(dim=1)


def carry_temperature(
    temperature: float, *, source: Float[Tensor, "samples classes"], to: Float[Tensor, "samples classes"]
) -> float:
    r"""A temperature in the units of another network's logits.

    .. math:: T' = T \; \sigma(z') / \sigma(z), \qquad
        \sigma(z)^2 = \tfrac{1}{nC} \sum_{i, c} (z_{ic} - \bar z_i)^2

    Logits grow as training goes on. Where the longer training's are those of the shorter one times a factor, its
    probabilities at T' are the shorter one's at T; where they are not, their spreads agree at least.

    Args:
        temperature: T, of the network it was fitted for, > 0.
        source: that network's logits.
        to: the other network's logits of the same samples, which both have trained on or neither has.
    Returns:
        T', 0.01 to 100; T itself where the logits of either are all alike.
    Raises:
        SettingError: temperature <= 0.
    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
        >>> carry_temperature(0.5, source=logits, to=3 * logits)
        1.5

    Source: ours; that probabilities fit worse as logits grow is section 3 of Guo et al. 2017.
    """
    if not 0 < temperature < math.inf:
        raise SettingError(f"`temperature > 0` must hold, but got {temperature}. 1 leaves the logits as they are.")
    before, after = _spread(source), _spread(to)
    if not (0 < before < math.inf and 0 < after < math.inf):
        return temperature
    return min(max(temperature * after / before, COLDEST), 1 / COLDEST)


def _spread(logits: Tensor) -> float:
    scores = logits.detach().double()
    return (scores - scores.mean(dim=1, keepdim=True)).square().mean().sqrt().item()
