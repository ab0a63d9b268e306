"""Which losses are known to be better where they are lower, by their graph."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trainwell.capture.bounds import is_error

SHARES = torch.rand(6, 4, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
LABELS, RETURNS, ROWS = torch.tensor([0, 1, 2, 3, 0, 1]), torch.arange(6.0), torch.arange(6)


def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).pow(2).sum(1)


def asked(loss: Callable[[Tensor], Tensor]) -> bool:
    given = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    return is_error(loss(given * 2).grad_fn)


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: F.mse_loss(out, SHARES),
        lambda out: (out - SHARES).abs().mean(),
        lambda out: ((out - SHARES) ** 2).mean() + 10 * (out * out).sum(),
        lambda out: torch.sqrt((out - SHARES) ** 2 + 1e-6).mean(),
        lambda out: (RETURNS * distance(out, SHARES)).sum() / RETURNS.sum(),
        lambda out: F.relu(distance(out, SHARES) - distance(out, SHARES.flip(0)) + 0.2).mean(),
        lambda out: (distance(out, SHARES) - distance(out, SHARES.flip(0)) + 0.2).clamp(min=0).mean(),
        lambda out: F.cross_entropy(out, LABELS),
        lambda out: -out.log_softmax(dim=1)[ROWS, LABELS].mean(),
        lambda out: -out.log_softmax(dim=1).gather(1, LABELS[:, None]).squeeze(1).mean(),
        lambda out: -(SHARES * out.log_softmax(dim=1)).sum(dim=1).mean(),
        lambda out: -F.logsigmoid(out[:, 0] - out[:, 1]).mean(),
        lambda out: (torch.logsumexp(out, dim=1) - out[ROWS, LABELS]).mean(),
    ],
)
def test_errors_are_known_by_how_they_are_computed(loss: Callable[[Tensor], Tensor]) -> None:
    assert asked(loss)


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: -(out.log_softmax(dim=1)[ROWS, LABELS] * RETURNS).mean(),
        lambda out: (-out.log_softmax(dim=1)[ROWS, LABELS] * RETURNS).mean(),
        lambda out: ((torch.logsumexp(out, dim=1) - out[ROWS, LABELS]) * RETURNS).mean(),
        lambda out: F.mse_loss(out, SHARES) - 0.1 * out.std(),
        lambda out: (out.log() + (SHARES / out) ** 2).mean(),
        lambda out: -out.mean(),
        lambda out: -(2 * out.log_softmax(dim=1)[ROWS, LABELS]).mean() - 3 * out.log_softmax(dim=1)[0, 0],
        lambda out: sum((3 - row) * -out.log_softmax(dim=1)[row, 0] for row in range(3)),
        lambda out: distance(out, SHARES).mul(RETURNS - 2).mean(),
    ],
)
def test_what_is_weighted_as_a_policy_s_is_or_may_go_below_zero_is_not(loss: Callable[[Tensor], Tensor]) -> None:
    assert not asked(loss)
