"""`kill -9` at any moment, then on again: the decisions and the weights of an undisturbed run, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainwell.models.backbones import available_backbones

ours = pytest.mark.skipif(not available_backbones(), reason="the extra `pretrained` is missing")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

WRAPPER = Path(__file__).with_name("killed.py")
PROGRAM = Path(sys.executable).with_name("trainwell")
NAME = "a"
Point = tuple[str, str, int, str]

CACHING: tuple[Point, ...] = (
    ("numpy:save", "targets", 1, "before"),
    ("numpy:savez", "-", 1, "before"),
    ("pathlib:Path.write_text", "encoder.json", 1, "after"),
    ("pathlib:Path.rename", ".building-", 1, "before"),
    ("pathlib:Path.rename", ".building-", 1, "after"),
)
BEGINNING: tuple[Point, ...] = (
    ("trainwell.recipe.fit:create_run", "-", 1, "after"),
    ("trainwell.recipe.fit:furnish", "-", 1, "after"),
    ("trainwell.recipe.fit:Study", "-", 1, "after"),
    ("pathlib:Path.replace", ".settings.json", 1, "before"),
    ("pathlib:Path.replace", ".settings.json", 1, "after"),
)
SMALL_SAMPLE: tuple[Point, ...] = (
    ("trainwell.recipe.overfit_small_sample:small_sample", "-", 1, "before"),
    ("trainwell.probes.small_sample:evaluate", "-", 3, "after"),
    ("trainwell.recipe.overfit_small_sample:small_sample", "-", 1, "after"),
    ("trainwell.store.study:Study.write", "evidence/2", 1, "after"),
)
COARSE: tuple[Point, ...] = (
    ("trainwell.search.rung:evaluate", "-", 1, "before"),
    ("trainwell.search.rung:append_durably", "-", 1, "after"),
    ("trainwell.store.study:Study.commit_rung", "-", 1, "before"),
    ("trainwell.store.study:Study.commit_rung", "-", 2, "after"),
    ("trainwell.store.study:Study.end_trial", "-", 1, "after"),
)
RENAMING: tuple[Point, ...] = (
    ("pathlib:Path.replace", "trial-", 1, "before"),
    ("pathlib:Path.replace", "trial-", 1, "after"),
    ("pathlib:Path.replace", "trial-", 2, "before"),
    ("pathlib:Path.replace", "trial-", 2, "after"),
    ("pathlib:Path.unlink", "trial-", 1, "before"),
)
REPORT: tuple[Point, ...] = (
    ("pathlib:Path.replace", ".model.json", 1, "before"),
    ("pathlib:Path.replace", ".result.json", 1, "after"),
    ("trainwell.report.page:render", "-", 1, "after"),
    ("pathlib:Path.replace", ".report.html.", 1, "before"),
    ("pathlib:Path.replace", ".report.html.", 1, "after"),
)
TRANSFER: tuple[Point, ...] = (
    ("pathlib:Path.replace", ".safetensors", 1, "before"),
    ("trainwell.store.study:Study.write", "evidence/0/2", 1, "before"),
    ("trainwell.data.features:append_durably", "-", 1, "before"),
    ("trainwell.data.features:append_durably", "-", 1, "after"),
    ("trainwell.recipe.head_grid:search_heads", "-", 1, "after"),
    ("trainwell.store.study:Study.write", "evidence/4/1", 1, "after"),
    ("trainwell.recipe.steps:save_model", "-", 1, "before"),
)
STAGES = {
    "caching": CACHING,
    "beginning": BEGINNING,
    "step 2": SMALL_SAMPLE,
    "coarse rung": COARSE,
    "rename": RENAMING,
    "report": REPORT,
}


class Case:
    """One kind of data, and how it is fitted."""

    def __init__(self, data: Path, options: tuple[str, ...]) -> None:
        self.data, self.options = data, options

    def arguments(self, runs: Path) -> list[str]:
        """To go on where the run can be resumed, else to begin."""
        if (runs / NAME / "settings.json").is_file():
            return ["fit", "--resume", NAME, "--runs", str(runs), "--quiet"]
        return ["fit", str(self.data), *self.options, "--name", NAME, "--runs", str(runs), "--quiet"]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def finish(case: Case, runs: Path) -> dict[str, Any]:
    """Run to the end, undisturbed: decisions, weights, and the result but for the moment it was begun."""
    done = subprocess.run(
        [str(PROGRAM), *case.arguments(runs)], env=environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    run = runs / NAME
    left = [str(path.relative_to(runs)) for path in runs.rglob("*") if ".tmp" in path.name or ".building-" in path.name]
    assert left == []
    lines = [json.loads(line) for line in (run / "decisions.jsonl").read_text().splitlines()]
    return {
        "decisions": [(line["name"], line["text"], line["why"]) for line in lines],
        "weights": (run / "model" / "model.safetensors").read_bytes(),
        "result": json.loads((run / "result.json").read_text()),
        "metrics": {path.name: path.read_bytes() for path in (run / "metrics").iterdir()},
        "checkpoints": {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()},
        "evidence": {
            str(path.relative_to(run)): path.read_bytes() for path in (run / "evidence").rglob("*") if path.is_file()
        },
    }


@pytest.fixture(scope="module")
def cases(picture_file: Path, table_file: Path, photographs: Path) -> dict[str, Case]:
    return {
        "photographs": Case(photographs, ("--budget", "600steps")),
        "table": Case(table_file, ("--target", "side", "--budget", "100steps")),
        "pictures": Case(picture_file, ("--budget", "60steps", "--model", "convnet")),
    }


@pytest.fixture(scope="module")
def undisturbed(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What an undisturbed run of a case leaves."""
    known: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in known:
            known[name] = finish(cases[name], tmp_path_factory.mktemp(name))
        return known[name]

    return of


def differing(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [part for part in wanted if found[part] != wanted[part]]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["table", "pictures"])
def test_killed_at_chosen_points(
    name: str,
    stage: str,
    cases: dict[str, Case],
    undisturbed: Callable[[str], dict[str, Any]],
    tmp_path: Path,
) -> None:
    kills = 0
    for where, match, at, when in STAGES[stage]:
        command = [sys.executable, str(WRAPPER), where, match, str(at), when, *cases[name].arguments(tmp_path)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        kills += done.returncode == -signal.SIGKILL
    assert kills >= 4
    assert differing(finish(cases[name], tmp_path), undisturbed(name)) == []


@ours
def test_killed_while_a_pretrained_network_is_used(
    cases: dict[str, Case], undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    wanted = undisturbed("photographs")
    taken = json.loads(wanted["evidence"]["evidence/00-look/visit-2.json"])["detail"][0]["taken"]
    assert taken == "freeze"
    for where, match, at, when in TRANSFER:
        command = [sys.executable, str(WRAPPER), where, match, str(at), when, *cases["photographs"].arguments(tmp_path)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600)
        assert done.returncode == -signal.SIGKILL, (where, done.stderr)
    assert differing(finish(cases["photographs"], tmp_path), wanted) == []


@ours
@pytest.mark.parametrize("most_bytes", [8_388_608])
def test_no_room_for_weights_or_features_is_one_sentence_and_with_room_again_it_goes_on(
    cases: dict[str, Case], undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path, most_bytes: int
) -> None:
    sentence = refused(cases["photographs"], tmp_path, most_bytes=most_bytes)
    assert any(words in sentence for words in ("larger than allowed", "File too large", "is full"))
    assert differing(finish(cases["photographs"], tmp_path), undisturbed("photographs")) == []


@pytest.mark.parametrize("name", ["table", "pictures"])
def test_killed_at_random_moments(
    name: str, cases: dict[str, Case], undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    wanted = undisturbed(name)
    draw = random.Random(0)
    for _ in range(6):
        command = [str(PROGRAM), *cases[name].arguments(tmp_path)]
        with subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as begun:
            # By its own processor time, so that a busy machine does not kill it always in its imports.
            until = draw.uniform(2.0, 7.0)
            while begun.poll() is None and processor_seconds(begun.pid) < until:
                time.sleep(0.02)
            begun.kill()
    assert differing(finish(cases[name], tmp_path), wanted) == []


def processor_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def refused(case: Case, runs: Path, *, most_bytes: int | None = None) -> str:
    """Run where the system refuses to write: the one sentence."""
    limit = None if most_bytes is None else f"ulimit -f {most_bytes // 1024}; "
    command = [str(PROGRAM), *case.arguments(runs)]
    if limit is not None:
        command = ["bash", "-c", limit + 'exec "$@"', "bash", *command]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith("trainwell: ")
    assert done.stderr.count("\n") == 1
    assert not (runs / NAME).exists() or (runs / NAME / "settings.json").is_file()
    return done.stderr


@pytest.mark.parametrize("most_bytes", [4096, 131_072, 262_144, 524_288])
def test_no_room_is_one_sentence_and_with_room_again_it_goes_on(
    cases: dict[str, Case], undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path, most_bytes: int
) -> None:
    sentence = refused(cases["table"], tmp_path, most_bytes=most_bytes)
    assert any(words in sentence for words in ("larger than allowed", "File too large", "disk I/O error", "is full"))
    assert differing(finish(cases["table"], tmp_path), undisturbed("table")) == []


@pytest.mark.parametrize("place", ["evidence/05-refined-grid", "evidence/08-test", "model", "report.html/x"])
def test_a_place_that_cannot_be_written_is_one_sentence_and_mended_it_goes_on(
    cases: dict[str, Case], undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path, place: str
) -> None:
    where, match, at, when = SMALL_SAMPLE[-1]
    command = [sys.executable, str(WRAPPER), where, match, str(at), when, *cases["table"].arguments(tmp_path)]
    subprocess.run(command, env=environment(), capture_output=True, timeout=600)
    blocking = tmp_path / NAME / place
    blocking.parent.mkdir(exist_ok=True)
    blocking.write_text("in the way")
    assert "trainwell: " in refused(cases["table"], tmp_path)
    assert blocking.read_text() == "in the way"
    blocking.unlink()
    if place.startswith("report.html"):
        blocking.parent.rmdir()
    assert differing(finish(cases["table"], tmp_path), undisturbed("table")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_sentence_and_mended_it_goes_on(
    cases: dict[str, Case], undisturbed: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    where, match, at, when = SMALL_SAMPLE[-1]
    command = [sys.executable, str(WRAPPER), where, match, str(at), when, *cases["table"].arguments(tmp_path)]
    subprocess.run(command, env=environment(), capture_output=True, timeout=600)
    run = tmp_path / NAME
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    run.chmod(0o555)
    sentence = refused(cases["table"], tmp_path)
    assert "permission is denied" in sentence or "readonly database" in sentence
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    run.chmod(0o755)
    assert differing(finish(cases["table"], tmp_path), undisturbed("table")) == []
