"""training/objective.py and optimizer.py against torch and scikit-learn."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch.nn import functional

from trainwell.core.errors import DataError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization, Regularization, Schedule
from trainwell.core.records.layout import OutputLayout
from trainwell.training.objective import Objective, r2, score, standardize, unstandardize
from trainwell.training.optimizer import build_optimizer, build_schedule

CLASSES = OutputLayout(task="classification", size=3, names=("a", "b", "c"))
NUMBERS = OutputLayout(task="regression", size=2, names=("a", "b"), means=(1.0, -2.0), stds=(2.0, 10.0))


def test_classification_is_torchs_cross_entropy() -> None:
    logits, labels = torch.randn(9, 3), torch.arange(9) % 3
    assert torch.equal(
        Objective(output=CLASSES, label_smoothing=0.2)(logits, labels),
        functional.cross_entropy(logits, labels, label_smoothing=0.2),
    )
    smoothed = Objective(output=CLASSES, label_smoothing=0.2)
    assert torch.equal(smoothed.plain(logits, labels), functional.cross_entropy(logits, labels))


def test_members_are_each_held_to_the_same_targets() -> None:
    logits, labels = torch.randn(9, 4, 3), torch.arange(9) % 3
    each = [functional.cross_entropy(logits[:, member], labels) for member in range(4)]
    assert torch.allclose(Objective(output=CLASSES)(logits, labels), torch.stack(each).mean())


def test_the_mean_has_loss_one_in_regression() -> None:
    raw = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([2.0, 10.0])
    raw += torch.tensor([1.0, -2.0])
    assert math.isclose(Objective(output=NUMBERS)(torch.zeros(4000, 2), raw).item(), 1.0, abs_tol=0.05)
    assert torch.allclose(unstandardize(standardize(raw, NUMBERS), NUMBERS), raw, atol=1e-5)


def test_r2_is_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    truth, guess = draw.normal(size=(50, 3)), draw.normal(size=(50, 3))
    assert math.isclose(
        r2(torch.tensor(guess).float(), torch.tensor(truth).float()), r2_score(truth, guess), rel_tol=1e-5
    )
    constant = torch.ones(5, 1)
    assert r2(constant, constant) == 1.0
    assert r2(constant + 1, constant) == 0.0


def test_a_score_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="at least one sample"):
        score(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), CLASSES)


def test_decay_spares_norms_and_biases_and_the_optimizer_is_the_named_one(parts: Any) -> None:
    model = parts.network()
    for name, kind in (("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)):
        point = Hyperparameters(
            architecture=Architecture(name="mlp"),
            regularization=Regularization(weight_decay=0.1),
            optimization=Optimization(optimizer=name, lr=0.3, momentum=0.8),  # type: ignore[arg-type]  # one of the two
        )
        made = build_optimizer(model, point)
        assert type(made) is kind
        decays = {
            label: group["weight_decay"]
            for group in made.param_groups
            for label, parameter in model.named_parameters()
            if any(parameter is each for each in group["params"])
        }
        assert decays == {
            "0.weight": 0.1, "0.bias": 0.0, "1.weight": 0.0, "1.bias": 0.0, "4.weight": 0.1, "4.bias": 0.0
        }  # fmt: skip


def test_the_rate_warms_up_stays_and_falls_to_nearly_nothing() -> None:
    point = Hyperparameters(
        architecture=Architecture(name="mlp"),
        optimization=Optimization(lr=0.5),
        schedule=Schedule(warmup_fraction=0.1, decay_fraction=0.5),
    )
    schedule = build_schedule(point, total_steps=100, decay_from=50)
    rates = [schedule(step) for step in range(100)]
    assert rates[0] > 0
    assert rates[10:50] == [0.5] * 40
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[49:]))
    assert rates[-1] < 0.02
    flat = build_schedule(point, total_steps=100, decay_from=100)
    assert [flat(step) for step in range(10, 100)] == [0.5] * 90
