"""One definition of each rule: a threshold that is changed changes `fit`, `check` and `watch` together."""

import importlib

import pytest
import torch
from torch import Tensor, nn

from trainwell.capture.given import Setup
from trainwell.checking import check_setup
from trainwell.core.records.layout import OutputLayout
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.diagnose import diagnose
from trainwell.diagnosis.rules.table import RULES
from trainwell.probes.initial_loss import initial_loss
from trainwell.training.objective import Objective
from trainwell.training.setup import Setup as Inner
from trainwell.watching import Watch


def data() -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(0)
    inputs = torch.randn(400, 8, generator=made)
    return inputs, (inputs[:, 0] > 0).long()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))


def by_fit() -> set[str]:
    inputs, labels = data()
    output = OutputLayout(task="classification", size=2, names=("a", "b"))
    setup = Inner(
        model=network(),
        inputs=inputs,
        targets=labels,
        train=torch.arange(300),
        validation=torch.arange(300, 400),
        output=output,
        loss=Objective(output=output),
        optimizer=lambda model: torch.optim.AdamW(model.parameters()),
        batch_size=64,
    )
    return {each.code for each in diagnose(Observation(initial_loss=initial_loss(setup))).findings}


def by_check() -> set[str]:
    return {each.code for each in check_setup(Setup(network(), train=data())).diagnosis.findings}


def by_watch() -> set[str]:
    inputs, labels = data()
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    with Watch() as watched:
        for chosen in torch.arange(400).split(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
    return {each.code for each in watched.findings}


@pytest.mark.parametrize(
    ("code", "threshold", "value"), [("ACT002", "DEAD", -1.0), ("INI002", "SHRUNK", 1e6), ("OPT004", "VANISHED", 1e6)]
)
def test_all_three_ways_in_see_the_threshold(
    code: str, threshold: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code not in by_fit() | by_check() | by_watch()
    monkeypatch.setattr(importlib.import_module(RULES[code].find.__module__), threshold, value)
    assert code in by_fit() & by_check() & by_watch()
