"""A measured sequence."""

from trainwell.core.records.record import record


@record
class Curve:
    """Numbers against numbers, with their names and units: what a line of a picture shows.

    Attributes:
        name: such as "training loss".
        x: positions, increasing (optimizer steps unless `x_label` says otherwise).
        y: values, as long as x; NaN and Inf may occur.
        x_label: axis name with unit.
        y_label: axis name with unit.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_label: str = "optimizer step"
    y_label: str = "loss"
