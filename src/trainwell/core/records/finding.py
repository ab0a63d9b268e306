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
        proven: whether trainings with other seeds showed it: the finding is gone, and each loss is lower.
        patch: the change in the script's text, as a unified diff; empty where it is none of a line.
        loss_before: held-out loss without it, mean over the seeds; None where it was not tried or cannot be told.
        loss_after: likewise, with it.
        seeds: pairs of trainings that were compared.
        unproven: where it was tried and is not proven, why.
    """

    text: str
    change: dict[str, str | float | int | bool] = field(default_factory=dict)
    proven: bool = False
    patch: str = ""
    loss_before: float | None = None
    loss_after: float | None = None
    seeds: int = 0
    unproven: str = ""


@record
class Confirmed:
    """What a fork showed.

    Attributes:
        fork: what was changed, in words.
        loss_with: loss at the end of the first steps, with the change.
        loss_without: likewise, without.
        n: steps that both took.
    """

    fork: str
    loss_with: float
    loss_without: float
    n: int


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
        confirmed_by: a fork that supports the cause; None: it needs none, or there was none.
        follows_from: code of the finding whose consequence it is; None: of none.
    """

    code: str
    name: str
    severity: Severity
    message: str
    evidence: dict[str, float] = field(default_factory=dict)
    cause: str = ""
    remedies: tuple[Remedy, ...] = ()
    where: Where = Where()
    confirmed_by: Confirmed | None = None
    follows_from: str | None = None
