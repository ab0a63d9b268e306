"""Layers as they were called."""

import math

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record


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
class MadeSeen:
    """A layer, and the line that gave it the weights that it begins with.

    Attributes:
        layer: dotted, in the network that called it.
        where: the line that drew them, or that made the layer.
        by_torch: whether they are what torch draws as it makes the layer.
    """

    layer: str
    where: Where = Where()
    by_torch: bool = False


@record
class LayerCourse:
    """What a layer did in each optimizer step.

    Attributes:
        name: dotted, in the network that called it.
        update: by step, the norm of what the step added to its weights over the norm that they had; NaN where unknown.
        gradient: by step, the norm of the gradient that the step was given; NaN where unknown.
        network: number of the outermost network that called it first.
    """

    name: str
    update: tuple[float, ...]
    gradient: tuple[float, ...]
    network: int = 0


@record
class SquashSeen:
    """A line that calls sigmoids or tangents in a network, in the first step.

    Attributes:
        activation: sigmoid or tanh.
        numbers: that it puts out.
        saturated: share of them at which the slope is below a tenth of the largest.
        where: the line.
    """

    activation: str
    numbers: int
    saturated: float
    where: Where = Where()


@record
class RecurrenceSeen:
    """A recurrent layer before the first step.

    Attributes:
        name: dotted, in the network that called it first.
        gain: the largest Frobenius norm of one gate's recurrent weights over the root of their width: by how much they
            make a random state longer in one step. Of an orthogonal matrix 1, of torch's own start 0.58.
        width: numbers of its state.
    """

    name: str
    gain: float
    width: int


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
        independent: how many independent numbers a channel they are worth: their variance over that of their mean from
            batch to batch, median over channels. NaN: not asked, of many samples.
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
    independent: float = math.nan
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
        whole: whether all that their network computes is linear.
        network: number of the outermost network that called both.
    """

    first: Where
    second: Where
    inputs: int
    between: int
    outputs: int
    through: str
    weights: int
    enough: int = 0
    whole: bool = False
    network: int = 0


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
class StoppedSeen:
    """Weights that an optimizer has, and at which no gradient ever came: what was computed with them was detached.

    Attributes:
        name: dotted, in the network that was called.
        weights: numbers.
        function: of torch that let no gradient through.
        where: the line that called it.
    """

    name: str
    weights: int
    function: str
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
