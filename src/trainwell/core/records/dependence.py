"""Which outputs depend on which inputs: some inputs were changed, and the outputs of the others were looked at."""

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record
from trainwell.core.records.seen.networks import DropoutSeen


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
        predicted: share of the targets that are the input of the next position; of the same where `ahead` is 0.
        ahead: by how many positions the targets are on; 0: they are the inputs themselves, and `positions` are those
            whose own input was exchanged, of a network that does not look ahead.
        where: the line that called the network.
    """

    positions: int
    changed: int
    size: float
    predicted: float
    ahead: int = 1
    where: Where = Where()


@record
class InputDependence:
    """The section `inputs`: a batch in test mode, all samples of which were exchanged.

    Attributes:
        samples: of the batch.
        numbers: that the network put out.
        changed: of these, that came out as other numbers, by a single bit or more.
        alike: whether all samples of the batch were the same numbers to begin with.
        targets_differ: whether what their outputs were compared with differs from sample to sample.
        where: the line that called the network.
    """

    samples: int
    numbers: int
    changed: int
    alike: bool = False
    targets_differ: bool = False
    where: Where = Where()


@record
class Randomness:
    """The section `randomness`: networks in test mode, and what they leave out at random there.

    Attributes:
        dropout: one for each place.
    """

    dropout: tuple[DropoutSeen, ...] = ()
