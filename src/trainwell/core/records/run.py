"""One invocation of fit."""

from dataclasses import field
from typing import Literal

from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import Evidence, Yardstick
from trainwell.core.records.finding import Finding
from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.outcome import Interval, Outcome
from trainwell.core.records.record import record
from trainwell.core.records.trial import Precision, TrialRecord


@record
class Budget:
    """How much may be spent: seconds, or optimizer steps (then no clock is read). Exactly one is above 0."""

    seconds: float = 0.0
    steps: int = 0


@record
class Settings:
    """What the user asked for, and what was measured of the machine at the start: `settings.json` of a run.

    Attributes:
        data: what the user named.
        target: columns.
        budget: how much may be spent.
        seed: of everything.
        model: auto, a name, or file.py:function.
        device: resolved: cpu, cuda, mps.
        threads: of torch.
        precision: measured at the start, never decided again.
        engine: local.
        hardware: processor and memory in words.
        versions: library -> version.
        started: ISO 8601, UTC.
        model_sha256: of the user's model file, or empty.
    """

    data: str
    target: tuple[str, ...]
    budget: Budget
    seed: int
    model: str
    device: str
    threads: int
    precision: Precision
    engine: Literal["local"] = "local"
    hardware: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    started: str = ""
    model_sha256: str = ""


@record
class StepLine:
    """One visit of a step in `result.json`."""

    step: int
    passed: bool
    verdict: str
    seconds: float


@record
class TestLine:
    """The test part in `result.json`."""

    # pytest collects classes by this prefix.
    __test__ = False

    metric: str
    value: float
    interval: Interval
    n: int


@record
class Result:
    """`result.json`.

    Attributes:
        schema: 1.
        run: the run's name.
        headline: one sentence: what was reached, and what beats it where something does.
        learnable: whether the network found anything that holds on data it was not trained on.
        test: the metric on the test part, touched once.
        yardsticks: the simple models' figures.
        trials: how many trainings.
    """

    schema: Literal[1] = 1
    run: str
    task: str
    headline: str
    learnable: bool
    classes: tuple[str, ...]
    test: TestLine
    yardsticks: tuple[Yardstick, ...]
    seconds: float
    seed: int
    steps: tuple[StepLine, ...]
    findings: tuple[Finding, ...]
    best: Hyperparameters
    trials: int
    versions: dict[str, str]
    hardware: str


@record
class Decision:
    """One thing decided and why, in order: a line of `decisions.jsonl`."""

    number: int
    name: str
    text: str
    why: str


@record
class RunRecord:
    """Everything a report needs: what `store` reads of a run's folder, no live model.

    Attributes:
        name: the run's.
        folder: where its evidence pictures lie.
        settings: asked and measured.
        data: as read.
        evidence: visits in order.
        trials: all.
        decisions: in order.
        outcome: on the test part; None while the run goes on.
        result: None while the run goes on.
        final: number of the trial that was kept; None while the run goes on.
    """

    name: str
    folder: str
    settings: Settings
    data: DataRecord
    evidence: tuple[Evidence, ...]
    trials: tuple[TrialRecord, ...]
    decisions: tuple[Decision, ...]
    outcome: Outcome | None = None
    result: Result | None = None
    final: int | None = None
