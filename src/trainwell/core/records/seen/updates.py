"""Gradients, optimizers and schedules."""

import math
from typing import Literal

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record


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
class DecaySeen:
    """Weight decay of an optimizer.

    Attributes:
        parameters: tensors that are decayed.
        vectors: of these, those of one dimension: biases, and weights of norms.
        decay: the largest of any of its groups.
        share: decay times rate, the largest of any step: what a plain step takes away of each weight.
        adaptive: whether the optimizer adds it to a gradient that it then divides by its size, as Adam does.
        where: the line that took the first step.
    """

    parameters: int
    vectors: int
    decay: float
    share: float
    adaptive: bool = False
    where: Where = Where()


@record
class OptimizerSeen:
    """An optimizer, and whether it has anything to go by.

    Attributes:
        steps: that it took.
        parameters: tensors that it has.
        reached: of these, how many had a gradient at any of those steps.
        maximizes: whether it goes along the gradient, not against it.
        where: the line that took the first.
    """

    steps: int
    parameters: int
    reached: int
    maximizes: bool = False
    where: Where = Where()


@record
class AimlessSeen:
    """A line that calls backward, and reaches nothing that any optimizer has, or that moves otherwise.

    Attributes:
        passes: that began there.
        tensors: that want gradients and that they reach.
        weights: numbers of these.
        where: the line.
    """

    passes: int
    tensors: int
    weights: int
    where: Where = Where()


@record
class StraySeen:
    """A parameter by itself, part of no module that was called, that gradients come to and no optimizer has.

    Attributes:
        name: of the variable, or of the attribute of one.
        weights: numbers of it.
        passes: that began at the line.
        where: the line that calls backward.
    """

    name: str
    weights: int
    passes: int
    where: Where = Where()


@record
class ClippingSeen:
    """A line that limits gradients.

    Attributes:
        function: of torch that it calls.
        limit: of the norm, or of each number.
        calls: how often.
        steps: that its optimizers took since the first call.
        empty: calls that found no gradient but zeros.
        late: steps along gradients that came after the call before them.
        beyond: size of what these steps were taken along: median of the norm, or of the largest number.
        scaled: calls at which the gradients were still multiplied by a scale.
        scale: the last of these.
        clipped: steps along what the call left.
        least: before these calls, the smallest size as a multiple of the limit.
        ratio: likewise, the median.
        plain: whether its optimizers are all SGD, whose steps are as long as the gradients are.
        where: the line.
    """

    function: Literal["clip_grad_norm_", "clip_grad_value_"]
    limit: float
    calls: int
    steps: int
    empty: int
    late: int
    beyond: float
    scaled: int
    scale: float
    clipped: int
    least: float
    ratio: float
    plain: bool
    where: Where = Where()


@record
class GraphsSeen:
    """Backward passes that a line began, and their graphs that lived on.

    Attributes:
        backwards: how many.
        retained: graphs of steps before the last two that lived at once, without a gap, at most.
        nodes: operations in such a graph.
        stored: whether most of the numbers that they began at lived too, so that something holds these themselves.
        steady: steps over which as many lived though others had come: something holds a fixed number of them.
        where: the line.
        summed_at: the line that added such a number to another after its backward pass.
        freed: whether torch refused a pass that led into the graph of an earlier one, which is gone.
    """

    backwards: int
    retained: int
    nodes: int
    stored: bool
    steady: int
    where: Where = Where()
    summed_at: Where = Where()
    freed: bool = False


@record
class HalfSeen:
    """Weights in half precision that an optimizer has.

    Attributes:
        kind: of number: bfloat16 or float16.
        steps: that were taken.
        numbers: weights that got a gradient other than zero in one of them.
        still: share of these that are bit for bit what they were before the first step.
        lost: share of all changes that were asked for, weight by weight and step by step, and left no bit changed.
        plain: whether the optimizer is one of torch's own, which keep nothing of what rounding takes away.
        where: the line that took the first step.
    """

    kind: str
    steps: int
    numbers: int
    still: float
    lost: float
    plain: bool
    where: Where = Where()


@record
class RatesSeen:
    """The learning rates of an optimizer.

    Attributes:
        kind: of optimizer, such as SGD.
        groups: by step, for each of its groups, those alike once; NaN where it has none.
    """

    kind: str
    groups: tuple[tuple[float, ...], ...]


@record
class ScheduleSeen:
    """A schedule of the learning rate, over the first steps that are heard without a gap.

    Attributes:
        kind: such as CosineAnnealingLR.
        period: after so many of its steps it turns, ends or lowers the rate for the last time; NaN where it has no
            such number.
        stepped: how often the script stepped it.
        steps: of its optimizer since it was made.
        a_pass: optimizer steps in a pass of the loader; 0 where that is not known.
        passes: of the loader that were begun since it was made.
        rounds: of the loop around the loader's, as the source counts them; 0 where that is not known.
        turned: how often the rate rose again after it had fallen.
        left: share of the rate that is left when half of the rounds are over, were it stepped by the batch; NaN where
            it does not only lower.
        lowers: whether the rate is lower than at its first step.
        idle: of its optimizer's last steps, how many were taken at a millionth of the highest rate or less.
        turns: how often its step comes, where all loops around that line count ranges; 0: it cannot be told.
        reached: the highest rate in so many steps, as a share of the highest were it stepped after each of its
            optimizer's; NaN where that comes soon after, or is not known.
        over: share of its highest rate that is left after as many of its steps as its optimizer is to take, where it is
            stepped more often than that; NaN: it is not, or that is not known.
        second: highest rate after the first pass, as a share of the highest of all; NaN where there were few steps.
        others: how often other schedules of the same optimizer were stepped.
        used: whether the source does something with it after it was made.
        made_at: the line that made it.
        stepped_at: the line that first stepped it.
    """

    kind: str
    period: float
    stepped: int
    steps: int
    a_pass: int
    passes: int
    rounds: int
    turned: int
    left: float
    second: float
    others: int
    used: bool
    lowers: bool = False
    idle: int = 0
    turns: int = 0
    reached: float = math.nan
    over: float = math.nan
    made_at: Where = Where()
    stepped_at: Where = Where()


@record
class RanksSeen:
    """The processes of one training, compared after a step.

    Attributes:
        step: optimizer steps taken.
        ranks: processes.
        apart: largest difference of a parameter's norm between them, as a share of it.
    """

    step: int
    ranks: int
    apart: float
