"""The first optimizer steps of somebody's training, as they happened."""

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
    """A module with weights of its own that was called where gradients were wanted, or as a part of one that was.

    Attributes:
        name: dotted, in the network that called it; empty where it is that network itself or no part of it.
        kind: of module, such as Linear; "tensor" for an attribute that wants gradients and is no parameter.
        weights: how many numbers it learns.
        network: number of the outermost network that called it.
        registered: whether that network knows of it.
        given: whether an optimizer that took a step has some of its weights.
        trainable: whether some of its weights want gradients.
        reached: whether a gradient came to some of them.
        sloped: whether any gradient that came was another than 0.
        quiet: whether gradients were never wanted where it was called, though its weights are no other layer's, and
            stayed as they were.
        apart: whether it is part of nothing that was called with gradients: its whole network was called without, or
            (of kind "data") its numbers were read as a tensor that wants none.
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
    sloped: bool = False
    quiet: bool = False
    apart: bool = False
    where: Where = Where()


@record
class InputSeen:
    """Features of the first batch that a network was given: columns of a table, channels of pictures.

    Attributes:
        features: how many.
        smallest: standard deviation, over the batch, that a tenth of those that vary stay below.
        largest: root mean square of the largest.
        widest: standard deviation of the one that varies most.
        where: the line that called the network.
    """

    features: int
    smallest: float
    largest: float
    widest: float
    where: Where = Where()


@record
class MadeSeen:
    """A layer, and the line that gave it the weights that it begins with.

    Attributes:
        layer: dotted, in the network that called it.
        where: the line that drew them, or that made the layer.
    """

    layer: str
    where: Where = Where()


@record
class LayerCourse:
    """What a layer did in each optimizer step.

    Attributes:
        name: dotted, in the network that called it.
        update: by step, the norm of what the step added to its weights over the norm that they had; NaN where unknown.
        gradient: by step, the norm of the gradient that the step was given; NaN where unknown.
    """

    name: str
    update: tuple[float, ...]
    gradient: tuple[float, ...]


@record
class NormSeen:
    """A batch norm, and what it normalized over.

    Attributes:
        name: dotted, in the network that called it.
        network: number of the outermost network that called it.
        first: whether it is the first batch norm of that network.
        calls: in training mode.
        values: numbers a channel in those, median; 0: there were none.
        samples: in those, median.
        trained: whether its running statistics had been trained before its first call.
        offset: of the first batch's mean from the running one, in running deviations: median over channels. NaN: it is
            not the first one, or was not trained before.
        scale: the first batch's deviation over the running one, likewise.
        frozen: whether neither its weights nor those before it ever wanted a gradient, and all stayed as they were.
        moved: by how many of the deviations that it had its running mean has moved since: median over channels.
        where: the line that called it first.
    """

    name: str
    network: int
    first: bool
    calls: int
    values: float
    samples: float
    trained: bool
    offset: float
    scale: float
    frozen: bool
    moved: float
    where: Where = Where()


@record
class DecaySeen:
    """Weight decay of an optimizer.

    Attributes:
        parameters: tensors that are decayed.
        vectors: of these, those of one dimension: biases, and weights of norms.
        decay: the largest of any of its groups.
        share: decay times rate, the largest of any step: what a plain step takes away of each weight.
        where: the line that took the first step.
    """

    parameters: int
    vectors: int
    decay: float
    share: float
    where: Where = Where()


@record
class DropoutSeen:
    """A place in a network where numbers are left out at random.

    Attributes:
        function: of torch that does it.
        probability: with which.
        layer: dotted name of the module that called it; None where that is the network itself.
        training: how often it was called while that module was in training mode.
        testing: how often in test mode.
        repeated: whether in test mode the network was given the same numbers again, with no step between.
        meant: whether the line says literally that it is to be random always.
        where: the line.
    """

    function: str
    probability: float
    layer: str | None
    training: int
    testing: int
    repeated: bool
    meant: bool
    where: Where = Where()


@record
class LoadedSeen:
    """Weights that came from elsewhere before the first step.

    Attributes:
        weights: how many numbers, of those that an optimizer has.
        where: the line that loaded them.
    """

    weights: int
    where: Where = Where()


@record
class RepeatedSeen:
    """A batch that a network was given at each step, though there are others.

    Attributes:
        steps: at which it was given.
        batches: that a loader handed out meanwhile; 0: there is none, a part of a tensor was taken.
        length: batches of the loader, or such parts of the tensor; 0 where that is not known.
        anew: whether the loader was begun anew each time, so that it handed out its first batch each time.
        where: the line that called the network, that began anew, or that took the part.
    """

    steps: int
    batches: int
    length: int
    anew: bool
    where: Where = Where()


@record
class LeakSeen:
    """A column of the inputs that is the target, scaled and moved.

    Attributes:
        samples: in which it is.
        features: columns that there are.
        column: its number, from 0.
        different: targets that there are.
        where: the line that called the network.
    """

    samples: int
    features: int
    column: int
    different: int
    where: Where = Where()


@record
class HeldOutSeen:
    """What a network was given without gradients on a line that speaks of validation or test, and of no training.

    Attributes:
        samples: different ones, by content.
        repeated: how many occurred again in the same evaluation.
        trained: of the different ones, how many were trained on.
        known: different samples that were trained on.
        where: the line that called the network.
    """

    samples: int
    repeated: int
    trained: int
    known: int
    where: Where = Where()


Order = Literal["", "sequential", "shuffled", "own", "stream"]
"""How a loader goes through its dataset: "" where no loader is known, "own" by a sampler that is none of torch's."""


@record
class LabelsSeen:
    """The classes that a loss function was given as targets, in the order in which they came.

    A training that goes through few samples in the same order again and again is counted up to where it repeats.

    Attributes:
        samples: labels.
        batches: that they came in.
        classes: that occurred.
        runs: stretches of one class.
        expected_runs: how many the same labels have in a random order.
        deviation: standard deviation of that number.
        whole: batches of one class.
        filling: classes that fill a batch alone.
        order: in which the loader that they came from goes through its dataset.
        where: the line that called the loss function.
        loaded_at: the line that made the loader, or that iterated it.
    """

    samples: int
    batches: int
    classes: int
    runs: int
    expected_runs: float
    deviation: float
    whole: int
    filling: int
    order: Order = ""
    where: Where = Where()
    loaded_at: Where = Where()


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


@record
class LinearPair:
    """Two linear maps, the second of which is given what the first puts out, and nothing else is.

    Attributes:
        first: layer and line of the first.
        second: layer and line of the second.
        inputs: numbers that the first is given for one of its outputs' places.
        between: numbers that it hands on.
        outputs: numbers that the second makes of them.
        through: what stands between, which is linear too: empty, dropout, or batch norm.
        weights: of both.
        enough: weights of one layer that can do all that both can; 0 where that cannot be told.
    """

    first: Where
    second: Where
    inputs: int
    between: int
    outputs: int
    through: str
    weights: int
    enough: int = 0


@record
class SimpleFits:
    """Simple models fitted to the first two thirds of the samples of the first steps, and asked about the others.

    Attributes:
        samples: that were asked about; no sample stands on both sides.
        classes: how many classes; 0: the targets are numbers.
        constant: the best constant's: share of wrong answers, or 1 for numbers.
        linear: a linear map's: share of wrong answers, or of the variance that it leaves.
        curved: a map's that is not linear, likewise.
        rounded: of numbers that may be classes: share of wrong answers where they are fitted as numbers and rounded.
        chosen: likewise, where they are fitted as classes.
        linear_alone: samples that the linear map, or the rounded number, answers rightly, and the other not.
        other_alone: the reverse.
    """

    samples: int
    classes: int
    constant: float
    linear: float
    curved: float
    rounded: float = math.nan
    chosen: float = math.nan
    linear_alone: int = 0
    other_alone: int = 0


@record
class CutSeen:
    """A line in a network at which no gradient goes through.

    Attributes:
        function: of torch that was called there.
        place: layers with weights that were called before it.
        where: the line.
    """

    function: str
    place: int
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
class ModeSeen:
    """A network in which dropout or batch norm act, and the modes in which it was trained and evaluated.

    Attributes:
        network: number of it.
        dropout: whether numbers are left out in training mode.
        norm: whether batch norm keeps averages.
        new: whether a batch norm was used in test mode whose averages were those that it is made with.
        trained: steps along gradients that came through it in training mode.
        tested: such steps in test mode, since the last in training mode.
        asked: whether it was called without gradients in test mode before the first of them, as in an evaluation.
        turned_at: the line that put it in test mode before these.
        called_at: the line that called it in the first of them.
        evaluated: calls in training mode, without gradients and between steps, whose outputs were judged.
        evaluated_at: the line of the first of them.
        compared_at: the line that judged its outputs: a loss function, or a comparison with targets.
    """

    network: int
    dropout: bool
    norm: bool
    new: bool
    trained: int
    tested: int
    asked: bool = False
    turned_at: Where = Where()
    called_at: Where = Where()
    evaluated: int = 0
    evaluated_at: Where = Where()
    compared_at: Where = Where()


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
    """

    backwards: int
    retained: int
    nodes: int
    stored: bool
    steady: int
    where: Where = Where()
    summed_at: Where = Where()


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


@record
class Steps:
    """The section `steps`.

    Attributes:
        taken: optimizer steps that were seen.
        values: the number that the last backward before each step began at.
        likelihood: classes of the logarithm of a softmax under a number below 0 that the first backward pass began at;
            0: there is none.
        likelihood_at: the line of that pass.
        losses: one for each line, function and activation.
        twice: one for each such logarithm under the first loss.
        gradients: one for each optimizer.
        layers: one for each module with weights, in the order of their first calls.
        course: one for each layer that was followed, in the order of their first calls.
        made: one for each layer whose weights were drawn while torch was listened to.
        optimizer_at: the line that made the optimizer of the first step.
        samples: by step, that networks were given since the step before.
        fresh: of these, that none was given before.
        held_out: one for each line where something is evaluated that is said to be held out.
        leak: a column of the inputs that is the target; None: none is.
        networks: that were called to be trained before the first step, with gradients or without: both count.
        quiet_networks: of these, without: they act, or say what the others are to learn.
        input: the first one's; None where it was not given numbers with a fraction.
        input_not_finite: share of the numbers that are NaN or infinite in the first batch where there are any.
        input_step: optimizer steps taken before that batch.
        input_at: the line that gave it to the network.
        not_finite_at: the line of the backward pass that first began at no finite number.
        norms: one for each batch norm, in the order of their first calls.
        decay: one for each optimizer that decays weights.
        dropout: one for each place.
        loaded: weights that an optimizer has and that came from elsewhere; None: none did.
        labels: one for each line that compares outputs with classes, sample by sample.
        targets: one for each line and function.
        refused: what torch refused to compare, the first time.
        padding: one for each line, where there is any.
        comparisons: one for each line, function and activation.
        broadcasts: one for each line, where there is any.
        linear_pairs: one for each two layers, in the first step.
        linear: whether everything between the inputs and the outputs is linear, in the first step.
        fits: what simple models make of the first samples; None: nobody would ask.
        cuts: one for each line.
        optimizers: one for each that took a step.
        repeated: the same batch at each step; None: there were others, or no loader was asked for them.
        modes: one for each network that is trained and in which dropout or batch norm act.
        clipping: one for each line that limits gradients and whose optimizer took a step.
        graphs: one for each line that began a backward pass.
        halves: one for each optimizer that has weights in half precision.
        rates: one for each optimizer.
        schedules: one for each schedule that was made and whose optimizer took a step.
        planned: steps that the source's loops come to; 0 where that cannot be told.
        ranks: one for each comparison of the processes of one training.
    """

    taken: int
    values: tuple[float, ...] = ()
    likelihood: int = 0
    likelihood_at: Where = Where()
    losses: tuple[LossSeen, ...] = ()
    twice: tuple[TwiceSeen, ...] = ()
    gradients: tuple[GradientsSeen, ...] = ()
    layers: tuple[LayerSeen, ...] = ()
    course: tuple[LayerCourse, ...] = ()
    made: tuple[MadeSeen, ...] = ()
    optimizer_at: Where = Where()
    samples: tuple[int, ...] = ()
    fresh: tuple[int, ...] = ()
    held_out: tuple[HeldOutSeen, ...] = ()
    leak: LeakSeen | None = None
    networks: int = 0
    quiet_networks: int = 0
    input: InputSeen | None = None
    input_not_finite: float = 0.0
    input_step: int = 0
    input_at: Where = Where()
    not_finite_at: Where = Where()
    norms: tuple[NormSeen, ...] = ()
    decay: tuple[DecaySeen, ...] = ()
    dropout: tuple[DropoutSeen, ...] = ()
    loaded: LoadedSeen | None = None
    labels: tuple[LabelsSeen, ...] = ()
    targets: tuple[TargetsSeen, ...] = ()
    refused: tuple[RefusedSeen, ...] = ()
    padding: tuple[PaddingSeen, ...] = ()
    comparisons: tuple[ComparisonSeen, ...] = ()
    broadcasts: tuple[BroadcastSeen, ...] = ()
    linear_pairs: tuple[LinearPair, ...] = ()
    linear: bool = False
    fits: SimpleFits | None = None
    cuts: tuple[CutSeen, ...] = ()
    optimizers: tuple[OptimizerSeen, ...] = ()
    repeated: RepeatedSeen | None = None
    modes: tuple[ModeSeen, ...] = ()
    clipping: tuple[ClippingSeen, ...] = ()
    graphs: tuple[GraphsSeen, ...] = ()
    halves: tuple[HalfSeen, ...] = ()
    rates: tuple[RatesSeen, ...] = ()
    schedules: tuple[ScheduleSeen, ...] = ()
    planned: int = 0
    ranks: tuple[RanksSeen, ...] = ()
