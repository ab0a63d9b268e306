"""One training as plain JSON, and what its rungs measured."""

from typing import Literal

from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.record import record

Precision = Literal["float32", "bfloat16"]


@record
class HeldOut:
    """A fold of the training and validation parts together that takes the validation part's place.

    Attributes:
        fold: which one, from 0.
        folds: how many there are, >= 2.
        seed: of their dealing.
    """

    fold: int
    folds: int
    seed: int


@record
class TrialSpec:
    """Everything a worker needs to rebuild a training.

    Attributes:
        number: of the trial in its study, from 0.
        data: folder of the prepared data.
        fingerprint: the data's, checked when it is opened.
        hyperparameters: the point.
        total_steps: length of the training in optimizer steps.
        decay_from: first step of the decay tail; `total_steps` where there is none (a rung that may be continued).
        seed: of initialization, order, augmentation and dropout.
        threads: of torch, set before the first tensor.
        precision: of the forward pass.
        device: cpu, cuda, cuda:1, mps.
        parts: what is trained on.
        model_sha256: of the user's model file, or empty.
        held_out: what is validated on instead of the validation part, and the rest of both parts trained on; or None.
    """

    number: int
    data: str
    fingerprint: str
    hyperparameters: Hyperparameters
    total_steps: int
    decay_from: int
    seed: int
    threads: int
    precision: Precision = "float32"
    device: str = "cpu"
    parts: tuple[Literal["train", "validation"], ...] = ("train",)
    model_sha256: str = ""
    held_out: HeldOut | None = None


@record
class Score:
    """How good a network is on one part of the data.

    Attributes:
        loss: mean cross-entropy in nats, or mean squared error of standardized targets.
        metric: accuracy in [0, 1], or R² (at most 1).
    """

    loss: float
    metric: float


@record
class Metrics:
    """What one line of a trial's metrics file holds: the state of a training after `step` steps.

    Attributes:
        step: optimizer steps taken.
        epoch: passes over the training part, a fraction.
        lr: learning rate of the last step.
        train_loss: mean of the optimized loss since the last line (with regularization and augmentation).
        train: score in test mode on as many training samples as validation has (None where not measured).
        validation: score in test mode (None where it was not measured).
        seconds: of training since the last line; 0 where no clock is read.
    """

    step: int
    epoch: float
    lr: float
    train_loss: float
    train: Score | None = None
    validation: Score | None = None
    seconds: float = 0.0


@record
class TrialRecord:
    """One trial of a study.

    Attributes:
        spec: what was trained.
        stage: which step of the recipe asked for it: small-sample, coarse, refined, noise, final.
        round: which round, from 1.
        state: completed, stopped (its rung did not promote it), diverged.
        metrics: one a measurement.
        value: validation error that the search minimizes: 1 - accuracy, or 1 - R²; Infinity where it diverged.
    """

    spec: TrialSpec
    stage: str
    round: int
    state: Literal["running", "completed", "stopped", "diverged"]
    metrics: tuple[Metrics, ...]
    value: float
