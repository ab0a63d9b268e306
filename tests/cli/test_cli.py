"""cli/: what the program says, and what it leaves alone, where it cannot do what was asked."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trainwell.cli import main as program
from trainwell.cli.budget import read_budget
from trainwell.core.errors import SettingError

Said = tuple[int, str, str]
COMMANDS = ("fit", "check", "watch", "find-lr", "predict", "export", "report", "runs", "rule")
EXECUTABLE = str(Path(sys.executable).with_name("trainwell"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the program in this process: exit status, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["trainwell", *arguments])
        status = 0
        try:
            program.main()
        except SystemExit as left:
            status = int(left.code or 0)
        out, err = capfd.readouterr()
        return status, out, err

    return call


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns(run: Callable[..., Said], command: str) -> None:
    status, out, err = run(command, "--help")
    assert (status, err) == (0, "")
    assert "Usage:" in out
    assert command in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert run(command, "-h")[1] == out


def test_the_programs_own_help_names_every_command_and_the_version(run: Callable[..., Said]) -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert all(command in out for command in COMMANDS)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run("--version")[1])


@pytest.mark.parametrize(
    ("option", "near"), [("--bugdet", "--budget"), ("--seeds", "--seed"), ("--nam", "--name"), ("--jsn", "--json")]
)
def test_an_unknown_option_names_the_near_one(run: Callable[..., Said], option: str, near: str) -> None:
    status, out, err = run("fit", "digits", option, "3")
    assert status == 2
    assert out == ""
    assert "No such option" in err
    assert near in err
    assert "Traceback" not in err


def test_an_unknown_command_is_refused(run: Callable[..., Said]) -> None:
    status, out, err = run("fti", "digits")
    assert status == 2
    assert out == ""
    assert "No such command" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--budget", "0"), r'A budget must be above 0, but got "0"'),
        (("--budget", "0steps"), "above 0"),
        (("--budget", "5 parsecs"), r'A budget is written 90s, 5m, 2h or 20000steps, but got "5 parsecs"'),
        (("--budget", "-5m"), "A budget is written"),
        (("--budget", "1.5steps"), "Steps are counted whole"),
        (("--name", "../x"), "A run's name must be"),
        (("--name", ""), "A run's name must be"),
        (("--name", "a/b"), "A run's name must be"),
        (("--seed", "-1"), "`seed >= 0` must hold, but got -1"),
        (("--model", "convnt"), r'Did you mean "convnet"\?'),
        (("--model", "mlp"), 'The model "mlp" is for tables'),
        (("--model", "nowhere.py:build"), r"The model file .*nowhere\.py cannot be read"),
        (("--device", "gpu"), "`device` must be auto, cpu, cuda or mps"),
        (("--device", "cuda:99"), "`device` cuda:99 must be there"),
        (("--target", "x"), "target"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_made(
    run: Callable[..., Said],
    tmp_path: Path,
    picture_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run("fit", str(picture_file), *arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("trainwell: ")
    assert err.count("\n") == 1
    assert re.search(sentence, err)
    made = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if ".cache" not in path.parts]
    assert made in ([], ["runs"])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ((), "`fit` needs DATA"),
        (("dogits",), r'Did you mean "digits"\?'),
        (("nowhere/at/all",), "Data must exist"),
        (("--resume", "digits-1"), "There are no runs in"),
        (("--resume", "../x"), "A run must exist"),
    ],
)
def test_missing_data_or_run(
    run: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run("fit", *data)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("trainwell: ")
    assert re.search(sentence, err)
    assert [path for path in tmp_path.rglob("*") if path.name != "runs"] == []


def test_a_file_where_the_runs_should_be(run: Callable[..., Said], tmp_path: Path, picture_file: Path) -> None:
    (tmp_path / "runs").write_text("")
    status, out, err = run("fit", str(picture_file), "--runs", str(tmp_path / "runs"))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("trainwell: ")
    assert (tmp_path / "runs").read_text() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "nothing", "a.png"),
        ("export", "nothing"),
        ("report", "nothing"),
        ("rule", "OPT01"),
        ("predict", ".", "a.png"),
    ],
)
def test_other_commands_are_refused_alike(
    run: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("trainwell: ")


def test_a_rule_is_explained_by_code_or_name(run: Callable[..., Said]) -> None:
    status, out, _ = run("rule", "opt010")
    assert status == 0
    assert out.startswith("OPT010 cannot-overfit-small-sample\n")
    assert run("rule", "cannot-overfit-small-sample")[1] == out


def test_no_runs_is_said(run: Callable[..., Said], tmp_path: Path) -> None:
    assert run("runs", "--runs", str(tmp_path / "none")) == (0, f"There are no runs in {tmp_path / 'none'}.\n", "")


def test_json_quiet_predict_report_and_runs(
    run: Callable[..., Said], tmp_path: Path, table_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--target", "side", "--budget", "60steps")
    status, out, err = run("fit", str(table_file), *options, "--name", "a", "--json")
    assert (status, err) == (0, "")
    stored = (tmp_path / "runs" / "a" / "result.json").read_text()
    assert out.strip() == stored.strip()
    result = json.loads(out)
    assert result["schema"] == 1
    assert result["run"] == "a"
    status, out, err = run("fit", str(table_file), *options, "--name", "b", "--quiet")
    assert (status, out, err) == (0, result["headline"] + "\n", "")
    status, out, err = run("fit", "--resume", "b")
    assert status == 0
    assert out.splitlines()[0] == result["headline"]
    assert "check the initial loss" in err
    status, out, err = run("fit", str(table_file), *options, "--name", "a")
    assert (status, out) == (2, "")
    assert 'must be new, but "a" is in runs already' in err
    page = tmp_path / "runs" / "a" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert run("report", "a") == (0, "runs/a/report.html\n", "")
    assert page.read_bytes() == before
    status, out, err = run("predict", "a", str(table_file), "--json")
    assert (status, err) == (0, "")
    made = json.loads(out)
    assert len(made) == 180
    assert set(made[0]) == {"row", "label", "probability"}
    assert {line["label"] for line in made} == {"left", "right"}
    status, out, _ = run("runs")
    assert status == 0
    assert out.count("finished") == 2


def test_ctrl_c_once_ends_cleanly_and_resume_comes_to_the_same_weights(
    tmp_path: Path, picture_file: Path, weights_hash: Callable[[Path], str]
) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def command(name: str) -> list[str]:
        return [EXECUTABLE, "fit", str(picture_file), "--budget", "150steps", "--name", name, "--runs", str(tmp_path)]

    with subprocess.Popen(
        command("a"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as begun:
        assert begun.stderr is not None
        lines = []
        for line in begun.stderr:
            lines.append(line)
            if "coarse grid" in line:
                break
        time.sleep(0.3)
        begun.send_signal(signal.SIGINT)
        out, err = begun.communicate(timeout=120)
    assert begun.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == (f"trainwell: interrupted. Go on with: trainwell fit --resume a --runs {tmp_path}")
    assert "Traceback" not in err
    resumed = subprocess.run(
        [EXECUTABLE, "fit", "--resume", "a", "--runs", str(tmp_path), "--quiet"],
        env=environment, capture_output=True, text=True, timeout=280, check=True,
    )  # fmt: skip
    subprocess.run([*command("b"), "--quiet"], env=environment, check=True, timeout=280, capture_output=True)
    assert resumed.stderr == ""
    assert weights_hash(tmp_path / "a") == weights_hash(tmp_path / "b")
    assert (tmp_path / "a" / "decisions.jsonl").read_bytes() == (tmp_path / "b" / "decisions.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90s", 90.0), ("90", 90.0), ("5m", 300.0), ("2h", 7200.0), ("1.5m", 90.0), (" 3 m ", 180.0)],
)
def test_budgets_in_seconds(text: str, wanted: float) -> None:
    assert read_budget(text) == {"budget_seconds": wanted}


@pytest.mark.parametrize("text", ["", "m", "5d", "1e3", "nan", "inf", "५m5", "5m30s", "0x10"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="A budget is written"):
        read_budget(text)
