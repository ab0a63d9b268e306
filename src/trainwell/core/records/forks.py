"""The same training again, with one thing changed."""

from typing import Literal

from trainwell.core.records.record import record

Changed = Literal[
    "learning rate",
    "learning rate sweep",
    "standardized input",
    "constant input",
    "redrawn weights",
    "ReLU",
    "no weight decay or dropout",
    "ReLU between",
    "fewer outputs",
    "norms over the sample",
    "training mode",
    "no gradient clipping",
]


@record
class Fork:
    """A training of which one thing was changed.

    Attributes:
        changed: what.
        factor: by which a number was multiplied, or how many outputs are left; 1 where it is no number.
        layers: dotted names of those that are changed; empty: all that the change is about.
        values: the loss before each optimizer step.
    """

    changed: Changed
    factor: float = 1.0
    layers: tuple[str, ...] = ()
    values: tuple[float, ...] = ()


@record
class Forks:
    """The section `forks`.

    Attributes:
        unchanged: the loss before each step of the training as it is.
        changed: the others, on the same batches from the same weights.
    """

    unchanged: tuple[float, ...]
    changed: tuple[Fork, ...]
