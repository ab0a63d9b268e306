"""What a network is given and what it must return."""

from typing import Literal

from trainwell.core.records.record import record

Task = Literal["classification", "regression"]


@record
class InputLayout:
    """One batch as one tensor.

    An image batch is uint8 (batch, height, width, channels), as decoded. A table batch is float32 (batch, columns):
    first the numeric columns in their own units, missing values NaN, then the categorical columns as codes, 0 for
    missing or never seen in training.

    Attributes:
        kind: image or table.
        height: pixels (images); of the maps that the numbers are laid out from, if they are (tables).
        width: likewise.
        channels: 1 or 3 (images); of the maps (tables).
        numbers: numeric columns (tables).
        cardinalities: codes of each categorical column, code 0 included (tables).
    """

    kind: Literal["image", "table"]
    height: int = 0
    width: int = 0
    channels: int = 0
    numbers: int = 0
    cardinalities: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        if self.kind == "image":
            return (self.height, self.width, self.channels)
        return (self.numbers + len(self.cardinalities),)


@record
class OutputLayout:
    """What the network must return: logits (batch, classes), or standardized targets (batch, targets).

    Attributes:
        task: classification or regression.
        size: classes or targets.
        names: class names in the order of their index, or target columns.
        means: of the raw targets on the training part (regression; empty otherwise).
        stds: their standard deviations, above 0 (regression; empty otherwise).
    """

    task: Task
    size: int
    names: tuple[str, ...]
    means: tuple[float, ...] = ()
    stds: tuple[float, ...] = ()
