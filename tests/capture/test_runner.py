"""capture/runner.py: scripts of every kind are run unchanged, and stopped."""

import sys
import time
from pathlib import Path

import pytest

from trainwell.capture.runner import FIRST, hear
from trainwell.core.errors import SettingError

LOOP = """
import sys, torch
from pathlib import Path
from torch import nn

model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(int(sys.argv[1])):
    optimizer.zero_grad()
    nn.functional.mse_loss(model(torch.randn(8, 3)), torch.zeros(8, 1)).backward()
    optimizer.step()
    Path("steps.txt").write_text(str(step + 1))
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train.py"
    path.write_text(LOOP)
    return path


def test_it_is_stopped_after_its_steps(script: Path) -> None:
    heard = hear("train.py", ["1000"], steps=7)
    assert heard.state == "stopped"
    assert heard.steps is not None
    assert heard.steps.taken == len(heard.steps.values) == 7
    [loss] = heard.steps.losses
    assert (loss.where.file, loss.where.line) == ("train.py", 10)
    # The step that stops it is its last line.
    assert (script.parent / "steps.txt").read_text() == "6"
    assert script.read_text() == LOOP


def test_after_the_first_thirty_steps_it_may_linger(script: Path) -> None:
    heard = hear("train.py", ["1000"], steps=1000, linger=0.0)
    assert heard.steps is not None
    assert (heard.state, heard.steps.taken) == ("stopped", FIRST)
    heard = hear("train.py", ["40"], steps=1000)
    assert heard.steps is not None
    assert (heard.state, heard.steps.taken) == ("ended", 40)


def test_a_module_is_run_as_python_does(script: Path) -> None:
    (script.parent / "package").mkdir()
    (script.parent / "package" / "__init__.py").write_text("")
    script.rename(script.parent / "package" / "train.py")
    heard = hear("package.train", ["2"], module=True)
    assert heard.state == "ended"
    assert heard.steps is not None
    assert heard.steps.taken == 2


@pytest.mark.parametrize(
    ("source", "state", "status", "error"),
    [
        ("print('nothing to train')", "ended", 0, ""),
        ("import sys; sys.exit()", "exited", 0, ""),
        ("import sys; sys.exit('usage: train DATA')", "exited", 1, "usage: train DATA"),
        ("import os; os._exit(3)", "exited", 3, ""),
        ("def main():\n    raise ValueError('no data')\n\nmain()", "raised", 0, "ValueError: no data"),
        ("def broken(:", "raised", 0, "SyntaxError: invalid syntax"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "silent", 0, ""),
        ("while True: print('x' * 1000000) or __import__('sys').exit()", "exited", 0, ""),
    ],
)
def test_scripts_that_do_not_train(script: Path, source: str, state: str, status: int, error: str) -> None:
    script.write_text(source)
    heard = hear("train.py", steps=3)
    assert (heard.state, heard.status) == (state, status)
    assert heard.error.splitlines()[-1:] == ([error] if error else [])
    if state == "raised" and "main" in source:
        assert "runpy" not in heard.error
        assert 'train.py", line 2, in main' in heard.error


def test_a_script_that_catches_everything_is_stopped_all_the_same(script: Path) -> None:
    body = "".join(f"    {line}\n" for line in LOOP.splitlines())
    script.write_text(f"while True:\n  try:\n{body}\n  except:\n    pass\n")
    heard = hear("train.py", ["1000"], steps=3)
    assert heard.state == "stopped"
    assert heard.steps is not None
    assert heard.steps.taken == 3


def test_a_script_that_takes_too_long_is_stopped(script: Path) -> None:
    script.write_text("import time\nwhile True:\n    try:\n        time.sleep(60)\n    except:\n        pass\n")
    began = time.monotonic()
    heard = hear("train.py", seconds=1.0)
    assert time.monotonic() - began < 30
    assert heard.state == "stopped"
    assert heard.steps is not None
    assert heard.steps.taken == 0


def test_workers_do_not_outlive_it(script: Path) -> None:
    script.write_text(
        LOOP.replace("for step", "loader = iter(torch.utils.data.DataLoader(range(10000), num_workers=2))\nfor step")
        .replace("torch.randn(8, 3)", "next(loader) + torch.randn(8, 3)")
        .replace("import sys, torch", "import sys, os, torch\nprint(os.getpid(), file=open('pid', 'w'))")
    )
    heard = hear("train.py", ["1000"], steps=3)
    assert heard.steps is not None
    assert heard.steps.taken == 3
    group = (script.parent / "pid").read_text().strip()
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    alive = [stat for stat in stats if stat.rsplit(")", 1)[1].split()[2] == group and ") Z" not in stat]
    assert alive == []


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("none.py", {}, "none.py does not exist"),
        (".", {}, "is a folder"),
        ("train.py", {"steps": 0}, "`steps >= 1`"),
        ("train.py", {"seconds": float("nan")}, "`seconds > 0`"),
    ],
)
def test_what_cannot_be_run_is_refused(script: Path, target: str, options: dict[str, float], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        hear(target, **options)  # type: ignore[arg-type]  # some are wrong


def test_it_runs_in_this_python(script: Path) -> None:
    script.write_text("import sys; raise SystemExit(sys.executable)")
    assert hear("train.py").error == sys.executable
