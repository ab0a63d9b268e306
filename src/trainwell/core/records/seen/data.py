"""Samples as they came."""

import math
from typing import Literal

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record


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
        nodes: whether samples are nodes of a graph that is given whole, by number.
        where: the line that called the network.
    """

    samples: int
    repeated: int
    trained: int
    known: int
    nodes: bool = False
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
