"""Where a search over table networks begins, by task and number of rows.

The numbers were measured on development splits (seeds 100 and up), never on those of `benchmarks/accuracy.py`.
"""

import math
from dataclasses import dataclass

from torch import nn

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization, Regularization, Schedule
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.models.mlp import Mlp

FEW_ROWS = 1_500
"""Below this a deep network with embeddings learns the rows by heart; one gentle hidden layer does not."""

FEW_ROWS_STEPS = 600
"""Optimizer steps after which one hidden layer at rate 1e-3 has learnt what a few hundred rows can teach."""

MEMBERS = 8
"""Networks in one: with one hidden layer, R² on diabetes 0.514 with 8 and 0.506 with 1 (10 splits)."""

MANY_ROWS_EPOCHS = 40.0
FULL_EPOCHS_ROWS = 10_000
"""Up to so many rows a training has all its epochs; beyond, its steps grow with the square root of the rows."""

KEPT_SHARE = 0.2
"""Of the budget, for one training: five of its length are paid for, the kept one and those that choose it."""

SECONDS_A_ROW = 7e-5
COLUMNS_THAT_DOUBLE = 45
"""One core of 2026's shared cloud machines: 22 ms a step of 256 rows with 10 columns, 30 ms with 44."""

REFERENCE_INPUTS = 256
"""A matrix of so many inputs learns at the rate itself, others at a rate that moves their outputs as much."""

SCALE_FACTOR = 96.0
"""Feature scales, one number a feature, learn so many times as fast: they choose among embedded features."""

VECTOR_FACTOR = 1.6
"""Biases and embeddings."""


@dataclass(frozen=True, kw_only=True)
class TableStart:
    """A point to begin with, and how long it is trained.

    Attributes:
        hyperparameters: the point.
        epochs: passes over the training part.
    """

    hyperparameters: Hyperparameters
    epochs: float


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """In what networks for many rows differ."""

    depth: int
    weight_decay: float
    dropout: float
    lr: float


def table_defaults(layout: InputLayout, output: OutputLayout, *, samples: int, budget_seconds: float) -> TableStart:
    """The first of `table_candidates`: what to train where there is time for one network.

    Args:
        layout: a table's.
        output: task and classes or targets.
        samples: rows of the training part, >= 1.
        budget_seconds: of the whole run; 0 where the budget is in steps.
    Returns:
        Where to begin.
    Raises:
        SettingError: the layout is no table's, or no samples.
    Example:
        >>> layout = InputLayout(kind="table", numbers=13)
        >>> output = OutputLayout(task="classification", size=3, names=("a", "b", "c"))
        >>> start = table_defaults(layout, output, samples=142, budget_seconds=60.0)
        >>> start.hyperparameters.architecture.embedding, start.hyperparameters.architecture.depth, start.epochs
        ('none', 1, 150.0)
    """
    return table_candidates(layout, output, samples=samples, budget_seconds=budget_seconds)[0]


def table_candidates(
    layout: InputLayout, output: OutputLayout, *, samples: int, budget_seconds: float
) -> tuple[TableStart, ...]:
    """Starting points that differ in kind; which one suits, only validation tells.

    Few rows (below `FEW_ROWS`): one hidden layer at a low rate for about `FEW_ROWS_STEPS` steps; validation rows are
    too few to choose by. More: 8 members that share their matrices, either strongly regularized (a noisy target) or
    deeper and hardly (a target that follows from the columns).

    Args:
        layout: a table's.
        output: task and classes or targets.
        samples: rows of the training part, >= 1.
        budget_seconds: of the whole run; 0 where the budget is in steps.
    Returns:
        One or more, the likeliest first.
    Raises:
        SettingError: the layout is no table's, or no samples.
    Source: notes, Choosing Hyperparameters; Gorishniy et al. 2025 (members), Holzmueller et al. 2024 (the rest).
    """
    if layout.kind != "table" or samples < 1:
        raise SettingError(
            f"Table defaults need a table of at least one row, but got {layout.kind} and {samples}. "
            "Give a table's layout and its training rows."
        )
    if samples < FEW_ROWS:
        return (_few_rows(samples),)
    smoothing = 0.1 if output.task == "classification" else 0.0
    epochs = _epochs(layout, samples=samples, budget_seconds=budget_seconds)
    return tuple(_many_rows(kind, smoothing, epochs) for kind in _KINDS)


def _few_rows(samples: int) -> TableStart:
    batch = min(32, samples)
    return TableStart(
        hyperparameters=Hyperparameters(
            architecture=Architecture(name="mlp", width=64, depth=1, members=MEMBERS, embedding="none"),
            activation="relu",
            regularization=Regularization(weight_decay=0.01),
            optimization=Optimization(lr=1e-3, beta2=0.95, batch_size=batch, averaging=0.15),
            schedule=Schedule(decay="linear", warmup_fraction=0.05, decay_fraction=0.5),
        ),
        epochs=float(round(FEW_ROWS_STEPS / (samples // batch))),
    )


def _many_rows(kind: _Kind, smoothing: float, epochs: float) -> TableStart:
    return TableStart(
        hyperparameters=Hyperparameters(
            architecture=Architecture(name="mlp", width=128, depth=kind.depth, members=MEMBERS, embedding="periodic"),
            activation="gelu",
            regularization=Regularization(
                weight_decay=kind.weight_decay, dropout=kind.dropout, label_smoothing=smoothing
            ),
            optimization=Optimization(lr=kind.lr, beta2=0.95, batch_size=256, averaging=0.15),
            schedule=Schedule(decay="linear", warmup_fraction=0.05, decay_fraction=0.5),
        ),
        epochs=epochs,
    )


def _epochs(layout: InputLayout, *, samples: int, budget_seconds: float) -> float:
    """As many passes as rows of this number need, or as a fifth of the budget allows on one slow core."""
    wanted = MANY_ROWS_EPOCHS * min(1.0, math.sqrt(FULL_EPOCHS_ROWS / samples))
    if budget_seconds <= 0.0:
        return wanted
    affordable = KEPT_SHARE * budget_seconds / (SECONDS_A_ROW * (1.0 + layout.shape[0] / COLUMNS_THAT_DOUBLE) * samples)
    return max(1.0, min(wanted, affordable))


def learning_rate_factors(model: nn.Module) -> dict[str, float]:
    r"""What a table network's parameters want the learning rate multiplied by.

    .. math:: \sqrt{256 / n_\text{in}} \text{ for matrices}, \quad 96 \text{ for feature scales}, \quad
        1.6 \text{ for biases and embeddings}

    Adam moves every weight by about the rate, so that a matrix of many inputs moves its outputs further than one of
    few: the factor evens this out. A network without embeddings, meant for few rows, learns at one slow rate.

    Args:
        model: any network; factors are known for an `Mlp` with embeddings alone.
    Returns:
        Parameter name -> factor; empty for other networks.
    Example:
        >>> from torch import nn
        >>> learning_rate_factors(nn.Linear(2, 2))
        {}

    Source: Holzmueller et al. 2024, appendix A (its neural tangent parametrization at rate 0.04, written for plain
    matrices).
    """
    if not isinstance(model, Mlp) or model.input.number_width == 1:
        return {}
    factors = {}
    for name, parameter in model.named_parameters():
        if name == "scale":
            factors[name] = SCALE_FACTOR
        elif name == "weight" or name.endswith("linear.weight"):
            inputs = parameter.shape[1]
            factors[name] = math.sqrt(REFERENCE_INPUTS / inputs)
        else:
            factors[name] = VECTOR_FACTOR
    return factors


_KINDS = (
    _Kind(depth=2, weight_decay=0.32, dropout=0.15, lr=2.5e-3),
    _Kind(depth=3, weight_decay=0.02, dropout=0.05, lr=4e-3),
)
