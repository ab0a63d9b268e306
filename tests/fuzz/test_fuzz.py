"""Valid inputs, mutated, through the real command line: it trains, or it says in one sentence why not.

One case alone: pytest tests/fuzz -k 'case[17]' -m slow. All that a case holds follows from its number.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NoReturn

import pytest
from fuzz_base import Case
from fuzz_cases import CASES, make_case

from trainwell.core.errors import TrainwellError
from trainwell.data.prepare import prepare

pytestmark = pytest.mark.slow

BUDGET = "30steps"
LEAST_SHARE = 0.3
IN_A_PROCESS = tuple(range(0, CASES, 15))
"""Cases that also run as a program of their own, as a user's would."""
VOID = frozenset({"meta", "img", "br"})


class Page(HTMLParser):
    """Every element is closed in order; nothing in it can run."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "embed", "form", "link", "base"), f"<{tag}> in the report"
        for name, value in attrs:
            assert not name.startswith("on"), f"{name}= in the report"
            assert "javascript:" not in (value or "").lower()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing in the report"
        assert self.open.pop() == tag, "elements of the report overlap"


def command(case: Case, runs: Path) -> list[str]:
    # Options of the case come last and win.
    return ["fit", case.arguments[0], f"--budget={BUDGET}", "--quiet", f"--runs={runs}", *case.arguments[1:]]


def check(case: Case, runs: Path, status: int, out: str, err: str) -> None:
    """What must hold however bad the input is."""
    told = f"case {case.number} ({', '.join(case.told)})"
    assert "Traceback" not in out + err, f"{told}: {err}"
    assert status in (0, 2), f"{told}: status {status}, {err}"
    left = sorted(path for path in runs.iterdir() if not path.name.startswith(".")) if runs.is_dir() else []
    for path in left:
        assert (path / "settings.json").is_file(), f"{told}: {path} is half-made"
    # The folder of converted weights holds no data.
    for path in (each for each in (runs / ".cache").glob("*") if each.name != "backbones"):
        assert (path / "data.json").is_file(), f"{told}: {path} is half-made"
    if status == 2:
        refused = case.options_changed and err.startswith("Usage: trainwell")
        one_sentence = err.startswith("trainwell: ") and len(err.splitlines()) == 1 and err.endswith("\n")
        assert refused or one_sentence, f"{told}: {err!r}"
        assert len(err) < 2000, f"{told}: {len(err)} characters are no sentence"
        assert out == "", f"{told}: {out!r}"
        return
    assert err == "", f"{told}: {err!r}"
    assert len(out.splitlines()) == 1, f"{told}: {out!r}"
    assert len(left) == 1, f"{told}: {left}"
    result = json.loads((left[0] / "result.json").read_text("utf-8"), parse_constant=_no_constant)
    assert result["test"]["n"] >= 1, told
    page = Page()
    page.feed((left[0] / "report.html").read_text("utf-8"))
    page.close()
    assert page.open == [], f"{told}: the report is not closed"
    assert (left[0] / "model" / "model.safetensors").is_file(), told


def _no_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def test_enough_cases_get_past_validation(tmp_path: Path) -> None:
    """A mutation that only ever breaks files would test the first check of each reader and nothing behind it."""
    past = 0
    for number in range(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        case = make_case(number, folder)
        target = tuple(each.removeprefix("--target=") for each in case.arguments if each.startswith("--target="))
        try:
            prepare(case.arguments[0], target=target, cache=folder / ".cache")
        except TrainwellError:
            continue
        past += 1
    assert CASES >= 300
    assert past >= LEAST_SHARE * CASES


@pytest.fixture(scope="session")
def server() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported the program, and forks for each case."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fuzz_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as started:
        yield started
        assert started.stdin is not None
        started.stdin.close()


@pytest.mark.parametrize("number", range(CASES))
def test_case(number: int, tmp_path: Path, server: subprocess.Popen[str]) -> None:
    folder, runs = tmp_path / "data", tmp_path / "runs"
    folder.mkdir()
    case = make_case(number, folder)
    out, err = tmp_path / "out", tmp_path / "err"
    job = {"arguments": command(case, runs), "folder": str(tmp_path), "out": str(out), "err": str(err)}
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(job) + "\n")
    server.stdin.flush()
    status = int(server.stdout.readline())
    check(case, runs, status, out.read_text("utf-8"), err.read_text("utf-8"))


@pytest.mark.parametrize("number", IN_A_PROCESS)
def test_case_as_a_program(number: int, tmp_path: Path) -> None:
    folder, runs = tmp_path / "data", tmp_path / "runs"
    folder.mkdir()
    case = make_case(number, folder)
    program = [str(Path(sys.executable).with_name("trainwell"))]
    done = subprocess.run(
        [os.fsencode(part) for part in (*program, *command(case, runs))],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        timeout=250,
    )
    check(case, runs, done.returncode, done.stdout.decode(), done.stderr.decode())
