"""capture/interventions.py: training mode, and no clipping, as a person would have written them."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from trainwell.capture.interventions import changed
from trainwell.core.records.forks import Changed, Fork


def trained(*, train: bool = True, limit: float = 0.0, by_value: bool = False) -> tuple[dict[str, Tensor], list[float]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))
    inputs = torch.randn(48, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tested = []
    for chosen in torch.arange(48).split(16):
        model.train(train)
        optimizer.zero_grad()
        F.mse_loss(model(inputs[chosen]), torch.ones(16, 1)).backward()
        if limit and by_value:
            torch.nn.utils.clip_grad_value_(model.parameters(), limit)
        elif limit:
            assert float(clip_grad_norm_(model.parameters(), limit)) > limit
        optimizer.step()
        model.eval()
        with torch.no_grad():
            tested.append(model(inputs).sum().item())
    return copy.deepcopy(model.state_dict()), tested


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ("training mode", {"train": False}),
        ("no gradient clipping", {"limit": 1e-3}),
        ("no gradient clipping", {"limit": 1e-3, "by_value": True}),
    ],
)
def test_it_is_what_the_script_would_do(change: Changed, given: dict[str, float]) -> None:
    wanted, tested = trained()
    before, _ = trained(**given)  # type: ignore[arg-type]  # each is a number that fits
    assert any(not torch.equal(tensor, before[name]) for name, tensor in wanted.items())
    with changed(Fork(changed=change)):
        found, told = trained(**given)  # type: ignore[arg-type]
    assert all(torch.equal(tensor, found[name]) for name, tensor in wanted.items())
    assert told == tested
    after, _ = trained(**given)  # type: ignore[arg-type]
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
