"""capture/interventions.py: one thing is changed as a person would have changed it in the script, and nothing else."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.interventions import by_feature, changed
from trainwell.core.records.forks import Fork


def trained(*, lr: float, scale: bool = False, momentum: float = 0.9) -> tuple[dict[str, Tensor], list[float]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    inputs = torch.randn(48, 3) * torch.tensor([1.0, 50.0, 0.1]) + 4.0
    if scale:
        first = inputs[:16].double()
        inputs = ((inputs - first.mean(0)) / first.std(0, correction=0)).float()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    rates = []
    for chosen in torch.arange(48).split(16):
        optimizer.zero_grad()
        F.mse_loss(model(inputs[chosen]), torch.ones(16, 1)).backward()
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    return copy.deepcopy(model.state_dict()), rates


def test_a_lower_rate_is_what_the_script_would_do_at_it() -> None:
    wanted, _ = trained(lr=0.01)
    with changed(Fork(changed="learning rate", factor=0.1)):
        found, rates = trained(lr=0.1)
    # What the script reads is its own.
    assert rates == trained(lr=0.1)[1]
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-7)


def test_standardized_inputs_are_what_the_script_would_do_with_them() -> None:
    wanted, _ = trained(lr=0.1, scale=True)
    with changed(Fork(changed="standardized input")):
        found, _ = trained(lr=0.1)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5)


def test_afterwards_nothing_is_changed() -> None:
    before, _ = trained(lr=0.1)
    with pytest.raises(ZeroDivisionError), changed(Fork(changed="standardized input")):
        raise ZeroDivisionError
    after, _ = trained(lr=0.1)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("shape", "features"), [((8, 5), 5), ((8, 3, 6, 7), 3), ((8, 6, 7, 3), 3), ((8, 6, 5), 5), ((8, 6, 7, 2), 2)]
)
def test_features_are_columns_or_channels(shape: tuple[int, ...], features: int) -> None:
    assert by_feature(torch.zeros(shape)).shape[0] == features


def test_numbers_without_a_fraction_are_left_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 2))
    tokens = torch.randint(5, (6, 3))
    plain = model(tokens)
    with changed(Fork(changed="standardized input")):
        assert torch.equal(model(tokens), plain)
