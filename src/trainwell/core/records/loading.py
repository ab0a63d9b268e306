"""What a training's loader says when its dataset is asked again after the last step."""

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record


@record
class WorkerRandomness:
    """The section `workers`: two workers of the loader, each asked twice for the same sample.

    Attributes:
        workers: that the loader has.
        random: whether a worker's two answers differ.
        alike: whether both workers gave the same two answers.
        repeated: names of the random generators that moved on with each answer, and stood alike in both workers.
        where: the line that made the loader, or that iterated it.
    """

    workers: int
    random: bool
    alike: bool
    repeated: tuple[str, ...] = ()
    where: Where = Where()


@record
class FurtherLabels:
    """The section `further_labels`: samples of a dataset that the steps did not reach, where these saw one class alone.

    Attributes:
        samples: of the dataset.
        asked: of these, spread over what was not reached.
        others: of those asked, that belong to another class.
    """

    samples: int
    asked: int
    others: int
