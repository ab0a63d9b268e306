"""Every picture of the notes by its name."""

from collections.abc import Callable

from matplotlib.figure import Figure

from trainwell.lecture.figures import (
    activations,
    augmentation,
    initialization,
    preprocessing,
    regularization,
    schedules,
    transfer,
)

FIGURES: dict[str, Callable[[], Figure]] = {
    "six_activations": activations.six_activations,
    "elu": activations.elu_shape,
    "gelu": activations.gelu_as_expectation,
    "zigzag": activations.zigzag,
    "centred_and_normalized": preprocessing.centred_and_normalized,
    "decorrelated_and_whitened": preprocessing.decorrelated_and_whitened,
    "loss_sensitivity": preprocessing.loss_sensitivity,
    "small_std": initialization.small_std,
    "large_std": initialization.large_std,
    "xavier_with_tanh": initialization.xavier_with_tanh,
    "kaiming_beside_xavier": initialization.kaiming_beside_xavier,
    "dropout_with_test_scaling": regularization.dropout_with_test_scaling,
    "inverted_dropout": regularization.inverted_dropout,
    "augmentations": augmentation.augmentations,
    "step": schedules.step,
    "cosine": schedules.cosine,
    "linear": schedules.linear,
    "inverse_sqrt": schedules.inverse_sqrt,
    "constant": schedules.constant,
    "transfer_table": transfer.transfer_table,
}
"""Name -> function that draws it; the first line of its docstring says what the picture shows."""
