"""Batch norm against torch, its randomness, and what is done with its statistics."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from trainwell.core.errors import DataError
from trainwell.core.seeds import generator, seeded
from trainwell.regularization import batch_norm, batch_norms, recompute_statistics


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64) * 3 + 2


@settings(deadline=None, max_examples=30)
@given(
    shape=st.sampled_from([(4, 3), (2, 3, 5), (2, 3, 4, 5)]),
    momentum=st.floats(0, 1),
    training=st.booleans(),
    affine=st.booleans(),
    seed=st.integers(0, 100),
)
def test_formula_is_torchs(shape: tuple[int, ...], momentum: float, training: bool, affine: bool, seed: int) -> None:
    inputs = draw(*shape, seed=seed)
    mean, variance = draw(3, seed=seed + 1), draw(3, seed=seed + 2).abs() + 0.1
    weight, bias = (draw(3, seed=seed + 3), draw(3, seed=seed + 4)) if affine else (None, None)
    ours = batch_norm(
        inputs,
        running_mean=mean,
        running_variance=variance,
        weight=weight,
        bias=bias,
        training=training,
        momentum=momentum,
    )
    before = (mean.clone(), variance.clone())
    torchs = (mean.clone(), variance.clone())
    expected = torch.nn.functional.batch_norm(inputs, *torchs, weight, bias, training, momentum, 1e-5)
    torch.testing.assert_close(ours.outputs, expected)
    torch.testing.assert_close(ours.running_mean, torchs[0])
    torch.testing.assert_close(ours.running_variance, torchs[1])
    assert torch.equal(mean, before[0])
    assert torch.equal(variance, before[1])


def test_gradients_are_torchs() -> None:
    slopes = []
    zero, one = torch.zeros(3).double(), torch.ones(3).double()
    for ours in (True, False):
        inputs = draw(5, 3).requires_grad_()
        if ours:
            outputs = batch_norm(inputs, running_mean=zero, running_variance=one, training=True).outputs
        else:
            outputs = torch.nn.functional.batch_norm(inputs, None, None, training=True)
        torch.autograd.backward(outputs.pow(3).sum())
        slopes.append(inputs.grad)
    torch.testing.assert_close(slopes[0], slopes[1])


def test_one_number_a_channel_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2 numbers a channel in training, but got 1"):
        batch_norm(torch.zeros(1, 3), running_mean=torch.zeros(3), running_variance=torch.ones(3), training=True)


def spread(batch: int, *, passes: int = 1500) -> float:
    """How far a fixed sample's output in training lies from the one in testing, with exact running statistics."""
    source = generator(0, batch)
    sample = torch.tensor([[1.5]], dtype=torch.float64)
    statistics = {
        "running_mean": torch.zeros(1, dtype=torch.float64),
        "running_variance": torch.ones(1, dtype=torch.float64),
    }
    tested = batch_norm(sample, training=False, **statistics).outputs[0, 0]  # type: ignore[arg-type]  # tensors only
    gaps = []
    for _ in range(passes):
        others = torch.randn(batch - 1, 1, generator=source, dtype=torch.float64)
        trained = batch_norm(torch.cat([sample, others]), training=True, **statistics)  # type: ignore[arg-type]  # as above
        gaps.append(trained.outputs[0, 0] - tested)
    return math.sqrt(float(torch.stack(gaps).square().mean()))


def test_training_lies_within_order_one_over_root_batch_of_testing() -> None:
    """A batch 16 times as large brings training 4 times as near."""
    small, large = spread(16), spread(256)
    assert small / large == pytest.approx(4, rel=0.15)
    # Mean and std of the batch have errors 1/sqrt(n) and 1/sqrt(2n): at x = 1.5 together sqrt(1 + 1.5**2 / 2) = 1.46.
    assert large * 16 == pytest.approx(1.46, rel=0.1)


def network() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4), nn.BatchNorm1d(4)
        ).double()


def test_recomputed_statistics_are_torchs_averages() -> None:
    batches = [draw(8, 2, 6, 6, seed=seed) for seed in range(3)]
    ours, torchs = network(), network()
    assert recompute_statistics(ours, (batch for batch in batches)) == 2
    update_bn(batches, torchs)
    for got, wanted in zip(batch_norms(ours), batch_norms(torchs)):
        torch.testing.assert_close(got.running_mean, wanted.running_mean)
        torch.testing.assert_close(got.running_var, wanted.running_var)
        assert got.momentum == 0.1
    assert ours.training


def test_recomputing_keeps_modes_and_leaves_dropout_off() -> None:
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(3))
    model[1].eval()
    batch = draw(50, 3).float()
    recompute_statistics(model, [batch])
    torch.testing.assert_close(model[1].running_mean, batch.mean(dim=0))
    assert model[0].training
    assert not model[1].training


def test_recomputing_needs_batches_and_batch_norms() -> None:
    model = network()
    model(draw(8, 2, 6, 6))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(DataError, match="at least one batch, but got none"):
        recompute_statistics(model, [])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), "nothing may be lost"
    assert recompute_statistics(nn.Linear(2, 2), []) == 0
