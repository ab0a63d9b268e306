"""How a network was evaluated between its first steps."""

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record


@record
class EvaluationSeen:
    """The section `evaluation`: a network's inputs in test mode without gradients, beside those of its training.

    Attributes:
        samples: in test mode, whose inputs were measured.
        features: columns of a table, channels of pictures, that vary in training.
        offset: median over the features of the distance of both means, in training deviations.
        ratio: median over the features of the deviation in test mode, as a share of the training's.
        loss: of the batches in test mode, as they were; NaN where it cannot be told.
        loss_as_trained: likewise, with each feature brought to the training's mean and deviation.
        where: the line that called the network in test mode.
    """

    samples: int
    features: int
    offset: float
    ratio: float
    loss: float
    loss_as_trained: float
    where: Where = Where()
