"""capture/losses.py: what autograd's graph says of a loss."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.losses import activated_twice, losses_of, nodes_under
from trainwell.core.records.seen.losses import LossSeen

LABELS = torch.tensor([0, 1, 2, 1])
HOT = F.one_hot(LABELS, 3).float()


@pytest.fixture
def outputs() -> Tensor:
    torch.manual_seed(0)
    found: Tensor = nn.Linear(5, 3)(torch.randn(4, 5))
    return found


def read(value: Tensor) -> list[LossSeen]:
    return list(losses_of(value.grad_fn, step=0))


@pytest.mark.parametrize(
    ("function", "activation", "make"),
    [
        ("cross-entropy", "", lambda out: F.cross_entropy(out, LABELS)),
        ("cross-entropy", "softmax", lambda out: F.cross_entropy(out.softmax(dim=1), LABELS)),
        ("cross-entropy", "softmax", lambda out: F.cross_entropy(out.softmax(dim=1).view(4, 3).double(), LABELS)),
        ("cross-entropy", "sigmoid", lambda out: F.cross_entropy(out.sigmoid(), LABELS)),
        ("cross-entropy", "", lambda out: F.cross_entropy(out.softmax(dim=1) * 3, LABELS)),
        ("negative log-likelihood", "softmax", lambda out: F.nll_loss(out.softmax(dim=1), LABELS)),
        ("negative log-likelihood", "", lambda out: F.nll_loss(out.softmax(dim=1).log(), LABELS)),
        ("binary cross-entropy", "", lambda out: F.binary_cross_entropy_with_logits(out, HOT)),
        ("binary cross-entropy", "sigmoid", lambda out: F.binary_cross_entropy_with_logits(out.sigmoid(), HOT)),
        ("squared error", "", lambda out: F.mse_loss(out, HOT)),
        ("squared error", "sigmoid", lambda out: F.mse_loss(out.sigmoid(), HOT)),
        ("Huber loss", "", lambda out: F.smooth_l1_loss(out, HOT)),
        ("Huber loss", "", lambda out: F.huber_loss(out, HOT)),
    ],
)
def test_what_the_outputs_passed(outputs: Tensor, function: str, activation: str, make: object) -> None:
    assert callable(make)
    [found] = read(make(outputs))
    assert (found.function, found.activation) == (function, activation)
    assert found.outputs == (4, 3)


def test_all_parts_of_a_sum_are_found(outputs: Tensor) -> None:
    total = 0.5 * F.cross_entropy(outputs, LABELS) + F.mse_loss(outputs, HOT) / 3 + outputs.square().mean()
    assert [each.function for each in read(total)] == ["cross-entropy", "squared error"]


def test_a_loss_written_by_hand_is_none_of_these(outputs: Tensor) -> None:
    assert read((outputs - HOT).square().mean()) == []
    assert list(losses_of(None, step=0)) == []


@pytest.mark.parametrize(
    ("shape", "targets", "compared", "said"),
    [
        ((4, 1), (4,), (4, 4), (4,)),
        ((4,), (4, 1), (4, 4), (4, 1)),
        ((4, 1), (4, 1), (4, 1), (4, 1)),
        ((4, 3), (3,), (4, 3), (3,)),
        ((4, 1), (1,), (4, 1), ()),
    ],
)
def test_shapes_before_and_after_broadcasting(
    shape: tuple[int, ...], targets: tuple[int, ...], compared: tuple[int, ...], said: tuple[int, ...]
) -> None:
    outputs = torch.ones(shape, requires_grad=True) * 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        [found] = read(F.mse_loss(outputs, torch.zeros(targets)))
    assert (found.outputs, found.targets, found.compared) == (shape, said, compared)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda out: -F.log_softmax(out, dim=1).mean(), []),
        (lambda out: -F.log_softmax(out.softmax(dim=1), dim=1).mean(), [("log-softmax", "softmax")]),
        (lambda out: -F.log_softmax(out.relu().view(4, 3), dim=1).mean(), [("log-softmax", "ReLU")]),
        (lambda out: -F.logsigmoid(-out.sigmoid()).mean(), [("log-sigmoid", "sigmoid")]),
        (lambda out: -torch.distributions.Categorical(logits=out.softmax(1)).log_prob(LABELS).mean(), None),
        (lambda out: -F.log_softmax(10 * out.tanh(), dim=1).mean(), []),
        (lambda out: (out.softmax(dim=1) * 2).log().mean(), []),
    ],
)
def test_logarithms_of_what_was_activated_already(
    make: object, told: list[tuple[str, str]] | None, outputs: Tensor
) -> None:
    root = make(outputs).grad_fn  # type: ignore[operator]  # a lambda of one tensor
    found = [(each.outer, each.inner) for each in activated_twice(nodes_under(root))]
    assert found == told if told is not None else found[0] == ("log-softmax", "softmax")
