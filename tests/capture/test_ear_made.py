"""capture/ears/made.py: the lines that made the optimizer and the weights."""

import torch
import torch.nn.functional as F
from torch import nn

from trainwell.capture.listener import Listener
from trainwell.core.records.finding import Where
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.places import made_at


def heard(*, before: bool = False) -> tuple[Steps, dict[str, int]]:
    """A step of a network that is made before it is listened to, or after; and the numbers of some lines."""
    listener, lines = Listener(lambda _: None), {}
    first = nn.Linear(4, 8) if before else None
    with listener.listening():
        first, last = first or nn.Linear(4, 8), nn.Linear(8, 3)
        lines["made"] = here() - 1
        model = nn.Sequential(first, nn.ReLU(), last)
        nn.init.normal_(last.weight, std=0.01)
        lines["drawn"] = here() - 1
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        lines["optimizer"] = here() - 1
        torch.optim.SGD(model.parameters(), lr=0.1)
        F.cross_entropy(model(torch.randn(6, 4)), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
        lines["called"] = here() - 1
        optimizer.step()
    assert listener.troubles == []
    return listener.heard(), lines


def here() -> int:
    import sys

    return sys._getframe(1).f_lineno


def test_the_last_line_that_drew_them_is_named() -> None:
    steps, lines = heard()
    assert {each.layer: each.where.line for each in steps.made} == {"0": lines["made"], "2": lines["drawn"]}
    assert steps.optimizer_at.line == lines["optimizer"]


def test_of_what_was_made_before_the_call_is_named() -> None:
    steps, lines = heard(before=True)
    assert [each.layer for each in steps.made] == ["2"]
    assert made_at("0", steps).line == lines["called"]
    assert made_at("2", steps).line == lines["drawn"]
    assert made_at("9", steps) == Where(layer="9")
