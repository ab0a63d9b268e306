"""Which outputs depend on which inputs: some inputs were changed, and the outputs of the others were looked at."""

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record


@record
class SampleDependence:
    """The section `samples`: a batch in test mode, some samples of which were exchanged.

    Attributes:
        samples: that were left as they were.
        changed: of these, whose output changed all the same.
        size: the largest of those changes, as a share of the outputs' standard deviation.
        where: the line that called the network.
    """

    samples: int
    changed: int
    size: float
    where: Where = Where()


@record
class PositionDependence:
    """The section `positions`: sequences in test mode, the later halves of which were exchanged.

    Attributes:
        positions: before the change.
        changed: of these, whose outputs changed all the same.
        size: the largest of those changes, as a share of the outputs' standard deviation.
        predicted: share of the targets that are the input of the next position.
        where: the line that called the network.
    """

    positions: int
    changed: int
    size: float
    predicted: float
    where: Where = Where()
