"""capture/expectation.py: a first loss beside what it should be."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.ears.starts import Starts
from trainwell.capture.expectation import Expected, expected_of
from trainwell.capture.listener import Listener

LABELS = torch.tensor([0, 1, 2, 1, 1, 3, 0, 1])
YES = (LABELS == 1).float().unsqueeze(1)
NUMBERS = torch.tensor([[1.0], [2.0], [4.0], [2.0], [0.0], [-3.0], [1.0], [5.0]])
ENTROPY = -sum(p * math.log(p) for p in (2 / 8, 4 / 8, 1 / 8, 1 / 8))

Loss = Callable[[Tensor], Tensor]


def outputs(count: int) -> Tensor:
    torch.manual_seed(0)
    found: Tensor = nn.Linear(5, count)(torch.randn(8, 5))
    return found


@pytest.mark.parametrize(
    ("count", "loss", "zero", "best"),
    [
        (4, lambda out: F.cross_entropy(out, LABELS), math.log(4), ENTROPY),
        (4, lambda out: F.nll_loss(F.log_softmax(out, dim=1), LABELS), math.log(4), ENTROPY),
        (4, lambda out: F.cross_entropy(out.T.unsqueeze(0), LABELS.unsqueeze(0)), math.log(4), ENTROPY),
        (1, lambda out: F.binary_cross_entropy_with_logits(out, YES), math.log(2), math.log(2)),
        (1, lambda out: F.binary_cross_entropy(out.sigmoid(), YES), math.log(2), math.log(2)),
        (1, lambda out: F.mse_loss(out, NUMBERS), 7.5, 5.25),
        (1, lambda out: F.mse_loss(NUMBERS, out), 7.5, 5.25),
    ],
)
def test_what_a_loss_should_be(count: int, loss: Loss, zero: float, best: float) -> None:
    value = loss(outputs(count))
    found = expected_of(value)
    assert found is not None
    assert found.measured == value.item()
    assert found.zero_output == pytest.approx(zero)
    assert found.best_constant == pytest.approx(best)
    zeros = torch.zeros(8, count, requires_grad=True)
    assert loss(zeros + 0.0).item() == pytest.approx(zero)


def test_what_does_not_count_is_left_out() -> None:
    some = LABELS.where(LABELS != 3, torch.tensor(-100))
    found = expected_of(F.cross_entropy(outputs(4), some))
    assert found is not None
    assert found.best_constant == pytest.approx(-sum(p * math.log(p) for p in (2 / 7, 4 / 7, 1 / 7)))


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: F.cross_entropy(out, LABELS, weight=torch.tensor([1.0, 2.0, 1.0, 1.0])),
        lambda out: F.cross_entropy(out, LABELS, label_smoothing=0.1),
        lambda out: F.cross_entropy(out, LABELS, reduction="sum"),
        lambda out: F.cross_entropy(out, LABELS) / 2,
        lambda out: F.cross_entropy(out, LABELS) + out.square().mean(),
        lambda out: F.binary_cross_entropy_with_logits(out[:, :1], YES, pos_weight=torch.tensor([3.0])),
    ],
)
def test_where_it_cannot_be_told_nothing_is_said(loss: Loss) -> None:
    assert expected_of(loss(outputs(4))) is None


MASK = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]).unsqueeze(1)


@pytest.mark.parametrize(
    ("loss", "weights", "factor"),
    [
        (lambda out: ((out - NUMBERS) ** 2).mean(), torch.ones(8, 1), 1.0),
        (lambda out: (NUMBERS - out).square().sum() / 4, torch.ones(8, 1), 2.0),
        (lambda out: 0.5 * (off := out - NUMBERS).mul(off).mean(), torch.ones(8, 1), 0.5),
        (lambda out: (((out - NUMBERS) ** 2) * MASK).sum() / MASK.sum(), MASK, 1.0),
    ],
)
def test_squared_errors_by_hand(loss: Loss, weights: Tensor, factor: float) -> None:
    found = heard_expectation(loss)
    assert found is not None
    mean = (NUMBERS * weights).sum() / weights.sum()
    spread = ((NUMBERS - mean).square() * weights).sum() / weights.sum()
    assert found.zero_output == pytest.approx(factor * ((NUMBERS**2 * weights).sum() / weights.sum()).item())
    assert found.best_constant == pytest.approx(factor * spread.item())


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: (((out - NUMBERS) ** 2) * MASK).mean(),  # what is masked counts as right
        lambda out: ((out - NUMBERS) ** 2).mean() + out.square().mean(),
        lambda out: ((out - NUMBERS) ** 2).mean().sqrt(),
        lambda out: (out - NUMBERS).abs().mean(),
    ],
)
def test_what_is_no_mean_of_squares_is_left_alone(loss: Loss) -> None:
    assert heard_expectation(loss) is None


def heard_expectation(loss: Loss) -> Expected | None:
    """As the listener has it, which knows the sides of a difference."""
    torch.manual_seed(0)
    model = nn.Linear(5, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    listener = Listener(lambda _: None)
    with listener.listening():
        loss(model(torch.randn(8, 5))).backward()
        optimizer.step()
    assert listener.troubles == []
    found: Expected | None = listener.ear(Starts).expected
    return found
