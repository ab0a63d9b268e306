"""A run's folder: where everything lies, and who may write to it."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainwell.core.errors import ResumeError, SettingError, StoreError, suggestion
from trainwell.core.files import reason, writing

LOCK = ".lock"
BEGINNING = ("checkpoints", "evidence", "metrics", "data.json", "splits.npz")
"""What may lie in a run's folder, beside the store, before its settings are written."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def study(self) -> Path:
        """The store."""
        return self.path / "study.sqlite"

    @property
    def checkpoints(self) -> Path:
        """States of trainings."""
        return self.path / "checkpoints"

    @property
    def evidence(self) -> Path:
        """Records and pictures of each visit of a step."""
        return self.path / "evidence"

    def metrics(self, trial: int) -> Path:
        """The JSON-lines file of one trial."""
        return self.path / "metrics" / f"trial-{trial:04d}.jsonl"

    def checkpoint(self, trial: int, step: int) -> Path:
        """The state of one trial after `step` optimizer steps."""
        return self.checkpoints / f"trial-{trial:04d}-step-{step:08d}.safetensors"

    def step(self, number: int, name: str) -> Path:
        """The evidence of one step."""
        return self.evidence / f"{number:02d}-{name}"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.path / "model"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def result(self) -> Path:
        """The result."""
        return self.path / "result.json"


def check_name(name: str) -> str:
    """A run's name, if it can be one.

    Raises:
        SettingError: it could leave the folder of runs or confuse a shell.
    """
    if not NAME.fullmatch(name):
        raise SettingError(
            "A run's name must be 1 to 80 letters, digits, dots, dashes or underscores, the first "
            "a letter or digit, "
            f'but got "{name}". Choose another --name.'
        )
    return name


def free_name(runs: Path, stem: str) -> str:
    """The first of stem-1, stem-2, ... that is not taken."""
    clean = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:60] or "run"
    number = 1
    while (runs / f"{clean}-{number}").exists():
        number += 1
    return f"{clean}-{number}"


def create_run(runs: Path, name: str) -> RunFolder:
    """Make a new run's folder, empty; one that a kill left before the run had begun is taken over.

    Raises:
        SettingError: the name cannot be one, or is taken.
        StoreError: the operating system refuses.
    """
    path = runs / check_name(name)
    with writing(path):
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            if _unbegun(path):
                return RunFolder(path)
            raise _taken(path) from None
    return RunFolder(path)


def furnish(folder: RunFolder) -> None:
    """Make the folders of a run that begins, and remove what a kill left of its beginning. The run must be locked.

    Raises:
        StoreError: the operating system refuses.
    """
    if not _unbegun(folder.path):
        raise _taken(folder.path)
    with writing(folder.path):
        for left in folder.path.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
            elif left.name != LOCK:
                left.unlink()
        for part in (folder.checkpoints, folder.evidence, folder.path / "metrics"):
            part.mkdir()


def _taken(path: Path) -> SettingError:
    return SettingError(
        f'A run\'s name must be new, but "{path.name}" is in {path.parent} already. '
        f"Choose another --name, or go on with --resume {path.name}."
    )


def abandon(folder: RunFolder) -> None:
    """Remove the folder of a run that could not begin; one that can be resumed stays."""
    if _unbegun(folder.path):
        shutil.rmtree(folder.path, ignore_errors=True)


def _unbegun(path: Path) -> bool:
    # The settings are written last: without them there is nothing to go on with.
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else {"settings.json"}
    return all(name in BEGINNING or name.startswith((".", "study.sqlite")) for name in names)


def find_run(runs: Path, name: str) -> RunFolder:
    """A run by its folder, or by its name under `runs`.

    Raises:
        StoreError: there is none.
    """
    for path in (runs / name if NAME.fullmatch(name) else None, Path(name)):
        if path is not None and (path / "settings.json").is_file():
            return RunFolder(path)
    known = (
        sorted(entry.name for entry in runs.iterdir() if (entry / "settings.json").is_file()) if runs.is_dir() else []
    )
    hint = suggestion(name, known) if known else f"There are no runs in {runs}."
    raise StoreError(f'A run must exist to be used, but there is none at "{name}". {hint}')


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """Let one process at a time work on a run.

    Raises:
        ResumeError: another process works on it.
        StoreError: the operating system refuses.
    """
    path = folder.path / LOCK
    with writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResumeError(
                f'Only one process may work on a run, but "{folder.name}" has one. Wait for it.'
            ) from None
        except OSError as error:
            raise StoreError(f"{path} cannot be locked: {reason(error)}.") from error
        yield
    finally:
        os.close(handle)
