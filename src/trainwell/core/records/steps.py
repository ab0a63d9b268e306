"""The first optimizer steps of somebody's training, as they happened."""

import math

from trainwell.core.records.finding import Where
from trainwell.core.records.record import record
from trainwell.core.records.seen.data import (
    HeldOutSeen,
    InputSeen,
    LabelsSeen,
    LeakSeen,
    LoadedSeen,
    RepeatedSeen,
    SimpleFits,
)
from trainwell.core.records.seen.losses import (
    BroadcastSeen,
    ClassesSeen,
    ComparisonSeen,
    LossSeen,
    PaddingSeen,
    RefusedSeen,
    TargetsSeen,
    TwiceSeen,
)
from trainwell.core.records.seen.networks import (
    CutSeen,
    DropoutSeen,
    LayerCourse,
    LayerSeen,
    LinearPair,
    MadeSeen,
    ModeSeen,
    NormSeen,
    RecurrenceSeen,
    SquashSeen,
    StoppedSeen,
)
from trainwell.core.records.seen.updates import (
    AimlessSeen,
    ClippingSeen,
    DecaySeen,
    GradientsSeen,
    GraphsSeen,
    HalfSeen,
    OptimizerSeen,
    RanksSeen,
    RatesSeen,
    ScheduleSeen,
    StraySeen,
)


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
        is_error: whether all terms of the first loss are distances, hinges or likelihoods, by how they are computed.
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
        squashes: one for each line that calls a sigmoid or a tangent, in the first step.
        recurrences: one for each recurrent layer.
        norms: one for each batch norm, in the order of their first calls.
        classes: what samples of each class cost; None: no samples of few classes were compared.
        tested: loss of the last evaluation of what is said to be held out; NaN: there was none.
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
        strays: parameters by themselves that no optimizer has.
        stopped: weights before those lines that never had a gradient.
        optimizers: one for each that took a step.
        aimless: one for each line that calls backward and reaches no weight of theirs.
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
    is_error: bool = False
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
    squashes: tuple[SquashSeen, ...] = ()
    recurrences: tuple[RecurrenceSeen, ...] = ()
    norms: tuple[NormSeen, ...] = ()
    classes: ClassesSeen | None = None
    tested: float = math.nan
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
    stopped: tuple[StoppedSeen, ...] = ()
    optimizers: tuple[OptimizerSeen, ...] = ()
    aimless: tuple[AimlessSeen, ...] = ()
    strays: tuple[StraySeen, ...] = ()
    repeated: RepeatedSeen | None = None
    modes: tuple[ModeSeen, ...] = ()
    clipping: tuple[ClippingSeen, ...] = ()
    graphs: tuple[GraphsSeen, ...] = ()
    halves: tuple[HalfSeen, ...] = ()
    rates: tuple[RatesSeen, ...] = ()
    schedules: tuple[ScheduleSeen, ...] = ()
    planned: int = 0
    ranks: tuple[RanksSeen, ...] = ()
