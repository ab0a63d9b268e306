"""What it sees: validation loss that rises while training loss falls, or a training score far above the validation
score.

Why it hurts: what is learnt from there on holds for the training samples alone; the network answers new ones worse,
or no better, and more confidently.

Evidence: the epoch from which the validation loss rises, and the rise against the curve's own jitter, against its
lowest level on that many samples and against all that the loss came down; the gap between training and validation
accuracy in points, with its 95% interval, as a share of what was learnt beyond chance. A network that knows its
training set by heart and is nearly as good on new samples is healthy: neither the gap nor the rise alone is
measured against a fixed accuracy.

Remedy: more weight decay, dropout, augmentation that the data admits, or a shorter training. Safe in small amounts;
too much shows as underfitting (REG002).

References: notes, Regularization ("training accuracy 50% above validation accuracy"); Goodfellow et al. 2016, Deep
Learning, section 5.2; Prechelt 1998, Early Stopping - But When?
"""

import math

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import LearningCurves, Look
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import drop, lowest, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.scores import SURE, chance, is_regression, samples_measured, score_error
from trainwell.diagnosis.wording import number, points

RISE = 0.1
"""Share of all that the validation loss came down which it must lose again, where it is not known on how many
samples it was measured, or on few."""

OF_LEVEL = 0.1
"""Rise as a share of the lowest level that counts where many samples make it certain."""

SAMPLE_ERRORS = 5.0
"""The same in units of level / sqrt(samples), about the standard error of a mean loss: single samples that are
answered wrongly with ever more confidence make the loss of a small validation part rise."""

LEARNT = 0.1
"""Share of its start by which a loss must have come down to have learnt anything: as in the small-sample rule."""

OF_START = 0.02
"""Share of the starting loss that the rise must exceed where nothing was learnt: such a network wavers by less."""

RISE_NOISES = 3.0
"""Rise in units of the validation loss's own jitter."""

LOST = 0.1
"""Share of what was learnt beyond chance that must be missing on validation, at the gap's lower end."""

GAP_ERRORS = 3.0
"""Standard errors down to that lower end. With the 1.96 of the printed interval 2 of 102 healthy trainings were
reported, both small regressions on an unlucky split; with 3 none."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Look for a rise of the validation loss, then for a gap between the scores."""
    curves = observation.curves
    if curves is None:
        return ()
    gap = _gap(curves, observation.look, observation.data)
    rise = _rise(curves, samples_measured(curves, observation.data))
    image = observation.data is not None and observation.data.input.kind == "image"
    sentences = []
    if rise:
        sentences.append(
            f"Validation loss rises from {curves.unit} {number(rise['epoch'])} "
            f"({number(rise['lowest'])} to {number(rise['end'])}) while training loss falls"
        )
    if gap and gap["lost_low"] > LOST:
        sentences.append(_gap_said(gap, regression=is_regression(curves, observation.data)))
    if not sentences:
        return ()
    message = " and ".join(sentences)
    message = f"{message[0].upper()}{message[1:]}: overfitting."
    cause = "The network learns the training samples by heart instead of what they have in common with new ones."
    return (
        RULE.finding(
            "warning",
            message,
            evidence=rise | gap,
            cause=cause,
            remedies=_remedies(rise, image=image, unit=curves.unit),
        ),
    )


def _rise(curves: LearningCurves, n: int) -> dict[str, float]:
    validation, train = trace(curves.validation_loss), trace(curves.train_loss)
    at, bottom = lowest(validation)
    after = len(validation) - 1 - at
    if after < 2:
        return {}
    rise = validation.level - bottom
    down = drop(validation, start=curves.start)
    falls = [y for x, y in zip(train.x, train.y) if x >= validation.x[at]]
    if not falls or falls[0] - train.level <= train.noise or falls[0] <= train.level:
        return {}
    start = curves.start if math.isfinite(curves.start) else validation.y[0]
    enough = RISE * down
    if n >= 1 and down > LEARNT * abs(start):
        enough = min(enough, max(OF_LEVEL, SAMPLE_ERRORS / math.sqrt(n)) * abs(bottom))
    else:
        enough = max(enough, OF_START * abs(start))
    if rise <= max(RISE_NOISES * validation.noise, enough):
        return {}
    return {
        "epoch": validation.x[at],
        "lowest": bottom,
        "end": validation.level,
        "rise": rise,
        "validation_noise": validation.noise,
        "last_epoch": validation.x[-1],
    }


def _gap(curves: LearningCurves, look: Look | None, data: DataRecord | None) -> dict[str, float]:
    n = samples_measured(curves, data)
    train, validation = trace(curves.train_metric).level, trace(curves.validation_metric).level
    if n < 1 or not math.isfinite(train) or not math.isfinite(validation):
        return {}
    regression = is_regression(curves, data)
    error = math.hypot(score_error(train, n, regression=regression), score_error(validation, n, regression=regression))
    gap, learnt = train - validation, train - chance(look, data)
    low, high = gap - SURE * error, gap + SURE * error
    lost = (gap - GAP_ERRORS * error) / learnt if learnt > 0 else -math.inf
    return {"gap": gap, "low": low, "high": high, "train": train, "validation": validation, "lost_low": lost}


def _gap_said(gap: dict[str, float], *, regression: bool) -> str:
    if regression:
        interval = f"95% interval {number(gap['low'])} to {number(gap['high'])}"
        return f"training R² is {number(gap['gap'])} above validation R² ({interval})"
    interval = f"95% interval {number(100 * gap['low'])} to {number(100 * gap['high'])}"
    return f"training accuracy is {points(gap['gap'])} above validation accuracy ({interval})"


def _remedies(rise: dict[str, float], *, image: bool, unit: str) -> tuple[Remedy, ...]:
    remedies = [
        Remedy(text="Triple the weight decay.", change={"regularization.weight_decay*": 3.0}),
        Remedy(text="Drop a fifth of the activations while training.", change={"regularization.dropout>": 0.2}),
    ]
    if image:
        remedies.append(
            Remedy(
                text="Train on shifted copies of the pictures, by up to 2 pixels, with squares cut out.",
                change={"augmentation.translate>": 2, "regularization.cutout>": 0.25},
            )
        )
    if rise and rise["epoch"] > 0:
        share = max(0.1, rise["epoch"] / rise["last_epoch"])
        text = f"Stop the training at about {unit} {number(rise['epoch'])}."
        remedies.append(Remedy(text=text, change={"total_steps*": round(share, 2)}))
    return tuple(remedies)


RULE = Rule(
    code="REG001",
    name="overfitting",
    needs=("curves",),
    reads=("look", "data"),
    find=find,
    page=__doc__ or "",
)
