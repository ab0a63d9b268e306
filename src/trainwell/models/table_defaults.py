"""Where a search over table networks begins, by task and number of rows.

The numbers were measured on development splits (seeds 100 and up), never on those of `benchmarks/accuracy.py`.
"""

import math
from typing import Literal

from torch import nn

from trainwell.core.errors import SettingError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization, Regularization, Schedule
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.models.mlp import Mlp

FEW_ROWS = 1_500
"""Below this a deep network with embeddings learns the rows by heart; one gentle hidden layer does not."""

FEW_ROWS_STEPS = 600
"""Optimizer steps after which one hidden layer at rate 1e-3 has learnt what a few hundred rows can teach."""

MANY_ROWS_EPOCHS = 40.0

REFERENCE_INPUTS = 256
"""A matrix of so many inputs learns at the rate itself, others at a rate that moves their outputs as much."""

SCALE_FACTOR = 96.0
"""Feature scales, one number a feature, learn so many times as fast: they choose the features."""

VECTOR_FACTOR = 1.6
"""Biases and embeddings."""


def table_defaults(
    layout: InputLayout, output: OutputLayout, *, samples: int, budget_seconds: float
) -> tuple[Hyperparameters, float]:
    """Hyperparameters to begin with, and the epochs that a training should have.

    Few rows (below `FEW_ROWS`): one hidden layer, a low rate, about `FEW_ROWS_STEPS` steps, averaged weights. More: an
    ensemble of 8 members that share three hidden layers, on periodic embeddings.

    Args:
        layout: a table's.
        output: task and classes or targets.
        samples: rows of the training part, >= 1.
        budget_seconds: of the whole run; 0 where the budget is in steps.
    Returns:
        The point, and the epochs.
    Raises:
        SettingError: the layout is no table's, or no samples.
    Example:
        >>> layout = InputLayout(kind="table", numbers=13)
        >>> output = OutputLayout(task="classification", size=3, names=("a", "b", "c"))
        >>> point, epochs = table_defaults(layout, output, samples=142, budget_seconds=60.0)
        >>> point.architecture.depth, epochs
        (1, 150.0)

    Source: notes, Choosing Hyperparameters; Gorishniy et al. 2025 (members), Holzmueller et al. 2024 (the rest).
    """
    if layout.kind != "table" or samples < 1:
        raise SettingError(
            f"Table defaults need a table of at least one row, but got {layout.kind} and {samples}. "
            "Give a table's layout and its training rows."
        )
    return _few_rows(samples) if samples < FEW_ROWS else _many_rows(output, budget_seconds=budget_seconds)


def learning_rate_factors(model: nn.Module) -> dict[str, float]:
    r"""What a table network's parameters want the learning rate multiplied by.

    .. math:: \sqrt{256 / n_\text{in}} \text{ for matrices}, \quad 96 \text{ for feature scales}, \quad
        1.6 \text{ for biases and embeddings}

    Adam moves every weight by about the rate, so that a matrix of many inputs moves its outputs further than one of
    few: the factor evens this out.

    Args:
        model: any network; factors are known for `Mlp` alone.
    Returns:
        Parameter name -> factor; empty for other networks.
    Example:
        >>> from torch import nn
        >>> learning_rate_factors(nn.Linear(2, 2))
        {}

    Source: Holzmueller et al. 2024, appendix A (its neural tangent parametrization at rate 0.04, written for plain
    matrices).
    """
    if not isinstance(model, Mlp):
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
