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
class Steps:
    """The section `steps`.

    Attributes:
        taken: optimizer steps that were seen.
        values: the number that the last backward before each step began at.
        losses: one for each line, function and activation.
        gradients: one for each optimizer.
        input_not_finite: share of the numbers that are NaN or infinite in the first batch where there are any.
        input_step: optimizer steps taken before that batch.
        input_at: the line that gave it to the network.
        not_finite_at: the line of the backward pass that first began at no finite number.
    """

    taken: int
    values: tuple[float, ...] = ()
    losses: tuple[LossSeen, ...] = ()
    gradients: tuple[GradientsSeen, ...] = ()
    input_not_finite: float = 0.0
    input_step: int = 0
    input_at: Where = Where()
    not_finite_at: Where = Where()
