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
    ],
)
def test_broken_examples(check: Check, script: str, code: str, text: str) -> None:
    done = check(script, cwd=EXAMPLES)
    assert done.returncode == 1
    assert done.stderr == ""
    assert f"error {code} " in done.stdout
    assert f"{script}:{line_of(script, text)}" in done.stdout
    assert "1 finding in 30 optimizer steps" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


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
    nn.CrossEntropyLoss()(model(torch.randn(16, 4)), torch.randint(0, 3, (16,))).backward()
    optimizer.step()
raise ValueError("afterwards")
"""


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(HEALTHY)
    return path


def test_nothing_is_said_of_what_is_healthy(check: Check, healthy: Path) -> None:
    done = check("train.py", "--", "--steps", "100", cwd=healthy.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Nothing wrong in 30 optimizer steps")
    assert len(done.stdout.splitlines()) <= 2


def test_an_exception_after_the_first_steps_is_shown_with_what_was_heard(check: Check, healthy: Path) -> None:
    done = check("train.py", "-v", "--", "--steps", "4", cwd=healthy.parent)
    assert done.returncode == 0
    assert "Nothing wrong in 4 optimizer steps" in done.stdout
    assert done.stderr.endswith("ValueError: afterwards\n")
    assert "INI004  not measured: initial loss" in done.stdout


def test_json_is_one_object_and_nothing_else(check: Check) -> None:
    done = check("broadcast_loss.py", "--json", cwd=EXAMPLES)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["schema"], found["headline"], found["steps"]) == (1, "OPT016", 30)
    [finding] = found["findings"]
    assert finding["where"] == {
        "layer": None,
        "file": "broadcast_loss.py",
        "line": line_of("broadcast_loss.py", "mse_"),
    }
    assert finding["evidence"] == {"outputs": 50, "targets": 50, "compared": 2500}
    assert {each["code"] for each in found["not_run"]} > {"INI001", "REG001"}


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
