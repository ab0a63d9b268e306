"""trainwell check: what it says of scripts, and how it ends."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from trainwell.cli import main as program

EXAMPLES = Path(__file__).parents[2] / "examples" / "broken"


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Check = Callable[..., Said]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Check:
    """Runs the program in this process; scripts have their own."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")

    def call(*arguments: str, cwd: Path) -> Said:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["trainwell", "check", *arguments])
        with pytest.raises(SystemExit) as left:
            program.main()
        return Said(int(left.value.code or 0), *capfd.readouterr())

    return call


def line_of(script: str, text: str) -> int:
    lines = (EXAMPLES / script).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize(
    ("script", "code", "text"),
    [
        ("softmax_before_cross_entropy.py", "ACT006", "torch.softmax"),
        ("forgotten_zero_grad.py", "OPT008", "optimizer.step"),
        ("broadcast_loss.py", "OPT016", "mse_loss"),
        ("frozen_layers.py", "OPT006", "relu(layer"),
        ("view_for_transpose.py", "DEP001", "loss = criterion"),
        ("missing_causal_mask.py", "DEP002", "loss = nn.functional"),
    ],
)
def test_broken_examples(check: Check, script: str, code: str, text: str) -> None:
    done = check(script, cwd=EXAMPLES)
    assert done.returncode == 1
    assert done.stderr == ""
    assert f"error {code} " in done.stdout
    assert f"{script}:{line_of(script, text)}" in done.stdout
    assert "1 finding in " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("script", "code", "place"),
    [("learning_rate.py", "OPT002", ""), ("unscaled_input.py", "DAT003", "unscaled_input.py:")],
)
def test_what_must_be_tried_to_be_known(check: Check, script: str, code: str, place: str) -> None:
    done = check(script, cwd=EXAMPLES)
    assert done.returncode == 1
    assert done.stderr == ""
    assert f"warning {code} " in done.stdout
    assert place in done.stdout
    assert " optimizer steps, taken " in done.stdout
    done = check(script, "--once", "-v", cwd=EXAMPLES)
    # What happened is told all the same: that the network died, and not of what.
    assert f"warning {code} " not in done.stdout
    assert "the script was to be run once" in done.stdout


HEALTHY = """
import argparse, torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, required=True)
steps = parser.parse_args().steps
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(steps):
    optimizer.zero_grad()
    x = torch.randn(16, 4)
    nn.CrossEntropyLoss()(model(x), x[:, :3].argmax(dim=1)).backward()
    optimizer.step()
raise ValueError("afterwards")
"""


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(HEALTHY)
    return path


def test_nothing_is_said_of_what_is_healthy(check: Check, healthy: Path) -> None:
    done = check("train.py", "--", "--steps", "400", cwd=healthy.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Nothing wrong in 300 optimizer steps")
    assert len(done.stdout.splitlines()) <= 2


def test_an_exception_after_the_first_steps_is_shown_with_what_was_heard(check: Check, healthy: Path) -> None:
    done = check("train.py", "-v", "--", "--steps", "4", cwd=healthy.parent)
    assert done.returncode == 0
    assert "Nothing wrong in 4 optimizer steps" in done.stdout
    assert done.stderr.endswith("ValueError: afterwards\n")
    assert "REG001  not measured: curves" in done.stdout


def test_json_is_one_object_and_nothing_else(check: Check) -> None:
    done = check("broadcast_loss.py", "--json", cwd=EXAMPLES)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["schema"], found["headline"]) == (1, "OPT016")
    assert 30 <= found["steps"] <= 300
    finding = found["findings"][0]
    assert finding["where"] == {
        "layer": None,
        "file": "broadcast_loss.py",
        "line": line_of("broadcast_loss.py", "mse_"),
    }
    assert finding["evidence"] == {"outputs": 50, "targets": 50, "compared": 2500}
    assert {each["code"] for each in found["not_run"]} > {"SCH001", "REG001"}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--ignore", "opt016"), 0),
        (("--select", "OPT016, ACT006", "--fail-on", "error"), 1),
        (("--fail-on", "never"), 0),
    ],
)
def test_which_rules_are_asked_and_what_counts(check: Check, options: tuple[str, ...], status: int) -> None:
    assert check("broadcast_loss.py", "--steps", "3", *options, cwd=EXAMPLES).returncode == status


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.py",), "none.py does not exist. Give the path of a Python file."),
        (("train.py", "--epochs", "3"), 'no option "--epochs": put the script\'s options after --.'),
        (("train.py", "--fail-on", "errors"), 'but got "errors". Did you mean "error"?'),
        (("train.py", "--format", "jsn"), 'but got "jsn". Did you mean "json"?'),
        (("train.py", "--budget", "20steps"), "The budget of a check is a time"),
        (("train.py", "--select", "OPT06"), 'there is none "OPT06". Did you mean "OPT016"?'),
        (("train.py",), "train.py exited with status 2 before the first. Give its arguments after --."),
        (("train.py", "--", "--steps", "0"), "raised the exception above before the first."),
        (("-m", "no.such.module"), "no.such.module raised the exception above before the first."),
    ],
)
def test_a_mistake_is_one_sentence(check: Check, healthy: Path, arguments: tuple[str, ...], said: str) -> None:
    done = check(*arguments, cwd=healthy.parent)
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("trainwell: ")
    assert said in last
    assert "trainwell/" not in done.stderr


def test_a_comment_keeps_a_rule_from_speaking_of_a_line(check: Check, tmp_path: Path) -> None:
    text = (EXAMPLES / "broadcast_loss.py").read_text()
    line = next(line for line in text.splitlines() if "mse_loss" in line)
    (tmp_path / "train.py").write_text(text.replace(line, f"{line}  # trainwell: ignore[OPT008, OPT016]"))
    done = check("train.py", "--steps", "3", cwd=tmp_path)
    assert done.returncode == 0
    assert "1 more are ignored by comments" in done.stdout
    (tmp_path / "train.py").write_text(text.replace(line, f"{line}  # trainwell: ignore[OPT008]"))
    assert check("train.py", "--steps", "3", cwd=tmp_path).returncode == 1


def test_annotations_for_github(check: Check) -> None:
    done = check("broadcast_loss.py", "--steps", "3", "--format", "github", cwd=EXAMPLES)
    assert done.returncode == 1
    [line] = done.stdout.splitlines()
    number = line_of("broadcast_loss.py", "mse_")
    assert line.startswith(f"::error file=broadcast_loss.py,line={number},title=OPT016 broadcast-loss::The squared ")
    assert "%0ARemedy: Give both one shape" in line


@pytest.mark.parametrize(
    ("table", "status", "said"),
    [
        ('ignore = ["OPT016", "DAT009"]', 0, ""),
        ('select = ["OPT016"]\nfail-on = "error"\nsteps = 4', 1, "1 finding in 4 optimizer steps"),
        ('fail-on = "never"', 0, ""),
        ('ignored = ["OPT016"]', 2, 'has no key "ignored". Did you mean "ignore"?'),
        ('ignore = ["opt016", "dat009"]', 0, ""),
        ("steps = true", 2, "`steps` of [tool.trainwell.check]"),
        ('ignore = "OPT016"', 2, "`ignore` of [tool.trainwell.check]"),
        ("= 3", 2, "A configuration must be TOML"),
    ],
)
def test_settings_of_pyproject(check: Check, tmp_path: Path, table: str, status: int, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.trainwell.check]\n{table}\n")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "train.py").write_text((EXAMPLES / "broadcast_loss.py").read_text())
    done = check("train.py", cwd=tmp_path / "scripts")
    assert done.returncode == status
    assert said in done.stdout + done.stderr
