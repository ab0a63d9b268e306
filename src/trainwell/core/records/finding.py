"""What a rule says."""

from dataclasses import field
from typing import Literal

from trainwell.core.records.record import record

Severity = Literal["error", "warning", "info"]


@record
class Where:
    """Where a finding points: a layer's dotted name, a file, a line; whatever is known."""

    layer: str | None = None
    file: str | None = None
    line: int | None = None


@record
class Remedy:
    """A change that mends it.

    Attributes:
        text: one sentence a person can follow.
        change: which hyperparameters it sets: dotted path -> JSON value; empty where it is the user's to do.
        proven: whether a fork showed it.
    """

    text: str
    change: dict[str, str | float | int | bool] = field(default_factory=dict)
    proven: bool = False


@record
class Finding:
    """One thing that a rule found.

    Attributes:
        code: such as ACT002.
        name: such as dead-relu.
        severity: error: proven from the run; warning: shown to cost loss beyond the noise; info: convention.
        message: one sentence with the number that says so.
        evidence: the numbers.
        cause: one sentence.
        remedies: smallest first.
        where: what it points to.
    """

    code: str
    name: str
    severity: Severity
    message: str
    evidence: dict[str, float] = field(default_factory=dict)
    cause: str = ""
    remedies: tuple[Remedy, ...] = ()
    where: Where = Where()
