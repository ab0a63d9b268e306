"""What is known of a training beyond its steps."""

from dataclasses import field

from trainwell.core.records.dependence import InputDependence, PositionDependence, Randomness, SampleDependence
from trainwell.core.records.evaluation import EvaluationSeen
from trainwell.core.records.evidence import InitialLoss
from trainwell.core.records.loading import FurtherLabels, WorkerRandomness
from trainwell.core.records.record import record


@record
class Afterwards:
    """What its networks told when they were run once more.

    Attributes:
        starts: the section `initial_loss` of each network of the first step.
        samples: the section `samples`, where it could be told.
        positions: the section `positions`, likewise.
        inputs: the section `inputs`, likewise.
        randomness: the section `randomness`, likewise.
        workers: the section `workers`, likewise.
        further_labels: the section `further_labels`, likewise.
        evaluation: the section `evaluation`, likewise.
        reasons: why a section could not be told.
    """

    starts: tuple[InitialLoss, ...] = ()
    samples: SampleDependence | None = None
    positions: PositionDependence | None = None
    inputs: InputDependence | None = None
    randomness: Randomness | None = None
    workers: WorkerRandomness | None = None
    further_labels: FurtherLabels | None = None
    evaluation: EvaluationSeen | None = None
    reasons: dict[str, str] = field(default_factory=dict)
