"""The first optimizer steps of somebody's training, as they happened."""

from typing import Literal

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record

Activation = Literal["", "softmax", "log-softmax", "sigmoid"]
Compared = Literal["cross-entropy", "negative log-likelihood", "binary cross-entropy", "squared error", "Huber loss"]


@record
class LossSeen:
    """A loss function under a number that a backward pass began at.

    Attributes:
        function: what it computes.
        step: optimizer steps taken before.
        activation: what the outputs passed right before it: softmax, log-softmax or sigmoid; empty: none of them.
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
class GradientsSeen:
    """What an optimizer was given, step by step, where it can be told from the gradients of the steps before.

    Attributes:
        steps: in which it can be told.
        kept: in which the gradient of the step before was still in it.
        share: of the norm of what the optimizer was given, that was left over: median over those.
        where: the line that took the step.
    """

    steps: int
    kept: int
    share: float
    where: Where = Where()


@record
class LayerSeen:
    """A module with weights of its own that was called where gradients were wanted.

    Attributes:
        name: dotted, in the network that called it; empty where it is that network itself or no part of it.
        kind: of module, such as Linear.
        weights: how many numbers it learns.
        network: number of the outermost network that called it.
        registered: whether that network knows of it.
        given: whether an optimizer that took a step has some of its weights.
        trainable: whether some of its weights want gradients.
        reached: whether a gradient came to some of them.
        where: the line that called it first.
    """

    name: str
    kind: str
    weights: int
    network: int
    registered: bool
    given: bool
    trainable: bool
    reached: bool
    where: Where = Where()


@record
class InputSeen:
    """Features of the first batch that a network was given: columns of a table, channels of pictures.

    Attributes:
        features: how many.
        smallest: standard deviation, over the batch, of the one that varies least, of those that vary.
        largest: root mean square of the largest.
        where: the line that called the network.
    """

    features: int
    smallest: float
    largest: float
    where: Where = Where()


@record
class Steps:
    """The section `steps`.

    Attributes:
        taken: optimizer steps that were seen.
        values: the number that the last backward before each step began at.
        losses: one for each line, function and activation.
        gradients: one for each optimizer.
        layers: one for each module with weights, in the order of their first calls.
        networks: that were called in training mode before the first step, with gradients or without: both count.
        input: the first one's; None where it was not given numbers with a fraction.
        input_not_finite: share of the numbers that are NaN or infinite in the first batch where there are any.
        input_step: optimizer steps taken before that batch.
        input_at: the line that gave it to the network.
        not_finite_at: the line of the backward pass that first began at no finite number.
    """

    taken: int
    values: tuple[float, ...] = ()
    losses: tuple[LossSeen, ...] = ()
    gradients: tuple[GradientsSeen, ...] = ()
    layers: tuple[LayerSeen, ...] = ()
    networks: int = 0
    input: InputSeen | None = None
    input_not_finite: float = 0.0
    input_step: int = 0
    input_at: Where = Where()
    not_finite_at: Where = Where()
