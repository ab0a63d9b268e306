"""store/study.py: what was decided stays decided."""

import math
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy

from trainwell.core.errors import StoreError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters
from trainwell.core.records.trial import Score, TrialSpec
from trainwell.store.study import RungCommit, Study, _speaking, coordinates, sqlite_url


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], Study]:
    """Opens the same store anew, as a resumed run does."""
    return lambda: Study(sqlite_url(tmp_path / "study.sqlite"), "run")


def spec(number: int = 0, *, data: str = "/somewhere/data", width: int = 64) -> TrialSpec:
    return TrialSpec(
        number=number,
        data=data,
        fingerprint="abc",
        hyperparameters=Hyperparameters(architecture=Architecture(name="mlp", width=width)),
        total_steps=30,
        decay_from=20,
        seed=2**63 - 1,
        threads=1,
    )


def commit(number: int = 0, *, until_step: int = 10, value: float = 0.25) -> RungCommit:
    return RungCommit(
        number=number,
        until_step=until_step,
        checkpoint=f"trial-{until_step}",
        sha256="00",
        metrics_length=7,
        value=value,
        loss=0.1 + 0.2,
    )


def test_once_does_a_thing_once_across_reopenings(opened: Callable[[], Study]) -> None:
    done: list[int] = []

    def work() -> Score:
        done.append(1)
        return Score(loss=math.nan, metric=0.1 + 0.2)

    for _ in range(3):
        study = opened()
        for _ in range(2):
            assert repr(study.once("a/1", Score, work)) == repr(Score(loss=math.nan, metric=0.1 + 0.2))
    assert len(done) == 1
    assert opened().names() == ("a/1",)


def test_a_thing_that_fails_is_not_done(opened: Callable[[], Study]) -> None:
    study = opened()
    with pytest.raises(ZeroDivisionError, match="division"):
        study.once("a", float, lambda: 1 / 0)
    assert not study.known("a")
    assert opened().once("a", float, lambda: 2.0) == 2.0


def test_decisions_come_back_in_order_with_text_and_reason(opened: Callable[[], Study]) -> None:
    study = opened()
    for number in range(12):
        study.write(f"n{number}", number, text="chose {value}" if number % 2 else "", why="because")
    assert opened().decisions() == study.decisions()
    assert [each.text for each in study.decisions()] == [f"chose {number}" for number in (1, 3, 5, 7, 9, 11)]
    assert [each.number for each in study.decisions()] == [1, 3, 5, 7, 9, 11]
    assert opened().names() == tuple(f"n{number}" for number in range(12))
    with pytest.raises(KeyError, match="never"):
        study.read("never", int)


def test_text_of_any_kind_survives(opened: Callable[[], Study]) -> None:
    words = "quote \" backslash \\ newline \n σ 😀 '; DROP TABLE trials; --" + "x" * 100_000
    opened().write("a", words, text=words)
    assert opened().read("a", str) == words
    assert opened().decisions()[0].text == words


def test_elapsed_is_the_latest_written(tmp_path: Path) -> None:
    clock = iter([1.5, 4.0])
    study = Study(sqlite_url(tmp_path / "s.sqlite"), "run", elapsed=lambda: next(clock))
    study.write("a", 1)
    study.write("b", 1)
    assert Study(sqlite_url(tmp_path / "s.sqlite"), "run").elapsed == 4.0


def test_a_trial_is_begun_once_and_comes_back_whole(opened: Callable[[], Study]) -> None:
    study = opened()
    for number in range(3):
        study.begin_trial(spec(number), stage="coarse", round=1)
    study.begin_trial(spec(1), stage="coarse", round=1)
    again = opened()
    again.begin_trial(spec(1), stage="coarse", round=1)
    assert [entry.spec for entry in again.trials()] == [spec(0), spec(1), spec(2)]
    assert [entry.state for entry in again.trials()] == ["running"] * 3
    assert again.trial(2).stage == "coarse"


def test_another_training_under_a_number_is_refused(opened: Callable[[], Study]) -> None:
    opened().begin_trial(spec(0), stage="coarse", round=1)
    with pytest.raises(StoreError, match="Trial 0 of the store is another training than the one asked for now"):
        opened().begin_trial(spec(0, width=65), stage="coarse", round=1)
    with pytest.raises(StoreError, match="another training"):
        opened().begin_trial(replace(spec(0), fingerprint="abd"), stage="coarse", round=1)


def test_the_folder_of_runs_may_move(opened: Callable[[], Study]) -> None:
    opened().begin_trial(spec(0), stage="coarse", round=1)
    opened().begin_trial(spec(0, data="moved/data"), stage="coarse", round=1)
    assert len(opened().trials()) == 1


def test_rungs_come_back_in_order_bit_for_bit(opened: Callable[[], Study]) -> None:
    study = opened()
    study.begin_trial(spec(0), stage="kept", round=1)
    commits = tuple(commit(number, until_step=10 * (number + 1)) for number in range(11))
    for each in commits:
        study.commit_rung(0, each)
    assert opened().trial(0).rungs == commits


def test_a_rung_that_was_written_twice_counts_once(opened: Callable[[], Study]) -> None:
    # A kill between the two writes of a commit is followed by the same commit again.
    study = opened()
    study.begin_trial(spec(0), stage="kept", round=1)
    study._storage.set_trial_intermediate_value(study._trial_ids[0], 10, 0.25)
    assert opened().trial(0).rungs == ()
    again = opened()
    again.commit_rung(0, commit())
    assert opened().trial(0).rungs == (commit(),)


@pytest.mark.parametrize(("state", "value"), [("completed", 0.2), ("stopped", 0.2), ("diverged", math.inf)])
def test_trials_end_once(opened: Callable[[], Study], state: str, value: float) -> None:
    study = opened()
    study.begin_trial(spec(0), stage="coarse", round=1)
    study.commit_rung(0, commit(value=value))
    study.end_trial(0, state)
    again = opened()
    again.end_trial(0, "completed")
    assert opened().trial(0).state == state
    assert opened().trial(0).rungs[0].value == value


def test_wal_is_on_and_commits_are_synced(tmp_path: Path, opened: Callable[[], Study]) -> None:
    study = opened()
    study.write("a", 1)
    with study._storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30000
    other = sqlite3.connect(tmp_path / "study.sqlite")
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_the_study_is_optunas_own(tmp_path: Path, opened: Callable[[], Study]) -> None:
    import optuna

    study = opened()
    study.begin_trial(spec(0), stage="coarse", round=1)
    study.commit_rung(0, commit())
    study.end_trial(0, "completed")
    loaded = optuna.load_study(study_name="run", storage=f"sqlite:///{tmp_path}/study.sqlite")
    assert loaded.best_value == 0.25
    assert loaded.best_params == coordinates(spec(0))
    assert coordinates(spec(0))["optimization.lr"] == 1e-3


def test_another_databases_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "s.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(
        StoreError, match=r"^The store sqlite:///.*s\.sqlite refused: file is not a database\."
    ) as refused:
        Study(sqlite_url(tmp_path / "s.sqlite"), "run")
    assert "\n" not in str(refused.value)


def refused_by_the_database() -> None:
    with _speaking("postgresql://me:secret@host/db"):
        raise sqlalchemy.exc.SQLAlchemyError("gone")


def test_a_password_is_never_said() -> None:
    with pytest.raises(StoreError, match=r"postgresql://me:\*\*\*@host/db refused: gone") as refused:
        refused_by_the_database()
    assert "secret" not in str(refused.value)


def test_a_full_disk_is_one_sentence_and_what_was_written_stays(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from trainwell.core.errors import StoreError
from trainwell.store.study import Study, sqlite_url
study = Study(sqlite_url(Path({str(tmp_path / "s.sqlite")!r})), "run")
study.write("a", "kept")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(100):
        study.write(f"n{{number}}", "x" * 50_000)
except StoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.count("\n") == 1
    assert "refused: " in done.stdout
    assert "What was written before is whole" in done.stdout
    again = Study(sqlite_url(tmp_path / "s.sqlite"), "run")
    assert again.read("a", str) == "kept"
    again.write("after", 1)
