"""What loss functions are given, and what they are made of."""

import math
from typing import Literal

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record

Activation = Literal["", "softmax", "log-softmax", "sigmoid", "tanh", "ReLU"]


Compared = Literal[
    "cross-entropy",
    "negative log-likelihood",
    "binary cross-entropy",
    "binary cross-entropy of probabilities",
    "squared error",
    "Huber loss",
    "absolute error",
    "CTC loss",
]


@record
class LossSeen:
    """A loss function under a number that a backward pass began at.

    Attributes:
        function: what it computes.
        step: optimizer steps taken before.
        activation: what the outputs passed right before it; empty: nothing that is known here.
        outputs: shape of the outputs as the network gave them.
        targets: shape of the targets as they were given, likewise.
        compared: shape in which both were compared; empty where they are not compared number by number.
        where: the line that called it.
        activated_at: the line and the layer of that activation.
    """

    function: Compared
    step: int
    activation: Activation = ""
    outputs: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    compared: tuple[int, ...] = ()
    where: Where = Where()
    activated_at: Where = Where()


@record
class TwiceSeen:
    """The logarithm of an activation, of what has passed an activation already.

    Attributes:
        outer: log-softmax or log-sigmoid.
        inner: the activation before.
        where: the line of the outer one.
        activated_at: the line and the layer of the inner one.
    """

    outer: str
    inner: Activation
    where: Where = Where()
    activated_at: Where = Where()


@record
class ClassesSeen:
    """Classes of samples, as a loss function was given them.

    Attributes:
        counts: samples of each in all steps.
        late: in the last third of the steps; empty: there were none.
        losses: mean loss of each class in that third, without weights; NaN: none of it came.
        tested: likewise, without gradients: of evaluations.
        tested_losses: likewise.
        right: samples of each class of that third for which it has the largest output.
        tested_right: likewise, of evaluations.
        weighted: whether the loss function was given weights.
        binary: whether they are a yes and a no under the binary cross-entropy.
        where: the line that calls it.
    """

    counts: tuple[int, ...]
    late: tuple[int, ...]
    losses: tuple[float, ...]
    tested: tuple[int, ...] = ()
    tested_losses: tuple[float, ...] = ()
    right: tuple[int, ...] = ()
    tested_right: tuple[int, ...] = ()
    binary: bool = False
    weighted: bool = False
    where: Where = Where()


@record
class TargetsSeen:
    """The numbers that a loss function was given as targets.

    Attributes:
        function: what it computes.
        numbers: that were looked at.
        lowest: of those that are finite.
        highest: likewise.
        outside: share that is below 0 or above 1.
        not_finite: share that is NaN or infinite, in the batch at which the loss was not finite either.
        classes: outputs that there are for classes, where torch refused such targets; 0: it did not.
        step: optimizer steps taken before that batch.
        where: the line that called it.
    """

    function: Compared
    numbers: int
    lowest: float
    highest: float
    outside: float
    not_finite: float = 0.0
    classes: int = 0
    step: int = 0
    where: Where = Where()


@record
class RefusedSeen:
    """What a loss function was given that torch refuses.

    Attributes:
        function: what it computes.
        why: "type": targets of the wrong type; "shape": of a shape that does not fit; "weights": of the classes, as
            many as there are no outputs.
        outputs: shape.
        targets: shape.
        types: of outputs and targets, such as float32 and int64.
        weights: classes that have a weight; 0: no weights were given.
        where: the line that called it.
    """

    function: Compared
    why: Literal["type", "shape", "weights"]
    outputs: tuple[int, ...]
    targets: tuple[int, ...]
    types: tuple[str, str]
    weights: int = 0
    where: Where = Where()


@record
class PaddingSeen:
    """Ends of rows where inputs and targets both stand still, as a loss function was given them.

    The input that fills them stands nowhere else in a row.

    Attributes:
        batches: whose rows end so.
        looked: batches of rows that were looked at.
        targets: that the loss function was given in those batches.
        padded: of these, at such ends.
        counted: of these, that count in the loss as much as any other.
        value: the class, or the number, that fills the ends.
        function: what the loss function computes.
        shortest: length of the shortest end in any of those batches.
        longest: likewise of the longest.
        where: the line that called the loss function.
    """

    batches: int
    looked: int
    targets: int
    padded: int
    counted: int
    value: float
    shortest: int
    longest: int
    function: Compared = "cross-entropy"
    where: Where = Where()


@record
class ComparisonSeen:
    """What a loss function compared, in numbers.

    Attributes:
        function: what it computes.
        steps: batches that were read.
        samples: in those.
        shape: of a batch of outputs.
        target_shape: of a batch of targets.
        size: classes that it chooses from; where it chooses none, numbers that the outputs of a sample are.
        activation: what the outputs passed right before it.
        lowest: smallest target.
        highest: largest target.
        different: how many different targets there were, as far as they were counted.
        whole: whether all of them are whole numbers.
        one_hot: whether the targets of each sample are one 1 and otherwise 0.
        least_sum: smallest sum of a sample's targets.
        largest_sum: largest sum of a sample's targets.
        outside: share of the targets that lie where the activation cannot reach.
        unreachable: mean square of how far, as a share of the targets' variance.
        cut: share of the samples for whose own class the activation gives 0 and passes no gradient.
        axis: the one along which a softmax was taken, where it is not that of the classes; -1: it is, or there is none.
        along: how many numbers the softmax was taken along; 0: there is none.
        exponentials: of the outputs, summed over the classes: median; NaN where no network's layer made them.
        tokens: whether the network was given whole numbers.
        where: the line that called it.
        activated_at: the line and the layer of that activation.
    """

    function: Compared
    steps: int
    samples: int
    shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    size: int
    activation: Activation = ""
    lowest: float = math.nan
    highest: float = math.nan
    different: int = 0
    whole: bool = False
    one_hot: bool = False
    least_sum: float = math.nan
    largest_sum: float = math.nan
    outside: float = 0.0
    unreachable: float = 0.0
    cut: float = 0.0
    axis: int = -1
    along: int = 0
    exponentials: float = math.nan
    tokens: bool = False
    where: Where = Where()
    activated_at: Where = Where()


@record
class BroadcastSeen:
    """Outputs and targets that fit each other only by broadcasting, where no loss function of torch's compared them.

    Attributes:
        operation: that did.
        outputs: their shape.
        targets: theirs.
        compared: the shape that came out.
        where: the line.
    """

    operation: str
    outputs: tuple[int, ...]
    targets: tuple[int, ...]
    compared: tuple[int, ...]
    where: Where = Where()
