"""capture/ears/classes.py, norms.py, recurrences.py, squashes.py: what they measure is what torch computes."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from trainwell.capture.listener import Listener
from trainwell.core.records.steps import Steps


def steps_of(model: nn.Module, loss: nn.Module, batches: list[tuple[Tensor, Tensor]], *, evaluated: int = 0) -> Steps:
    """Some steps, after the last of which some batches are asked about."""
    listener = Listener(lambda _: None)
    with listener.listening():
        optimizer = SGD(model.parameters(), lr=0.01)
        for x, y in batches:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            for x, y in batches[:evaluated]:
                loss(model(x), y)
    assert not listener.troubles
    return listener.heard()


def batches(*, classes: int = 3, count: int = 6, size: int = 20) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    return [
        (torch.randn(size, 4, generator=draw), torch.randint(classes, (size,), generator=draw)) for _ in range(count)
    ]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_each_class_costs_what_its_samples_cost(smoothing: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3))
    given = batches()
    seen = steps_of(model, nn.CrossEntropyLoss(label_smoothing=smoothing), given, evaluated=2).classes
    assert seen is not None
    labels = torch.cat([y for _, y in given])
    assert seen.counts == tuple(torch.bincount(labels).tolist())
    assert not seen.weighted
    x, y = (torch.cat(each) for each in zip(*given[:2], strict=True))
    # Evaluated with the weights of the last step.
    each = F.cross_entropy(model(x), y, reduction="none")
    assert seen.tested == tuple(torch.bincount(y).tolist())
    assert seen.tested_losses == pytest.approx([each[y == number].mean().item() for number in range(3)], rel=1e-4)
    assert sum(seen.late) == 2 * 20


def test_yes_or_no_are_two_classes() -> None:
    torch.manual_seed(0)
    given = [(x, y.float().unsqueeze(1)) for x, y in batches(classes=2)]
    seen = steps_of(nn.Linear(4, 1), nn.BCEWithLogitsLoss(), given).classes
    assert seen is not None
    assert sum(seen.counts) == 120
    weighted = steps_of(nn.Linear(4, 1), nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0])), given).classes
    assert weighted is not None
    assert weighted.weighted


@pytest.mark.parametrize(
    ("model", "loss", "given"),
    [
        (nn.Linear(4, 3), nn.MSELoss(), [(x, F.one_hot(y, 3).float()) for x, y in batches()]),
        (nn.Linear(4, 30), nn.CrossEntropyLoss(), batches(classes=30)),
        (nn.Linear(4, 3), nn.CrossEntropyLoss(), [(x, F.one_hot(y, 3).float()) for x, y in batches()]),
    ],
    ids=["numbers", "many classes", "shares"],
)
def test_where_there_are_no_few_classes_nothing_is_kept(
    model: nn.Module, loss: nn.Module, given: list[tuple[Tensor, Tensor]]
) -> None:
    assert steps_of(model, loss, given).classes is None


def test_independent_numbers_of_a_norm() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    model = nn.Sequential(norm, nn.Flatten(), nn.Linear(3 * 16, 1))
    free = [(torch.randn(4, 3, 4, 4), torch.zeros(4, 1)) for _ in range(100)]
    seen = steps_of(model, nn.MSELoss(), free).norms[0]
    assert seen.values == 64
    assert seen.independent == pytest.approx(64, rel=0.5)
    alike = [(torch.randn(4, 3, 1, 1).expand(4, 3, 4, 4), torch.zeros(4, 1)) for _ in range(100)]
    seen = steps_of(model, nn.MSELoss(), alike).norms[0]
    # Sixteen positions of one sample say the same.
    assert seen.values == 64
    assert seen.independent == pytest.approx(4, rel=0.5)
    many = [(torch.randn(8, 3, 4, 4), torch.zeros(8, 1)) for _ in range(20)]
    assert math.isnan(steps_of(model, nn.MSELoss(), many).norms[0].independent)


class Reader(nn.Module):
    """Reads backwards and forwards."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.read, self.last = kind(4, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.read(x.unsqueeze(1))[0][:, 0])
        return found


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_weights_make_a_state_longer(kind: type[nn.LSTM] | type[nn.GRU]) -> None:
    model = Reader(kind)
    for gate in model.read.get_parameter("weight_hh_l0").split(8):
        nn.init.orthogonal_(gate, gain=1.5)
    (seen,) = steps_of(model, nn.CrossEntropyLoss(), batches()).recurrences
    assert (seen.name, seen.width) == ("read", 8)
    assert seen.gain == pytest.approx(1.5, rel=1e-3)


def test_saturated_numbers_are_counted_by_line() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    given = [(100 * x, y) for x, y in batches()]
    made = model(given[0][0])
    (seen,) = steps_of(model, nn.CrossEntropyLoss(), given).squashes
    assert (seen.activation, seen.numbers) == ("tanh", 60)
    assert seen.saturated == pytest.approx((1 - made.square() < 0.1).double().mean().item())
    assert seen.where.file is not None
    assert Path(seen.where.file).name == Path(__file__).name
