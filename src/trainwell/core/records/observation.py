"""What was measured of a training, in named sections. Rules are pure functions of the sections they declare."""

from dataclasses import field
from typing import Literal

from trainwell.core.records.data import DataRecord
from trainwell.core.records.dependence import InputDependence, PositionDependence, Randomness, SampleDependence
from trainwell.core.records.evaluation import EvaluationSeen
from trainwell.core.records.evidence import InitialLoss, LearningCurves, Look, LrSweep, SmallSample
from trainwell.core.records.forks import Forks
from trainwell.core.records.loading import FurtherLabels, WorkerRandomness
from trainwell.core.records.record import record
from trainwell.core.records.steps import Steps

Section = Literal[
    "data",
    "look",
    "initial_loss",
    "small_sample",
    "lr_sweep",
    "steps",
    "samples",
    "positions",
    "inputs",
    "randomness",
    "workers",
    "further_labels",
    "evaluation",
    "forks",
    "curves",
]


@record
class Observation:
    """The sections that were filled; None where nothing was measured.

    Attributes:
        data: the data as read.
        look: the simple models on the same split.
        initial_loss: the untouched network on one batch: its loss against expectation, its layers.
        small_sample: the network made to learn a few batches by heart.
        lr_sweep: the loss against the learning rate.
        steps: the first optimizer steps of a training as they happened.
        samples: whether a sample's output depends on the others of its batch.
        positions: whether an output that predicts the next position sees it.
        inputs: whether any output depends on the inputs.
        randomness: what networks leave out at random in test mode.
        workers: whether the loader's workers draw the same random numbers.
        further_labels: classes of the samples that the steps did not reach.
        evaluation: a network's inputs in test mode, beside those of its training.
        forks: the first steps of a training again, with one thing changed.
        curves: a training to its end.
        reasons: why a section is None, where that is known.
    """

    data: DataRecord | None = None
    look: Look | None = None
    initial_loss: InitialLoss | None = None
    small_sample: SmallSample | None = None
    lr_sweep: LrSweep | None = None
    steps: Steps | None = None
    samples: SampleDependence | None = None
    positions: PositionDependence | None = None
    inputs: InputDependence | None = None
    randomness: Randomness | None = None
    workers: WorkerRandomness | None = None
    further_labels: FurtherLabels | None = None
    evaluation: EvaluationSeen | None = None
    forks: Forks | None = None
    curves: LearningCurves | None = None
    reasons: dict[str, str] = field(default_factory=dict)
