"""The same training again, with one thing changed."""

import math
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
    "classes counted alike",
    "squashed numbers of deviation 1",
    "embeddings of deviation 0.02",
    "outputs in the units of the targets",
]


@record
class Fork:
    """A training of which one thing was changed.

    Attributes:
        changed: what.
        factor: by which a number was multiplied, or how many outputs are left; 1 where it is no number.
        layers: dotted names of those that are changed; empty: all that the change is about.
        values: the loss before each optimizer step.
        by_class: mean loss of each class in the last third of the steps, where samples of classes were compared.
        tested_by_class: likewise, in evaluations.
        tested: loss of the last evaluation of held-out data; NaN: there was none.
    """

    changed: Changed
    factor: float = 1.0
    layers: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    by_class: tuple[float, ...] = ()
    tested_by_class: tuple[float, ...] = ()
    tested: float = math.nan


@record
class Forks:
    """The section `forks`.

    Attributes:
        unchanged: the loss before each step of the training as it is.
        changed: the others, on the same batches from the same weights.
        chance: what the best constant answer costs; NaN: not known.
    """

    unchanged: tuple[float, ...]
    changed: tuple[Fork, ...]
    chance: float = math.nan
