"""Trials under the store's rule: each rung is done once, committed in one transaction, and read back ever after."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainwell.core.errors import ResumeError
from trainwell.core.files import file_sha256, writing
from trainwell.core.jsonio import from_json
from trainwell.core.protocols import Progress, Silent
from trainwell.core.records.trial import Metrics, TrialRecord, TrialSpec
from trainwell.search.rebuild import Factory
from trainwell.search.rung import RungResult, rung
from trainwell.store.folder import RunFolder
from trainwell.store.study import RungCommit, Study, TrialEntry


@dataclass
class Trials:
    """The trainings of one run.

    Attributes:
        folder: where checkpoints and metrics lie.
        study: the store.
        read_clock: whether rungs measure seconds.
        factory: of a network that exists only in Python.
        progress: told of each measurement.
    """

    folder: RunFolder
    study: Study
    read_clock: bool = True
    factory: Factory | None = None
    progress: Progress = field(default_factory=Silent)

    def clean(self) -> None:
        """Undo what a crash left: metrics that were not committed, checkpoints nothing goes on from, half files."""
        named = set()
        for entry in self.study.trials():
            path = self.folder.metrics(entry.spec.number)
            length = entry.rungs[-1].metrics_length if entry.rungs else 0
            if path.exists() and path.stat().st_size > length:
                with writing(path), path.open("r+b") as file:
                    file.truncate(length)
            if entry.rungs and entry.state in ("running", "completed"):
                named.add(entry.rungs[-1].checkpoint)
        for path in (*self.folder.checkpoints.iterdir(), *self.folder.path.glob(".*.tmp")):
            if path.name not in named:
                with writing(path):
                    path.unlink()

    def advance(
        self,
        spec: TrialSpec,
        until_step: int,
        *,
        stage: str,
        round: int,  # noqa: A002 - the word of the house
        total_steps: int | None = None,
        decay_from: int | None = None,
    ) -> RungCommit:
        """Bring a trial to a step, or read that it was brought there.

        Args:
            spec: what is trained.
            until_step: optimizer steps taken after.
            stage: which step of the recipe asks.
            round: which round, from 1.
            total_steps: length of the training, where an event has changed it.
            decay_from: first step of the tail, where an event has fixed it.
        Returns:
            The commit of the rung that ends there; of the last one where the training diverged before.
        Raises:
            ResumeError: the state to go on from is gone or damaged.
        """
        self.study.begin_trial(spec, stage=stage, round=round)
        entry = self.study.trial(spec.number)
        for commit in entry.rungs:
            if commit.until_step >= until_step or not commit.checkpoint:
                return commit
        before = entry.rungs[-1] if entry.rungs else None
        state = self._state(before)
        target = self.folder.checkpoint(spec.number, until_step)
        result = rung(
            spec,
            state,
            until_step,
            to=target,
            metrics_file=self.folder.metrics(spec.number),
            total_steps=total_steps,
            decay_from=decay_from,
            factory=self.factory,
            read_clock=self.read_clock,
            progress=self.progress,
        )
        commit = _commit(len(entry.rungs), until_step, result)
        self.study.commit_rung(spec.number, commit)
        if state is not None:
            state.unlink(missing_ok=True)
        return commit

    def end(self, numbers: Sequence[int], state: str) -> None:
        """Close trials; the checkpoints of those that were stopped or diverged go."""
        for number in numbers:
            self.study.end_trial(number, state)
            if state != "completed":
                for commit in self.study.trial(number).rungs:
                    if commit.checkpoint:
                        (self.folder.checkpoints / commit.checkpoint).unlink(missing_ok=True)

    def state_of(self, number: int) -> Path:
        """The last checkpoint of a trial.

        Raises:
            ResumeError: it has none.
        """
        entry = self.study.trial(number)
        found = self._state(entry.rungs[-1] if entry.rungs else None)
        if found is None:
            raise ResumeError(f"Trial {number} has no checkpoint in {self.folder.checkpoints}. Start a new run.")
        return found

    def record(self, number: int) -> TrialRecord:
        """A trial with its measurements."""
        return trial_record(self.folder, self.study.trial(number))

    def _state(self, commit: RungCommit | None) -> Path | None:
        if commit is None or not commit.checkpoint:
            return None
        path = self.folder.checkpoints / commit.checkpoint
        if not path.is_file():
            raise ResumeError(f"A run goes on from its checkpoints, but {path} is gone. Start a new run.")
        if file_sha256(path) != commit.sha256:
            raise ResumeError(
                f"A run goes on from its checkpoints, but {path} is not as it was written: it was changed or damaged. "
                "Restore it, or start a new run."
            )
        return path


def trial_record(folder: RunFolder, entry: TrialEntry) -> TrialRecord:
    """A trial as the store and its metrics file have it."""
    length = entry.rungs[-1].metrics_length if entry.rungs else 0
    lines: list[Metrics] = []
    if length:
        with folder.metrics(entry.spec.number).open("rb") as file:
            lines = [from_json(Metrics, line) for line in file.read(length).splitlines()]
    return TrialRecord(
        spec=entry.spec,
        stage=entry.stage,
        round=entry.round,
        state=entry.state,
        metrics=tuple(lines),
        value=entry.rungs[-1].value if entry.rungs else float("inf"),
    )


def _commit(number: int, until_step: int, result: RungResult) -> RungCommit:
    last = result.metrics[-1] if result.metrics else None
    scores = None if last is None else (last.validation or last.train)
    return RungCommit(
        number=number,
        until_step=until_step if last is None else last.step,
        checkpoint=result.checkpoint.name if result.checkpoint else "",
        sha256=result.sha256,
        metrics_length=result.metrics_length,
        value=float("inf") if scores is None or result.diverged else 1.0 - scores.metric,
        loss=float("inf") if scores is None or result.diverged else scores.loss,
    )
