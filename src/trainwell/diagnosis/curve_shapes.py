"""The shape of a training's curves, in words: what step 6 says."""

import math
from dataclasses import dataclass
from typing import Literal

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import LearningCurves, Look
from trainwell.core.records.finding import Finding
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import trace
from trainwell.diagnosis.rules.table import RULES
from trainwell.diagnosis.wording import counted, number

Shape = Literal[
    "lost",
    "diverged",
    "oscillating",
    "flat start",
    "overfitting",
    "plateau",
    "decayed too early",
    "stopped too early",
    "underfitting",
    "healthy",
    "unclear",
    "too short",
]

LEAST_POINTS = 4
"""Epochs below which a curve has no shape: three points have a slope but no jitter to compare it with."""

COME_DOWN = 0.3
"""Share of its start by which a training loss must have come down to be called healthy where no rule speaks."""


@dataclass(frozen=True)
class CurveReading:
    """What the curves look like.

    Attributes:
        shape: the one that matters most.
        sentence: for a student, with the number that says so.
        findings: of the rules that see the shapes, those of the main one first.
    """

    shape: Shape
    sentence: str
    findings: tuple[Finding, ...] = ()


def read_curves(curves: LearningCurves, *, look: Look | None = None, data: DataRecord | None = None) -> CurveReading:
    """Name the shape of a training's curves.

    Every shape is a rule's: what is said here and what `diagnose` finds cannot differ. The unit of the loss and the
    position of the first epoch do not matter.

    Args:
        curves: of any length; NaN and Inf may occur.
        look: the simple models on the same split: without them a small network and a noisy target look the same.
        data: the data: what chance scores, and how many samples the scores are taken on.
    Returns:
        The reading; "too short" below 4 epochs unless the loss was lost.
    """
    observation = Observation(curves=curves, look=look, data=data)
    train, validation = trace(curves.train_loss), trace(curves.validation_loss)
    short = len(train) + train.lost < LEAST_POINTS
    seen = SHAPES if not short else {"OPT014": SHAPES["OPT014"]}
    found = [(shape, finding) for code, shape in seen.items() for finding in RULES[code](observation)]
    if found:
        shape, first = found[0]
        return CurveReading(shape, first.message, tuple(finding for _, finding in found))
    if short:
        epochs = counted(len(train) + train.lost, "point")
        return CurveReading("too short", f"The curves have {epochs} each: too few for a shape.")
    start = curves.start if math.isfinite(curves.start) else train.y[0]
    if start - train.level < COME_DOWN * abs(start):
        sentence = (
            f"Training loss has come down only from {number(start)} to {number(train.level)}, "
            "and the curves do not say why."
        )
        return CurveReading("unclear", sentence)
    sentence = (
        f"Training and validation loss fall to {number(train.level)} and {number(validation.level)} "
        "without a sign of trouble: healthy."
    )
    return CurveReading("healthy", sentence)


SHAPES: dict[str, Shape] = {
    "OPT014": "lost",
    "OPT001": "diverged",
    "OPT013": "oscillating",
    "SCH004": "flat start",
    "REG001": "overfitting",
    "SCH002": "decayed too early",
    "SCH003": "stopped too early",
    "SCH001": "plateau",
    "REG002": "underfitting",
}
"""Rule -> the shape that it sees, the one that matters most first."""
