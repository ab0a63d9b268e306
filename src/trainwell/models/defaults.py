"""Where a search begins: a network and settings by kind and size of the data."""

from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization, Regularization, Schedule
from trainwell.core.records.layout import InputLayout, OutputLayout


def defaults_for(
    input: InputLayout,  # noqa: A002 - the floor plan's word for it
    output: OutputLayout,
    *,
    samples: int,
    budget_seconds: float,
    name: str,
) -> tuple[Hyperparameters, float]:
    """A sensible starting point, and the epochs beyond which a training is of no more use.

    Args:
        input: what the network is given.
        output: what it returns.
        samples: of the training part, >= 1.
        budget_seconds: of the whole run; 0 where the budget is in steps.
        name: auto, or a model's name.
    """
    if input.kind == "table":
        point = Hyperparameters(
            architecture=Architecture(name="mlp", width=128, depth=3, members=8),
            regularization=Regularization(weight_decay=1e-2),
            optimization=Optimization(lr=2e-3, batch_size=min(256, max(samples // 8, 16)), averaging=0.1),
        )
        return point, 100.0
    point = Hyperparameters(
        architecture=Architecture(name="convnet" if name == "auto" else name, width=32, depth=2),
        activation="gelu",
        regularization=Regularization(weight_decay=1e-2, label_smoothing=0.1),
        optimization=Optimization(lr=2e-3, batch_size=128 if samples > 5000 else 64, averaging=0.05),
        schedule=Schedule(decay_fraction=0.7),
    )
    return point, 60.0
