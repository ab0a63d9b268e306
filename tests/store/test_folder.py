"""store/folder.py: names, and who may write to a run."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainwell.core.errors import ResumeError, SettingError, StoreError
from trainwell.store.folder import abandon, check_name, create_run, find_run, free_name, furnish, locked


@pytest.mark.parametrize(
    "name", ["../x", "", "a/b", "-a", "a" * 81, ".hidden", "a b", "a\n", "é", "a\0", "..", "a;b", "a\\b"]
)
def test_names_that_could_leave_the_folder_or_confuse_a_shell_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=r"(?s)^A run's name must be 1 to 80 letters.*Choose another --name\.$"):
        create_run(tmp_path / "runs", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "digits-1", "A.b_c-9", "0", "a" * 80])
def test_other_names_stand(name: str) -> None:
    assert check_name(name) == name


def test_free_names_count_on(tmp_path: Path) -> None:
    assert free_name(tmp_path, "digits") == "digits-1"
    (tmp_path / "digits-1").mkdir()
    assert free_name(tmp_path, "digits") == "digits-2"
    for stem in ("../../etc", "", "a b/ü", "-x-", "n" * 200):
        assert check_name(free_name(tmp_path, stem))


def test_a_begun_runs_name_is_taken(tmp_path: Path) -> None:
    folder = create_run(tmp_path, "a")
    furnish(folder)
    (folder.path / "settings.json").write_text("{}")
    with pytest.raises(SettingError, match=r'must be new, but "a" is in .* already.*--resume a\.$'):
        create_run(tmp_path, "a")
    with pytest.raises(SettingError, match="must be new"):
        furnish(folder)
    abandon(folder)
    assert folder.path.is_dir()


def test_what_a_kill_left_before_the_run_had_begun_is_taken_over(tmp_path: Path) -> None:
    folder = create_run(tmp_path, "a")
    furnish(folder)
    (folder.path / ".lock").touch()
    (folder.path / "study.sqlite").write_bytes(b"half")
    (folder.path / ".data.json.tmp").write_bytes(b"half")
    again = create_run(tmp_path, "a")
    furnish(again)
    assert sorted(entry.name for entry in again.path.iterdir()) == [".lock", "checkpoints", "evidence", "metrics"]
    abandon(again)
    assert not again.path.exists()


def test_a_folder_of_something_else_is_never_taken_over(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("years")
    with pytest.raises(SettingError, match="must be new"):
        create_run(tmp_path, "a")
    assert (tmp_path / "a" / "thesis.tex").read_text() == "years"


def test_runs_are_found_by_name_or_path_and_near_names_suggested(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There are no runs in"):
        find_run(tmp_path, "digits-1")
    folder = create_run(tmp_path, "digits-1")
    with pytest.raises(StoreError, match="There are no runs in"):
        find_run(tmp_path, "digits-1")
    (folder.path / "settings.json").write_text("{}")
    assert find_run(tmp_path, "digits-1") == folder
    assert find_run(tmp_path / "elsewhere", str(folder.path)) == folder
    with pytest.raises(StoreError, match=r'none at "digit-1"\. Did you mean "digits-1"\?$'):
        find_run(tmp_path, "digit-1")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    folder = create_run(tmp_path, "a")
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from trainwell.core.errors import ResumeError\n"
        "from trainwell.store.folder import RunFolder, locked\n"
        "try:\n    with locked(RunFolder(Path(sys.argv[1]))):\n        print('got it')\n"
        "except ResumeError as error:\n    print(error)\n"
    )

    def other() -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder.path)], capture_output=True, text=True, check=True, timeout=120
        )
        return done.stdout.strip()

    with locked(folder):
        assert other() == 'Only one process may work on a run, but "a" has one. Wait for it.'
        with pytest.raises(ResumeError, match="Only one process"), locked(folder):
            pass
    assert other() == "got it"


def test_a_file_where_the_runs_should_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"")
    with pytest.raises(StoreError, match=r"runs/a cannot be written: a part of the path is a file\."):
        create_run(tmp_path / "runs", "a")
