"""search/trials.py and rung.py: a rung is done once, and a crash in it leaves nothing that counts."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainwell.core.errors import DataError, ResumeError
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters, Optimization, Regularization
from trainwell.core.records.trial import TrialSpec
from trainwell.data.dataset import Dataset
from trainwell.data.prepare import prepare
from trainwell.search.rung import measured_at
from trainwell.search.trials import Trials
from trainwell.store.folder import RunFolder, create_run, furnish
from trainwell.store.study import Study, sqlite_url

LENGTH = 30


@pytest.fixture(scope="session")
def dataset(small_table: Any, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare(small_table, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def spec_of(dataset: Dataset) -> Callable[..., TrialSpec]:
    def make(number: int = 0, *, lr: float = 3e-3, parts: tuple[str, ...] = ("train",)) -> TrialSpec:
        return TrialSpec(
            number=number,
            data=str(dataset.folder),
            fingerprint=dataset.record.fingerprint,
            hyperparameters=Hyperparameters(
                architecture=Architecture(name="mlp", width=16, depth=2, members=2),
                regularization=Regularization(weight_decay=1e-2, dropout=0.1, label_smoothing=0.1),
                optimization=Optimization(lr=lr, batch_size=16, averaging=0.2),
            ),
            total_steps=LENGTH,
            decay_from=15,
            seed=3,
            threads=1,
            parts=parts,  # type: ignore[arg-type]  # names of parts
        )

    return make


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = create_run(tmp_path, "run")
    furnish(made)
    return made


def opened(folder: RunFolder) -> Trials:
    """As a new process opens it."""
    trials = Trials(folder, Study(sqlite_url(folder.study), folder.name), read_clock=False)
    trials.clean()
    return trials


def names(folder: RunFolder) -> list[str]:
    return sorted(entry.name for entry in folder.checkpoints.iterdir())


@pytest.mark.parametrize("stops", [(10, 20), (1, 2, 29), (17,)])
def test_rungs_add_up_to_the_whole_training_bit_for_bit(
    tmp_path: Path, folder: RunFolder, spec_of: Callable[..., TrialSpec], stops: tuple[int, ...]
) -> None:
    other = create_run(tmp_path, "whole")
    furnish(other)
    whole = opened(other).advance(spec_of(), LENGTH, stage="kept", round=1)
    for stop in (*stops, LENGTH):
        last = opened(folder).advance(spec_of(), stop, stage="kept", round=1)
    assert last.sha256 == whole.sha256
    assert last.value == whole.value
    assert names(folder) == [f"trial-0000-step-{LENGTH:08d}.safetensors"]
    assert opened(folder).record(0).metrics[-1].step == LENGTH


def test_a_rung_that_was_done_is_read(folder: RunFolder, spec_of: Callable[..., TrialSpec]) -> None:
    first = opened(folder).advance(spec_of(), 10, stage="coarse", round=1)
    before = (folder.checkpoints / first.checkpoint).stat().st_mtime_ns
    assert opened(folder).advance(spec_of(), 10, stage="coarse", round=1) == first
    assert (folder.checkpoints / first.checkpoint).stat().st_mtime_ns == before


def test_a_kill_between_rename_and_commit_leaves_what_clean_removes(
    folder: RunFolder, spec_of: Callable[..., TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(folder).advance(spec_of(), 10, stage="kept", round=1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Study, "commit_rung", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(folder).advance(spec_of(), 20, stage="kept", round=1)
    assert len(names(folder)) == 2
    assert folder.metrics(0).stat().st_size > first.metrics_length
    (folder.checkpoints / ".trial-0000-step-00000030.safetensors.tmp").write_bytes(b"half")
    (folder.path / ".report.html.x1.tmp").write_bytes(b"half")
    again = opened(folder)
    assert not (folder.path / ".report.html.x1.tmp").exists()
    assert names(folder) == [first.checkpoint]
    assert folder.metrics(0).stat().st_size == first.metrics_length
    second = again.advance(spec_of(), 20, stage="kept", round=1)
    assert names(folder) == [second.checkpoint]
    assert [line.step for line in again.record(0).metrics] == sorted({line.step for line in again.record(0).metrics})


def test_a_kill_between_commit_and_tidying_leaves_what_clean_removes(
    folder: RunFolder, spec_of: Callable[..., TrialSpec]
) -> None:
    trials = opened(folder)
    first = trials.advance(spec_of(), 10, stage="kept", round=1)
    kept = (folder.checkpoints / first.checkpoint).read_bytes()
    second = trials.advance(spec_of(), 20, stage="kept", round=1)
    (folder.checkpoints / first.checkpoint).write_bytes(kept)
    opened(folder)
    assert names(folder) == [second.checkpoint]


@pytest.mark.parametrize("damage", ["flipped", "gone", "truncated"])
def test_a_damaged_checkpoint_is_never_gone_on_with(
    folder: RunFolder, spec_of: Callable[..., TrialSpec], damage: str
) -> None:
    first = opened(folder).advance(spec_of(), 10, stage="kept", round=1)
    path = folder.checkpoints / first.checkpoint
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(data) if damage == "flipped" else bytes(data[:-10]))
    with pytest.raises(ResumeError, match=r"^A run goes on from its checkpoints, but .*new run\.$"):
        opened(folder).advance(spec_of(), 20, stage="kept", round=1)


def test_a_training_that_diverges_says_so_and_is_not_gone_on_with(
    folder: RunFolder, spec_of: Callable[..., TrialSpec]
) -> None:
    trials = opened(folder)
    commit = trials.advance(spec_of(lr=1e30), LENGTH, stage="coarse", round=1)
    assert commit.value == math.inf
    assert commit.checkpoint == ""
    assert opened(folder).advance(spec_of(lr=1e30), LENGTH, stage="coarse", round=1) == commit
    trials.end([0], "diverged")
    assert opened(folder).record(0).state == "diverged"
    with pytest.raises(ResumeError, match="has no checkpoint"):
        trials.state_of(0)


def test_checkpoints_of_stopped_trials_go_and_those_of_completed_ones_stay(
    folder: RunFolder, spec_of: Callable[..., TrialSpec]
) -> None:
    trials = opened(folder)
    for number in range(2):
        trials.advance(spec_of(number), 10, stage="coarse", round=1)
    trials.end([0], "stopped")
    trials.end([1], "completed")
    assert names(folder) == ["trial-0001-step-00000010.safetensors"]
    assert opened(folder).state_of(1).is_file()


def test_metrics_are_measured_on_what_was_not_trained_on(folder: RunFolder, spec_of: Callable[..., TrialSpec]) -> None:
    trials = opened(folder)
    trials.advance(spec_of(0), LENGTH, stage="coarse", round=1)
    trials.advance(spec_of(1, parts=("train", "validation")), LENGTH, stage="kept", round=1)
    assert all(line.validation is not None for line in trials.record(0).metrics)
    assert all(line.validation is None and line.train is not None for line in trials.record(1).metrics)
    assert all(line.seconds == 0.0 for line in trials.record(0).metrics)


def test_other_data_than_was_planned_for_is_refused(folder: RunFolder, spec_of: Callable[..., TrialSpec]) -> None:
    with pytest.raises(DataError, match="must find the data it was planned for"):
        opened(folder).advance(replace(spec_of(), fingerprint="another"), 10, stage="coarse", round=1)


@pytest.mark.parametrize(("steps", "epoch"), [(30, 7), (1000, 7), (3, 100), (100000, 50)])
def test_a_training_is_measured_a_few_times_and_at_its_end(
    spec_of: Callable[..., TrialSpec], steps: int, epoch: int
) -> None:
    wanted = measured_at(replace(spec_of(), total_steps=steps), epoch)
    at = [step for step in range(1, steps + 1) if wanted(step)]
    assert at[-1] == steps
    assert 1 <= len(at) <= 33
