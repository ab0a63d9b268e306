"""core/files.py: files that are whole or absent, on full disks too."""

import errno
import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from trainwell.core.errors import StoreError
from trainwell.core.files import append_durably, file_sha256, reason, write_atomically, writing


def refusing(code: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def test_write_replaces_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"first, and longer")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_file_and_folder_are_synced_in_that_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def synced(handle: int) -> None:
        done.append("folder" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "file")
        sync(handle)

    def renamed(self: Path, to: Path) -> Path:
        done.append("rename")
        return rename(self, to)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    write_atomically(tmp_path / "a", b"x")
    assert done == ["file", "rename", "folder"]


@pytest.mark.parametrize(
    ("code", "why"), [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk quota is used up")]
)
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, why: str
) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", refusing(code))
    with pytest.raises(StoreError, match=rf"^{path} cannot be written: {why}\. What was there before is whole\.$"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_refused_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(Path, "replace", refusing(errno.EROFS))
    with pytest.raises(StoreError, match="the file system is read-only"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_file_larger_than_allowed_is_refused_by_the_system(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    script = f"""
        import resource
        from pathlib import Path
        from trainwell.core.errors import StoreError
        from trainwell.core.files import append_durably, write_atomically
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        path = Path({str(path)!r})
        for write in (write_atomically, append_durably):
            try:
                write(path, bytes(5000))
            except StoreError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=120
    )
    sentence = f"{path} cannot be written: the file would be larger than allowed. What was there before is whole."
    assert done.stdout.splitlines() == [sentence, sentence]
    assert path.read_bytes()[:3] == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_append_says_the_length(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert append_durably(path, b"one\n") == 4
    assert append_durably(path, b"two\n") == 8
    assert path.read_bytes() == b"one\ntwo\n"


def test_append_to_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines"
    append_durably(path, b"one\n")
    monkeypatch.setattr(os, "fsync", refusing(errno.ENOSPC))
    with pytest.raises(StoreError, match="the disk is full"):
        append_durably(path, b"two\n")
    assert path.read_bytes().startswith(b"one\n")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="a part of the path is a file"):
        write_atomically(tmp_path / "file" / "a", b"x")


def test_reasons_in_words() -> None:
    assert reason(OSError(errno.EACCES, "Permission denied")) == "permission is denied"
    assert reason(OSError(errno.EIO, "Input/output error")) == "input/output error"
    assert reason(OSError("odd")) == "odd"


def test_writing_lets_other_errors_through(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="a"), writing(tmp_path):
        raise KeyError("a")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
