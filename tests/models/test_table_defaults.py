"""Defaults of table networks: sensible at any size, and factors that name every parameter."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trainwell.core.errors import SettingError
from trainwell.core.records.layout import InputLayout, OutputLayout, Task
from trainwell.models.mlp import Mlp
from trainwell.models.table_defaults import (
    FEW_ROWS,
    TableStart,
    learning_rate_factors,
    table_candidates,
    table_defaults,
)
from trainwell.models.table_input import EMBEDDINGS, TableInput

LAYOUT = InputLayout(kind="table", numbers=6, cardinalities=(30, 3))
CLASSES = OutputLayout(task="classification", size=3, names=("a", "b", "c"))
TARGET = OutputLayout(task="regression", size=1, names=("y",), means=(0.0,), stds=(1.0,))


def sensible(start: TableStart, samples: int) -> bool:
    point = start.hyperparameters
    optimization, regularization = point.optimization, point.regularization
    return (
        point.architecture.name == "mlp"
        and min(point.architecture.width, point.architecture.depth, point.architecture.members) >= 1
        and 1 <= optimization.batch_size <= samples
        and optimization.lr > 0.0
        and 0.0 <= optimization.averaging < 1.0
        and 0.0 <= regularization.dropout < 1.0
        and 0.0 <= regularization.label_smoothing < 1.0
        and regularization.weight_decay >= 0.0
        and 0.0 <= point.schedule.decay_fraction <= 1.0 - point.schedule.warmup_fraction
        and start.epochs >= 1.0
        and start.hyperparameters.architecture.embedding in EMBEDDINGS
    )


@settings(deadline=None, max_examples=60)
@given(
    samples=st.integers(1, 10_000_000),
    budget_seconds=st.floats(0.0, 1e5),
    output=st.sampled_from([CLASSES, TARGET]),
)
def test_every_candidate_is_sensible_at_any_size(samples: int, budget_seconds: float, output: OutputLayout) -> None:
    candidates = table_candidates(LAYOUT, output, samples=samples, budget_seconds=budget_seconds)
    assert all(sensible(start, samples) for start in candidates)
    assert candidates[0] == table_defaults(LAYOUT, output, samples=samples, budget_seconds=budget_seconds)
    assert len(set(candidates)) == len(candidates)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_targets_are_never_smoothed_in_regression(task: Task) -> None:
    output = CLASSES if task == "classification" else TARGET
    smoothed = [
        start.hyperparameters.regularization.label_smoothing
        for start in table_candidates(LAYOUT, output, samples=FEW_ROWS, budget_seconds=60.0)
    ]
    assert all((smoothing > 0.0) == (task == "classification") for smoothing in smoothed)


def test_few_rows_take_about_as_many_steps_whatever_their_number() -> None:
    steps = []
    for samples in (60, 142, 455, FEW_ROWS - 1):
        start = table_defaults(LAYOUT, CLASSES, samples=samples, budget_seconds=60.0)
        steps.append(start.epochs * (samples // start.hyperparameters.optimization.batch_size))
    assert max(steps) / min(steps) < 1.2


def test_a_longer_budget_never_shortens_the_training() -> None:
    epochs = [
        table_defaults(LAYOUT, TARGET, samples=100_000, budget_seconds=seconds).epochs
        for seconds in (1.0, 10.0, 60.0, 600.0, 6000.0, 60_000.0)
    ]
    assert epochs == sorted(epochs)
    assert epochs[0] == 1.0
    assert epochs[-1] == table_defaults(LAYOUT, TARGET, samples=100_000, budget_seconds=0.0).epochs


def test_factors_name_every_parameter() -> None:
    draw = torch.Generator().manual_seed(0)
    model = Mlp(
        TableInput(LAYOUT, generator=draw), task="regression", width=64, depth=2, members=2, outputs=1, generator=draw
    )
    factors = learning_rate_factors(model)
    assert factors.keys() == dict(model.named_parameters()).keys()
    assert factors["hidden.1.linear.weight"] == factors["weight"] == 2.0
    assert factors["hidden.0.linear.weight"] == pytest.approx(math.sqrt(256 / model.input.width))
    assert factors["scale"] > 10.0
    plain = Mlp(
        TableInput(LAYOUT, **EMBEDDINGS["none"], generator=draw),
        task="regression",
        width=4,
        depth=1,
        outputs=1,
        generator=draw,
    )
    assert learning_rate_factors(plain) == {}
    assert learning_rate_factors(nn.Linear(2, 2)) == {}


@pytest.mark.parametrize(
    ("layout", "samples"), [(InputLayout(kind="image", height=2, width=2, channels=1), 5), (LAYOUT, 0)]
)
def test_no_defaults_without_a_table_and_rows(layout: InputLayout, samples: int) -> None:
    with pytest.raises(SettingError, match="at least one row"):
        table_defaults(layout, CLASSES, samples=samples, budget_seconds=60.0)
