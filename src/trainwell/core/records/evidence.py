"""What each step of the recipe leaves: a verdict, numbers, findings, and what its pictures are drawn from."""

from dataclasses import field
from typing import Literal

from trainwell.core.records.curve import Curve
from trainwell.core.records.finding import Finding
from trainwell.core.records.record import record

Interval = tuple[float, float]


@record
class Yardstick:
    """A simple model on the same split and metric.

    Attributes:
        name: best constant, logistic regression, linear regression, HistGradientBoosting.
        metric: on validation: accuracy or R².
        loss: cross-entropy in nats or standardized mean squared error on validation.
        test: the same metric on the test part, filled in when the test part is touched; None before.
        seconds: to fit.
    """

    name: str
    metric: float
    loss: float
    seconds: float
    test: float | None = None


@record
class Look:
    """Step 0.

    Attributes:
        yardsticks: the simple models.
        montage: a PNG's name in the evidence folder, empty for tables.
        overlap: validation and test samples that stand in the training part too.
    """

    kind: Literal["look"] = "look"
    yardsticks: tuple[Yardstick, ...]
    montage: str = ""
    overlap: int = 0


@record
class LayerStatistic:
    """One layer on one batch of an untouched network.

    Attributes:
        name: dotted.
        kind: class name.
        activation: what follows it, or empty.
        mean: of its output.
        std: of its output.
        dead: share of units that are 0 for every sample, in [0, 1] (ReLU; else 0).
        saturated: share of outputs where the activation's slope is under 1/10 of its largest (sigmoid, tanh; else 0).
        gradient_std: of the loss's gradient with respect to its weights.
        weight_std: root mean square of its weights; NaN where it was not measured.
        identical_units: share of units whose weights are those of another unit, and still are after a few training
            steps of a copy, in [0, 1].
        normalized: a norm stands between it and the next weighted layer.
        sample_std: how far each number of its output varies from sample to sample: root mean square of the standard
            deviations over the batch; NaN where it was not measured.
        fan_in: inputs of one of its units; 0 where it is not known.
    """

    name: str
    kind: str
    activation: str
    mean: float
    std: float
    dead: float
    saturated: float
    gradient_std: float
    weight_std: float = float("nan")
    identical_units: float = 0.0
    normalized: bool = False
    sample_std: float = float("nan")
    fan_in: int = 0


@record
class InitialLoss:
    """Step 1.

    Attributes:
        measured: loss of the untouched network.
        zero_output: the user's own loss at constant output zero (log C, the mean of squared targets): the expectation.
        best_constant: loss of the best constant output: the floor of chance.
        logit_std: of the outputs; logits of variance s² explain about s²/2 of the excess.
        layers: one a weighted layer, in execution order.
        standard_error: of `measured`, from sample to sample; 0 where it was not measured.
        input_not_finite: share of the numbers that are NaN or infinite where the first weighted layer receives them.
        input_offset: of the input's features there: root mean square of their means over that of their standard
            deviations; NaN where it was not measured.
    """

    kind: Literal["initial-loss"] = "initial-loss"
    measured: float
    zero_output: float
    best_constant: float
    logit_std: float
    layers: tuple[LayerStatistic, ...]
    standard_error: float = 0.0
    input_not_finite: float = 0.0
    input_offset: float = float("nan")


@record
class SmallSample:
    """Step 2: the network made to learn a few batches by heart.

    Attributes:
        samples: how many.
        lr: that fitted them, or the last one tried.
        loss: training loss by step.
        metric: training accuracy or R² by step.
        attempts: curves of the rates tried before, in order.
    """

    kind: Literal["small-sample"] = "small-sample"
    samples: int
    lr: float
    loss: Curve
    metric: Curve
    attempts: tuple[Curve, ...] = ()


@record
class LrSweep:
    """Step 3.

    Attributes:
        curve: loss against learning rate (x_label "learning rate"), as measured.
        smoothed: the same, smoothed.
        lr: chosen.
        interval: rates between which the loss falls.
        usable: whether it falls at all.
        confirmations: short runs, one a rate, loss by step; their names say the rate.
    """

    kind: Literal["lr-sweep"] = "lr-sweep"
    curve: Curve
    smoothed: Curve
    lr: float
    interval: Interval
    usable: bool
    confirmations: tuple[Curve, ...] = ()


@record
class GridPoint:
    """One trial of a grid. `value` is the validation error; `coordinates` dotted hyperparameter -> value."""

    trial: int
    coordinates: dict[str, float]
    labels: dict[str, str] = field(default_factory=dict)
    value: float
    loss: float
    steps: int
    state: Literal["completed", "stopped", "diverged"]


@record
class Grid:
    """Steps 4 and 5.

    Attributes:
        axes: dotted hyperparameters that vary, such as optimization.lr and regularization.weight_decay.
        points: one a trial.
        best: trial number.
        at_edge: axes along which the best point lies at the edge of the grid.
        noise: standard deviation of the value from seed to seed; NaN where it was not measured.
        importances: axis -> share of the variance of the value that it explains, in [0, 1].
    """

    kind: Literal["grid"] = "grid"
    axes: tuple[str, ...]
    points: tuple[GridPoint, ...]
    best: int
    at_edge: tuple[str, ...] = ()
    noise: float
    importances: dict[str, float] = field(default_factory=dict)


@record
class LearningCurves:
    """Step 6.

    Attributes:
        trial: whose curves.
        shape: in words, such as "overfitting from epoch 7".
        train_loss: in test mode, by epoch.
        validation_loss: by epoch.
        train_metric: by epoch.
        validation_metric: by epoch.
        lr: by epoch.
        start: training loss of the untouched network; NaN where it was not measured.
        samples: how many each point was measured on, of training and validation each; 0 where it is not known.
        unit: what positions count.
        of_batches: whether training losses are the steps' own, of other samples at each point.
    """

    kind: Literal["learning-curves"] = "learning-curves"
    trial: int
    shape: str
    train_loss: Curve
    validation_loss: Curve
    train_metric: Curve
    validation_metric: Curve
    lr: Curve
    start: float = float("nan")
    samples: int = 0
    unit: Literal["epoch", "step"] = "epoch"
    of_batches: bool = False

    @property
    def point(self) -> str:
        """What there is a point for."""
        return "epoch" if self.unit == "epoch" else "evaluation"


@record
class Choice:
    """One thing decided for the next round: dotted hyperparameter -> value, and why."""

    path: str
    value: str
    why: str


@record
class Next:
    """Step 7."""

    kind: Literal["next"] = "next"
    go_on: bool
    choices: tuple[Choice, ...]
    spent_fraction: float


@record
class Invariance:
    """An augmentation admitted or refused by evidence.

    Attributes:
        name: such as horizontal flip.
        statement: such as "a picture and its mirror image show the same thing".
        admitted: whether it was.
        metric_without: validation metric of the network on untouched pictures.
        metric_with: of the same network on changed pictures, or of a training with it: `why` says which.
        why: one sentence.
    """

    name: str
    statement: str
    admitted: bool
    metric_without: float
    metric_with: float
    why: str


@record
class Invariances:
    """The invariances that were looked for (part of steps 5 and 6 on images)."""

    kind: Literal["invariances"] = "invariances"
    found: tuple[Invariance, ...]


@record
class TransferDecision:
    """Whether a pretrained network helps, by measurement (part of step 0 on pictures).

    Attributes:
        backbone: its name; empty where none is installed.
        taken: what the run does: freeze, tune_top, tune_all or from_scratch.
        why: in one sentence.
        action: what the notes' table says; empty where similarity was not measured.
        amount: little, much or plenty; likewise.
        samples_per_class: pictures to train on, divided by the classes.
        similarity: from 0 (another world) to 1, of a linear probe's accuracy above chance and a new network's; NaN
            where it was not measured.
        probe: held-out accuracy of the linear probe on fixed features.
        scratch: that of a small network trained from scratch at equal cost.
        chance: that of the commonest class.
        lead: of the probe, in standard errors of the difference, picture by picture.
        tried_on: pictures that both were trained on.
        held_out: pictures that both were judged on.
        pass_seconds: of the network over all pictures, estimated; 0 where no clock is read.
    """

    kind: Literal["transfer"] = "transfer"
    backbone: str
    taken: str
    why: str
    action: str = ""
    amount: str = ""
    samples_per_class: float = float("nan")
    similarity: float = float("nan")
    probe: float = float("nan")
    scratch: float = float("nan")
    chance: float = float("nan")
    lead: float = float("nan")
    tried_on: int = 0
    held_out: int = 0
    pass_seconds: float = 0.0


@record
class HeadPoint:
    """One output layer of a search.

    Attributes:
        lr: peak learning rate.
        weight_decay: decoupled.
        dropout: probability to DROP a feature.
        label_smoothing: in [0, 1).
        loss: mean held-out cross-entropy in nats.
        accuracy: held out, in [0, 1].
        folds: of the cross-validation that it was judged on.
    """

    lr: float
    weight_decay: float
    dropout: float
    label_smoothing: float
    loss: float
    accuracy: float
    folds: int


@record
class HeadGrid:
    """Step 4 on fixed features.

    Attributes:
        points: the best first.
        folds: of the cross-validation.
        repeats: of it.
        samples: that it was carried out on.
        interval: 95%, of the best point's accuracy.
    """

    kind: Literal["heads"] = "heads"
    points: tuple[HeadPoint, ...]
    folds: int
    repeats: int
    samples: int
    interval: Interval


Detail = (
    Look
    | TransferDecision
    | InitialLoss
    | SmallSample
    | LrSweep
    | HeadGrid
    | Grid
    | LearningCurves
    | Next
    | Invariances
)


@record
class Evidence:
    """One visit of one step.

    Attributes:
        step: 0 to 7.
        name: look, initial-loss, small-sample, find-lr, coarse-grid, refined-grid, learning-curves, next.
        visit: counts the visits of this step, from 1.
        passed: whether it did.
        verdict: one sentence that a student understands.
        seconds: it took (0 where no clock is read).
        numbers: name -> value, for whoever wants them.
        detail: what its pictures are drawn from.
        findings: what the rules say.
    """

    step: int
    name: str
    visit: int
    passed: bool
    verdict: str
    seconds: float
    numbers: dict[str, float | int] = field(default_factory=dict)
    detail: tuple[Detail, ...] = ()
    findings: tuple[Finding, ...] = ()
