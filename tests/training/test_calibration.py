"""training/calibration.py against scipy, closed forms, and what must hold of any samples."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

from trainwell.core.errors import DataError, SettingError, TargetError
from trainwell.training.calibration import COLDEST, SHRINKAGE, at_temperature, carry_temperature, fit_temperature


def drawn(seed: int, samples: int, classes: int, scale: float) -> tuple[Tensor, Tensor]:
    """Logits, and labels drawn from what they say at temperature 1, both then scaled."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(samples, classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    return scale * logits, labels


def objective(logits: Tensor, targets: Tensor, temperature: float, shrinkage: float) -> float:
    nats = functional.cross_entropy(logits / temperature, targets, reduction="sum").item()
    return nats + shrinkage * (1 / temperature - 1 + math.log(temperature))


@pytest.mark.parametrize("shrinkage", [0.0, 4.0, 30.0])
@pytest.mark.parametrize(("samples", "classes", "scale"), [(40, 2, 1.0), (300, 10, 3.0), (500, 3, 0.2), (7, 4, 2.0)])
def test_it_is_what_scipy_finds(samples: int, classes: int, scale: float, shrinkage: float) -> None:
    logits, labels = drawn(samples, samples, classes, scale)
    wanted = minimize_scalar(
        lambda u: objective(logits, labels, math.exp(u), shrinkage),
        bounds=(math.log(COLDEST), -math.log(COLDEST)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert fit_temperature(logits, labels, shrinkage=shrinkage) == pytest.approx(math.exp(wanted.x), rel=1e-5)


@pytest.mark.parametrize("factor", [0.02, 0.3, 1.0, 2.5, 70.0])
def test_scaled_log_probabilities_give_the_scale(factor: float) -> None:
    shares = torch.rand(50, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).softmax(dim=1) ** 3
    shares /= shares.sum(dim=1, keepdim=True)
    found = fit_temperature(factor * shares.log(), shares, shrinkage=0.0)
    assert found == pytest.approx(factor, rel=1e-9)
    # Unnormalized logits say the same.
    assert fit_temperature(factor * shares.log() + 5e3, shares, shrinkage=0.0) == pytest.approx(factor, rel=1e-6)


def test_two_classes_have_a_closed_form() -> None:
    logits = torch.tensor([[4.0, 0.0]]).expand(100, 2)
    labels = torch.tensor([0] * 90 + [1] * 10)
    assert fit_temperature(logits, labels, shrinkage=0.0) == pytest.approx(4 / math.log(9))


def test_what_is_calibrated_stays() -> None:
    for scale in (1.0, 0.5, 2.0):
        assert fit_temperature(*drawn(3, 20_000, 5, scale)) == pytest.approx(scale, rel=0.03)


@pytest.mark.parametrize("margin", [1.0, 5.0, 50.0])
def test_samples_that_are_all_right_do_not_send_it_to_zero(margin: float) -> None:
    before = 1.0
    for samples in (1, 3, 30, 300):
        logits = margin * torch.eye(3)[torch.arange(samples) % 3]
        found = fit_temperature(logits, torch.arange(samples) % 3)
        # The slope at the root: what so many samples ask for is what the prior holds against them.
        asked = (logits.double() / found).softmax(dim=1)
        pull = samples * margin * (1 - asked.amax(dim=1).mean().item())
        assert SHRINKAGE * (1 - found) == pytest.approx(pull, rel=1e-6, abs=1e-9)
        assert 0.1 < found <= before
        before = found
    # Without the prior there is nothing to hold it.
    assert fit_temperature(logits, torch.arange(300) % 3, shrinkage=0.0) < 0.1 * margin


def test_few_samples_move_it_little() -> None:
    one = torch.tensor([[3.0, 0.0]])
    assert 0.9 < fit_temperature(one, torch.tensor([0])) < 1.0
    assert 1.0 < fit_temperature(one, torch.tensor([1])) < 3.0
    assert fit_temperature(one, torch.tensor([1]), shrinkage=0.0) == pytest.approx(1 / COLDEST)


@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(1, 40),
    classes=st.integers(2, 12),
    scale=st.floats(0.0, 200.0),
    shrinkage=st.floats(0.5, 50.0),
)
@settings(deadline=None, max_examples=60)
def test_of_any_samples(seed: int, samples: int, classes: int, scale: float, shrinkage: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(samples, classes, generator=generator)
    labels = torch.randint(classes, (samples,), generator=generator)
    found = fit_temperature(logits, labels, shrinkage=shrinkage)
    assert COLDEST <= found <= 1 / COLDEST
    # Never worse than as it was, and no neighbour is better.
    best = objective(logits.double(), labels, found, shrinkage)
    for other in (1.0, found * 1.01, found / 1.01):
        if COLDEST <= other <= 1 / COLDEST:
            assert best <= objective(logits.double(), labels, other, shrinkage) + 1e-9 * (1 + abs(best))
    said = at_temperature(logits, found)
    assert torch.equal(said.gather(1, logits.argmax(dim=1, keepdim=True))[:, 0], said.amax(dim=1))
    # Neither the order of samples and classes nor a constant added to a row changes it.
    order, names = torch.randperm(samples, generator=generator), torch.randperm(classes, generator=generator)
    places = torch.empty_like(names).scatter_(0, names, torch.arange(classes))
    moved = fit_temperature(logits[order][:, names] + 1.0, places[labels[order]], shrinkage=shrinkage)
    assert moved == pytest.approx(found, rel=1e-4)


def test_more_shrinkage_lies_nearer_to_one() -> None:
    logits, labels = drawn(5, 30, 4, 3.0)
    found = [fit_temperature(logits, labels, shrinkage=strength) for strength in (0.0, 1.0, 10.0, 1e3, 1e6)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 2
    assert found[-1] == pytest.approx(1.0, abs=1e-3)


def test_logits_that_say_nothing_leave_it_at_one() -> None:
    for shrinkage in (0.0, 4.0):
        assert fit_temperature(torch.zeros(9, 3), torch.arange(9) % 3, shrinkage=shrinkage) == pytest.approx(1.0)


def test_at_temperature_is_softmax_of_the_quotient() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(at_temperature(logits, 1.0), logits.double().softmax(dim=1))
    assert torch.allclose(at_temperature(logits, 3.0), (logits.double() / 3).softmax(dim=1))
    assert at_temperature(logits, 100.0).std() < at_temperature(logits, 1.0).std() < at_temperature(logits, 0.1).std()


@given(seed=st.integers(0, 10_000), factor=st.floats(0.1, 10.0), temperature=st.floats(0.2, 5.0))
@settings(deadline=None, max_examples=40)
def test_carried_to_logits_that_only_grew_the_probabilities_are_the_same(
    seed: int, factor: float, temperature: float
) -> None:
    logits, _ = drawn(seed, 20, 4, 1.0)
    grown = factor * logits + torch.arange(20.0)[:, None]
    found = carry_temperature(temperature, source=logits, to=grown)
    assert torch.allclose(at_temperature(grown, found), at_temperature(logits, temperature))
    assert carry_temperature(found, source=grown, to=logits) == pytest.approx(temperature)


def test_carrying_stays_within_its_range() -> None:
    logits, flat = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)
    assert carry_temperature(2.0, source=flat, to=logits) == 2.0
    assert carry_temperature(2.0, source=logits, to=flat) == 2.0
    assert carry_temperature(2.0, source=logits, to=torch.full((1, 2), math.inf)) == 2.0
    assert carry_temperature(2.0, source=logits, to=1e9 * logits) == 1 / COLDEST
    assert carry_temperature(2.0, source=logits, to=1e-9 * logits) == COLDEST
    with pytest.raises(SettingError, match="`temperature > 0` must hold, but got 0"):
        carry_temperature(0.0, source=logits, to=logits)


def test_what_cannot_be_fitted_is_refused() -> None:
    good, labels = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    with pytest.raises(SettingError, match=r"`shrinkage >= 0` must hold, but got -1"):
        fit_temperature(good, labels, shrinkage=-1.0)
    with pytest.raises(DataError, match="got 0 rows of logits and 0 targets"):
        fit_temperature(good[:0], labels[:0])
    with pytest.raises(DataError, match="got 3 rows of logits and 2 targets"):
        fit_temperature(good, labels[:2])
    with pytest.raises(DataError, match="Logits must be finite"):
        fit_temperature(torch.full((3, 2), math.nan), labels)
    with pytest.raises(TargetError, match=r"Class indices must be 0 to 1, but got 0 to 2\."):
        fit_temperature(good, torch.tensor([0, 1, 2]))
    for temperature in (0.0, -1.0, math.inf):
        with pytest.raises(SettingError, match="`temperature > 0` must hold"):
            at_temperature(good, temperature)
