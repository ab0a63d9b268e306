"""The same training again, with one thing changed."""

from typing import Literal

from trainwell.core.records.record import record

Changed = Literal["learning rate", "standardized input"]


@record
class Fork:
    """A training of which one thing was changed.

    Attributes:
        changed: what.
        factor: by which a number was multiplied; 1 where it is no number.
        values: the loss before each optimizer step.
    """

    changed: Changed
    factor: float = 1.0
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
