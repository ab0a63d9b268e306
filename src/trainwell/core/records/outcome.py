"""What the test part said, once."""

from trainwell.core.records.record import record

Interval = tuple[float, float]


@record
class ClassFigures:
    """One class on the test part. Precision or recall is NaN where nothing was predicted or nothing was there."""

    name: str
    samples: int
    precision: float
    recall: float
    recall_interval: Interval


@record
class Mistake:
    """One confident mistake.

    Attributes:
        sample: index in the data.
        source: file or row.
        truth: class name, or value.
        predicted: class name, or value.
        probability: given to the prediction (classification; NaN otherwise).
        picture: a PNG's name in the evidence folder, empty for tables.
    """

    sample: int
    source: str
    truth: str
    predicted: str
    probability: float
    picture: str = ""


@record
class CalibrationBin:
    """The test samples of which the network was about as sure.

    Attributes:
        confidence: mean probability of what it said, in [0, 1].
        right: share in which that was so, in [0, 1].
        count: samples, >= 1.
        interval: 95%, Wilson's, of `right`.
    """

    confidence: float
    right: float
    count: int
    interval: Interval


@record
class Outcome:
    """The final network on the test part. Whatever speaks of probabilities does so after the temperature.

    Attributes:
        metric: accuracy or r2.
        value: of the metric.
        interval: 95%: Wilson's for accuracy, bootstrap for R².
        n: test samples.
        loss: cross-entropy in nats, of probabilities at `temperature` (that of trials is without one), or standardized
            mean squared error.
        confusion: rows truth, columns prediction, in the order of the classes (classification; else empty).
        classes: figures of each class (classification; else empty).
        mistakes: the most confident ones first.
        truth: a sample of at most 500 true values (regression, first target; else empty).
        predicted: the same samples' predictions.
        calibration_error: expected calibration error over 15 bins (classification; NaN otherwise).
        rmse: root mean squared error of each target in its own units (regression; else empty).
        temperature: what logits were divided by; 1 where none was fitted.
        calibration: those of 15 equal bins of confidence that hold samples, the least sure first (classification; else
            empty).
    """

    metric: str
    value: float
    interval: Interval
    n: int
    loss: float
    confusion: tuple[tuple[int, ...], ...] = ()
    classes: tuple[ClassFigures, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    truth: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()
    calibration_error: float = float("nan")
    rmse: tuple[float, ...] = ()
    temperature: float = 1.0
    calibration: tuple[CalibrationBin, ...] = ()
