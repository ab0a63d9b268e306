"""The study: trials, and everything that was decided, in Optuna's relational storage.

A run is a pure function of what is written here. Whatever costs work or reads a clock is asked for through `once`: the
first time it is done and written down; after a crash it is read. So resuming is running again, and what was decided
stays decided.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import GenericAlias
from typing import Any, Literal, TypeVar

from trainwell.core.errors import StoreError
from trainwell.core.jsonio import from_json, to_json, to_plain
from trainwell.core.records.record import record
from trainwell.core.records.run import Decision
from trainwell.core.records.trial import TrialSpec

T = TypeVar("T")

DECISION = "trainwell:decision:"
RUNG = "trainwell:rung:"
SPEC = "trainwell:spec"


@record
class RungCommit:
    """What one transaction says of a finished rung.

    Attributes:
        number: of the rung in its trial, from 0.
        until_step: optimizer steps taken.
        checkpoint: the state's file name in `checkpoints/`.
        sha256: of that file.
        metrics_length: bytes of the trial's metrics file that count.
        value: validation error, Infinity where the training diverged.
        loss: validation loss.
    """

    number: int
    until_step: int
    checkpoint: str
    sha256: str
    metrics_length: int
    value: float
    loss: float


@record
class TrialEntry:
    """One trial as the store has it.

    Attributes:
        spec: what is trained.
        stage: which step asked for it.
        round: which round, from 1.
        rungs: finished ones.
        state: how it ended.
    """

    spec: TrialSpec
    stage: str
    round: int
    rungs: tuple[RungCommit, ...] = ()
    state: Literal["running", "completed", "stopped", "diverged"] = "running"


class Study:
    """The store of one run. Only the process that runs `fit` writes it.

    Args:
        url: SQLAlchemy's, such as sqlite:////path/study.sqlite.
        name: of the study.
        elapsed: seconds the run has taken so far, written beside each decision; constant 0 where no clock is read.
    Raises:
        StoreError: the database cannot be opened.
    """

    def __init__(self, url: str, name: str, *, elapsed: Callable[[], float] = lambda: 0.0) -> None:
        self._storage, self._study = _open(url, name)
        self._elapsed = elapsed
        with _speaking(url):
            attributes = self._storage.get_study_user_attrs(self._study)
            self._trial_ids = {
                trial.number: trial._trial_id for trial in self._storage.get_all_trials(self._study, deepcopy=False)
            }
        self._url = url
        entries = sorted(
            (int(key.removeprefix(DECISION)), value) for key, value in attributes.items() if key.startswith(DECISION)
        )
        self._decisions: dict[str, Any] = {value["name"]: value | {"number": number} for number, value in entries}

    @property
    def elapsed(self) -> float:
        """Seconds the run had taken when the last decision was written."""
        return max((float(entry["elapsed"]) for entry in self._decisions.values()), default=0.0)

    def once(
        self, name: str, kind: type[T] | GenericAlias, compute: Callable[[], T], *, text: str = "", why: str = ""
    ) -> T:
        """Do something once in the life of the run.

        Args:
            name: where in the recipe it is done; unique, the same on every resume.
            kind: of the result: a record, a number, a tuple or dict of them.
            compute: does it.
            text: one sentence for `decisions.jsonl`; `{value}` stands for the result. Empty: not told there.
            why: the reason.
        Returns:
            The result, as read back from its JSON.
        """
        if name not in self._decisions:
            self.write(name, compute(), text=text, why=why)
        return self.read(name, kind)

    def read(self, name: str, kind: type[T] | GenericAlias) -> T:
        """What was done before.

        Raises:
            KeyError: it was not.
        """
        return from_json(kind, json.dumps(self._decisions[name]["value"]))

    def known(self, name: str) -> bool:
        """Whether this was done before."""
        return name in self._decisions

    def names(self) -> tuple[str, ...]:
        """Names of all that was done, in order."""
        return tuple(self._decisions)

    def write(self, name: str, value: Any, *, text: str = "", why: str = "") -> None:
        """Write a decision in one transaction."""
        number = len(self._decisions)
        plain = to_plain(value)
        entry = {
            "name": name,
            "value": plain,
            "text": text.replace("{value}", json.dumps(plain)),
            "why": why,
            "elapsed": self._elapsed(),
        }
        with _speaking(self._url):
            self._storage.set_study_user_attr(self._study, f"{DECISION}{number}", entry)
        self._decisions[name] = entry | {"number": number}

    def decisions(self) -> tuple[Decision, ...]:
        """What was decided and why, in order, of all that has a sentence."""
        return tuple(
            Decision(number=entry["number"], name=name, text=entry["text"], why=entry["why"])
            for name, entry in self._decisions.items()
            if entry["text"]
        )

    def begin_trial(self, spec: TrialSpec, *, stage: str, round: int) -> None:  # noqa: A002 - the word of the house
        """Write a trial down; nothing where it was before.

        Raises:
            StoreError: the store has another trial under this number.
        """
        import optuna

        if spec.number in self._trial_ids:
            found = self.trial(spec.number)
            # Where the data lies may have changed with the folder of runs; what it is, the fingerprint says.
            if replace(found.spec, data=spec.data) != spec:
                raise StoreError(
                    f"Trial {spec.number} of the store is another training than the one asked for now. "
                    "This run was written by another version of trainwell; start a new one."
                )
            return
        params = coordinates(spec)
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=params,
            distributions={
                name: optuna.distributions.FloatDistribution(value, value) for name, value in params.items()
            },
            user_attrs={SPEC: {"spec": to_plain(spec), "stage": stage, "round": round}},
        )
        with _speaking(self._url):
            trial_id = self._storage.create_new_trial(self._study, template_trial=template)
        self._trial_ids[spec.number] = trial_id

    def commit_rung(self, trial: int, commit: RungCommit) -> None:
        """Write a finished rung: the one transaction that makes it count."""
        with _speaking(self._url):
            # The value is for Optuna's own tools. Written first: what makes the rung count is the attribute.
            self._storage.set_trial_intermediate_value(self._trial_ids[trial], commit.until_step, commit.value)
            key = f"{RUNG}{commit.number}"
            self._storage.set_trial_user_attr(self._trial_ids[trial], key, to_plain(commit))

    def end_trial(self, trial: int, state: str) -> None:
        """Close a trial: completed, stopped or diverged."""
        import optuna

        states = {
            "completed": optuna.trial.TrialState.COMPLETE,
            "stopped": optuna.trial.TrialState.PRUNED,
            "diverged": optuna.trial.TrialState.FAIL,
        }
        entry = self.trial(trial)
        if entry.state != "running":
            return
        values = [entry.rungs[-1].value] if state != "diverged" and entry.rungs else None
        with _speaking(self._url):
            self._storage.set_trial_state_values(self._trial_ids[trial], states[state], values)

    def trial(self, number: int) -> TrialEntry:
        """One trial."""
        with _speaking(self._url):
            return _entry(self._storage.get_trial(self._trial_ids[number]))

    def trials(self) -> tuple[TrialEntry, ...]:
        """All trials in the order of their numbers."""
        with _speaking(self._url):
            found = self._storage.get_all_trials(self._study, deepcopy=False)
        return tuple(_entry(trial) for trial in found)


def coordinates(spec: TrialSpec) -> dict[str, float]:
    """A trial's numeric hyperparameters by dotted name: what Optuna's own tools show."""
    found: dict[str, float] = {}
    for chapter, settings in to_plain(spec.hyperparameters).items():
        if isinstance(settings, dict):
            for name, value in settings.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    found[f"{chapter}.{name}"] = float(value)
    return found


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's URL of a SQLite file."""
    return f"sqlite:///{path}"


def _entry(trial: Any) -> TrialEntry:
    import optuna

    names: dict[Any, Literal["running", "completed", "stopped", "diverged"]] = {
        optuna.trial.TrialState.RUNNING: "running",
        optuna.trial.TrialState.COMPLETE: "completed",
        optuna.trial.TrialState.PRUNED: "stopped",
        optuna.trial.TrialState.FAIL: "diverged",
    }
    about = trial.user_attrs[SPEC]
    rungs = sorted(
        (int(key.removeprefix(RUNG)), value) for key, value in trial.user_attrs.items() if key.startswith(RUNG)
    )
    return TrialEntry(
        spec=from_json(TrialSpec, json.dumps(about["spec"])),
        stage=about["stage"],
        round=about["round"],
        rungs=tuple(from_json(RungCommit, json.dumps(value)) for _, value in rungs),
        state=names[trial.state],
    )


def _open(url: str, name: str) -> tuple[Any, int]:
    import optuna
    import sqlalchemy

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.close()

    sqlite = url.startswith("sqlite")
    with _speaking(url):
        # The storage connects while it is made, so the event must be there before its engine is.
        if sqlite:
            sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", prepare)
        try:
            storage = optuna.storages.RDBStorage(url)
        finally:
            if sqlite:
                sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", prepare)
        if sqlite:
            sqlalchemy.event.listen(storage.engine, "connect", prepare)
        try:
            return storage, storage.get_study_id_from_name(name)
        except KeyError:
            return storage, storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], name)


class _speaking:
    """Turn the database's refusal into one sentence."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import optuna
        import sqlalchemy

        if isinstance(error, sqlalchemy.exc.SQLAlchemyError | optuna.exceptions.StorageInternalError):
            origin = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
            detail = str(getattr(origin, "orig", None) or origin or error).splitlines()[0]
            place = sqlalchemy.engine.make_url(self.url).render_as_string(hide_password=True)
            raise StoreError(
                f"The store {place} refused: {detail}. What was written before is whole; "
                "make room or permission, then go on with --resume."
            ) from error


def record_line(value: Any) -> bytes:
    """A record as one line of a JSON-lines file."""
    return (to_json(value) + "\n").encode()
