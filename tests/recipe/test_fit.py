"""recipe/: the seven steps end to end on tiny data."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from trainwell.core.errors import DataError, ModelError, ResumeError, SettingError
from trainwell.core.records.evidence import Evidence
from trainwell.data.prepare import prepare
from trainwell.diagnosis.rules.optimization import cannot_overfit_small_sample
from trainwell.recipe.fit import FitResult, fit, resume
from trainwell.recipe.plan import SEVERAL_KINDS
from trainwell.recipe.predict import load_predictor
from trainwell.recipe.read_run import read_run
from trainwell.store.folder import RunFolder

STEPS = 150


@pytest.fixture(scope="module")
def pictures(small_pictures: Any, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(small_pictures, budget_steps=STEPS, runs=tmp_path_factory.mktemp("runs"), name="pictures")


@pytest.fixture(scope="module")
def table(small_table: Any, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(small_table, budget_steps=STEPS, runs=tmp_path_factory.mktemp("runs"), name="table")


def evidence_of(found: FitResult) -> tuple[Evidence, ...]:
    return found.record.evidence


@pytest.mark.parametrize("name", ["pictures", "table"])
def test_all_steps_leave_evidence_in_order_with_a_sentence(name: str, request: pytest.FixtureRequest) -> None:
    found: FitResult = request.getfixturevalue(name)
    steps = [each.step for each in evidence_of(found)]
    assert sorted(set(steps)) == list(range(8))
    assert [step for i, step in enumerate(steps) if step not in steps[:i]] == list(range(8))
    for each in evidence_of(found):
        assert each.verdict.endswith(".")
        assert "\n" not in each.verdict
        assert each.verdict[0].isupper() or each.verdict[0].isdigit()
        assert each.seconds == 0.0
        assert each.detail
        stored = found.folder / "evidence" / f"{each.step:02d}-{each.name}" / f"visit-{each.visit}.json"
        assert json.loads(stored.read_text())["verdict"] == each.verdict
    assert [line.verdict for line in found.result.steps] == [each.verdict for each in evidence_of(found)]
    assert [trial.spec.number for trial in found.record.trials] == list(range(len(found.record.trials)))
    assert all(trial.state != "running" for trial in found.record.trials)


@pytest.mark.parametrize("name", ["pictures", "table"])
def test_the_budget_in_steps_is_kept_and_no_clock_is_read(name: str, request: pytest.FixtureRequest) -> None:
    found: FitResult = request.getfixturevalue(name)
    spent = sum(trial.metrics[-1].step for trial in found.record.trials)
    # Every part has a smallest size, so that a very short budget is overdrawn.
    assert spent <= STEPS + 400
    assert found.result.seconds == 0.0
    assert all(line.seconds == 0.0 for trial in found.record.trials for line in trial.metrics)
    assert found.record.settings.precision == "float32"


@pytest.mark.parametrize("name", ["pictures", "table"])
def test_it_is_learnt_and_the_model_predicts(name: str, request: pytest.FixtureRequest) -> None:
    found: FitResult = request.getfixturevalue(name)
    inputs, labels = request.getfixturevalue(f"small_{name}")
    assert found.result.learnable
    assert found.result.test.value > 0.7
    made = found.model.predict(inputs[:40])
    again = load_predictor(found.folder).predict(inputs[:40])
    assert made == again
    right = [each.label == str(label) for each, label in zip(made, labels[:40], strict=True)]
    assert np.mean(right) > 0.7


def test_the_test_part_is_told_to_nobody_before_the_end(pictures: FitResult) -> None:
    look = evidence_of(pictures)[0].detail[0]
    assert all(each.test is None for each in look.yardsticks)  # type: ignore[union-attr]  # the detail of step 0
    assert all(each.test is not None for each in pictures.result.yardsticks)


def test_a_finished_run_resumed_is_the_same_run(table: FitResult, small_table: Any) -> None:
    before = {path: path.read_bytes() for path in table.folder.rglob("*.json*")}
    weights = (table.folder / "model" / "model.safetensors").read_bytes()
    again = resume("table", small_table, runs=table.folder.parent)
    assert again.result == table.result
    assert (table.folder / "model" / "model.safetensors").read_bytes() == weights
    assert {path: path.read_bytes() for path in table.folder.rglob("*.json*")} == before


def test_a_run_read_back_is_what_was_returned(table: FitResult) -> None:
    assert repr(read_run(RunFolder(table.folder))) == repr(table.record)


def test_data_in_memory_must_be_given_again_and_unchanged(table: FitResult, small_table: Any) -> None:
    with pytest.raises(ResumeError, match="was given data in memory: give the same data again"):
        resume("table", runs=table.folder.parent)
    changed = small_table[0].copy(), small_table[1]
    changed[0][0, 0] += 1
    with pytest.raises(ResumeError, match="A run goes on with the data it began with"):
        resume("table", changed, runs=table.folder.parent)


def test_two_processes_come_to_the_same_weights_and_decisions(
    table_file: Path, tmp_path: Path, weights_hash: Callable[[Path], str]
) -> None:
    script = (
        "import sys\nfrom trainwell.recipe.fit import fit\n"
        "fit(sys.argv[1], target='side', budget_steps=150, runs=sys.argv[2], name='same', seed=4)\n"
    )
    found = []
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", script, str(table_file), str(tmp_path / name)], check=True, timeout=280)
        run = tmp_path / name / "same"
        found.append((weights_hash(run), (run / "decisions.jsonl").read_bytes()))
    assert found[0] == found[1]
    assert found[0][1].count(b"\n") >= 8


def test_labels_unrelated_to_inputs_are_said_to_be_so(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    found = fit(
        (draw.normal(size=(600, 5)).astype(np.float32), draw.integers(0, 2, 600)), budget_steps=STEPS, runs=tmp_path
    )
    assert not found.result.learnable
    assert found.result.headline.startswith("Nothing here can be learnt that holds on new samples")


@pytest.mark.parametrize("targets", [1, 3])
def test_regression_end_to_end(tmp_path: Path, targets: int) -> None:
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(200, 4)).astype(np.float32)
    values = (rows @ draw.normal(size=(4, targets)) * 100 + 7 + draw.normal(size=(200, targets))).astype(np.float32)
    found = fit((rows, values), budget_steps=300, runs=tmp_path)
    assert found.result.task == "regression"
    assert found.result.learnable
    assert found.result.test.value > 0.5
    assert found.record.outcome is not None
    assert len(found.record.outcome.rmse) == targets
    made = found.model.predict(rows[:3])
    assert all(len(each.values) == targets for each in made)


def test_kinds_of_network_are_compared_at_equal_length_and_never_stopped_early(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    rows = draw.normal(size=(2_400, 4)).astype(np.float32)
    labels = (rows[:, 0] + draw.normal(size=len(rows)) > 0).astype(np.int64)
    budget = 500
    found = fit((rows, labels), budget_steps=budget, runs=tmp_path)
    compared = [trial for trial in found.record.trials if trial.stage == "refined"]
    depths = [trial.spec.hyperparameters.architecture.depth for trial in compared]
    assert len(set(depths)) == 2
    assert {trial.state for trial in compared} == {"completed"}
    (length,) = {trial.metrics[-1].step for trial in compared}
    assert length >= SEVERAL_KINDS.refined * budget / 2 * 0.9
    coarse = sum(trial.metrics[-1].step for trial in found.record.trials if trial.stage == "coarse")
    assert coarse < length
    (said,) = [each.text for each in found.record.decisions if each.name.startswith("kinds/")]
    assert "standard errors" in said


def test_the_seconds_of_the_visits_are_those_of_the_run(tmp_path: Path, small_table: Any) -> None:
    found = fit(small_table, budget_seconds=5.0, runs=tmp_path)
    lines = found.result.steps
    assert all(line.seconds > 0.0 for line in lines)
    trained = dict.fromkeys(("coarse", "refined"), 0.0)
    for trial in found.record.trials:
        if trial.stage in trained:
            trained[trial.stage] += sum(line.seconds for line in trial.metrics)
    for step, stage in ((4, "coarse"), (5, "refined")):
        assert sum(line.seconds for line in lines if line.step == step) >= trained[stage]
    assert sum(line.seconds for line in lines) <= found.result.seconds


@pytest.mark.parametrize("kind", ["table", "pictures"])
def test_classes_of_two_samples(tmp_path: Path, kind: str) -> None:
    draw = np.random.default_rng(3)
    labels = np.array([0] * 60 + [1] * 2 + [2] * 2)
    rows = draw.normal(size=(64, 3)).astype(np.float32) + labels[:, None]
    if kind == "pictures":
        rows = draw.integers(0, 256, (64, 6, 6, 3), dtype=np.uint8)
    found = fit((rows, labels), budget_steps=60, runs=tmp_path)
    assert found.result.classes == ("0", "1", "2")
    assert len(found.record.trials) > 3


def test_no_validation_part_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_table: Any) -> None:
    def without_validation(*args: Any, **options: Any) -> Any:
        dataset = prepare(*args, **options)
        parts = dict(dataset.parts)
        parts["train"] = np_sorted(parts["train"], parts["validation"])
        parts["validation"] = parts["validation"][:0]
        sizes = {part: len(index) for part, index in parts.items()}
        made = replace(dataset, parts=parts, record=replace(dataset.record, sizes=sizes))
        monkeypatch.setattr("trainwell.search.rebuild._opened", lambda *_: made)
        return made

    monkeypatch.setattr("trainwell.recipe.fit.prepare", without_validation)
    found = fit(small_table, budget_steps=60, runs=tmp_path)
    assert found.record.data.sizes["validation"] == 0 or found.result.test.n > 0
    x = np.random.default_rng(0).integers(0, 256, (60, 6, 6), dtype=np.uint8)
    assert fit((x, np.arange(60) % 2), budget_steps=60, runs=tmp_path, model="convnet").result.test.n > 0


def np_sorted(*indices: Any) -> Any:
    import torch

    return torch.cat(indices).sort().values


def test_very_few_samples_are_no_crash(tmp_path: Path) -> None:
    rows = np.arange(24, dtype=np.float32).reshape(8, 3) % 7
    try:
        assert fit((rows, np.array([0, 1] * 4)), budget_steps=40, runs=tmp_path).result.test.n > 0
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right, a crash is not


def test_a_factory_of_ones_own(tmp_path: Path, small_table: Any) -> None:
    def factory() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 2))

    found = fit(small_table, budget_steps=STEPS, runs=tmp_path, model=factory, name="own")
    assert found.result.best.architecture.name == "python:factory"
    inputs = small_table[0][:5]
    assert load_predictor(found.folder, factory=factory).predict(inputs) == found.model.predict(inputs)
    with pytest.raises(ModelError, match="give the function that builds it again"):
        load_predictor(found.folder)
    with pytest.raises(ResumeError, match="give the function again"):
        resume("own", small_table, runs=tmp_path)


GOOD = """
from torch import nn

def build(channels, height, width, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 16), nn.ReLU(), nn.Linear(16, outputs))
"""


def test_a_model_file_of_ones_own(tmp_path: Path, small_pictures: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    found = fit(small_pictures, budget_steps=60, runs=tmp_path / "runs", model=f"{file}:build", name="mine")
    assert load_predictor(found.folder).predict(small_pictures[0][:3])
    file.write_text(GOOD + "\n# changed\n")
    with pytest.raises(ResumeError, match=r"mine\.py:build has changed since"):
        resume("mine", small_pictures, runs=tmp_path / "runs")
    with pytest.raises(ModelError, match="has changed"):
        load_predictor(found.folder)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (GOOD.replace("Linear(16, outputs)", "Linear(16, 3)"), r"must return \(batch, 10\).*it returned \(2, 3\)"),
        ("def build(:\n", "does not compile: line 1"),
        ("def build():\n    return 3\n", "must return a torch.nn.Module, but returned int"),
        ("def bild():\n    pass\n", r'has no function "build"\. Did you mean "bild"\?'),
        ("raise ValueError('no')\n", "raised ValueError when it was run: no"),
        ("def build(depth):\n    pass\n", "asks for depth too"),
        (GOOD.replace("nn.Flatten(), ", ""), "must take batches of this data, but raised RuntimeError"),
    ],
)
def test_a_model_file_that_cannot_be_used_is_refused_before_a_run_is_made(
    tmp_path: Path, small_pictures: Any, code: str, sentence: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(ModelError, match=sentence):
        fit(small_pictures, budget_steps=60, runs=tmp_path / "runs", model=f"{file}:build")
    assert [entry.name for entry in (tmp_path / "runs").iterdir()] == [".cache"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"budget_steps": 0}, "`budget_steps >= 1` must hold"),
        ({"budget_seconds": 0.0}, "above 0 seconds"),
        ({"budget_seconds": float("inf")}, "above 0 seconds"),
        ({"budget_seconds": 1.0, "budget_steps": 1}, "in seconds or in steps"),
        ({"seed": -1}, "`seed >= 0` must hold"),
        ({"model": "convnt"}, r'Did you mean "convnet"\?'),
        ({"seed": -1, "model": "x"}, r"`seed >= 0`.*`model` must be auto"),
        ({"device": "gpu"}, "`device` must be auto, cpu, cuda or mps"),
        ({"name": "../x"}, "A run's name must be"),
        ({"model": "convnet"}, 'The model "convnet" is for pictures'),
    ],
)
def test_bad_settings_are_refused_and_nothing_is_made(
    tmp_path: Path, small_table: Any, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SettingError, match=sentence):
        fit(small_table, runs=tmp_path / "runs", **options)
    made = {entry.name for entry in tmp_path.rglob("*")} if (tmp_path / "runs").exists() else set()
    assert not {"settings.json", "study.sqlite", "x"} & made


@pytest.mark.parametrize(("fitted", "passes"), [(0.01, True), (1.5, False)])
def test_one_threshold_of_a_rule_changes_what_the_recipe_says(
    tmp_path: Path, small_table: Any, monkeypatch: pytest.MonkeyPatch, fitted: float, passes: bool
) -> None:
    monkeypatch.setattr(cannot_overfit_small_sample, "FITTED", fitted)
    with pytest.raises(KeyboardInterrupt):
        fit(small_table, budget_steps=60, runs=tmp_path, name="a", progress=Watching(3))
    second = next(each for each in read_run(RunFolder(tmp_path / "a")).evidence if each.step == 2)
    assert second.passed is passes
    assert [finding.code for finding in second.findings] == ([] if passes else ["OPT010"])
    assert passes or second.verdict == second.findings[0].message


class Watching:
    """Progress that fails at a chosen verdict, as Ctrl-C does."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, number: int, name: str, visit: int) -> None:
        if number == self.at:
            raise KeyboardInterrupt

    def update(self, what: str, numbers: Any) -> None: ...

    def verdict(self, number: int, passed: bool, sentence: str) -> None: ...


@pytest.mark.parametrize("at", [1, 3, 4, 6, 8, 9])
def test_interrupted_at_any_step_and_resumed_is_the_undisturbed_run(
    tmp_path: Path, small_table: Any, table: FitResult, at: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(small_table, budget_steps=STEPS, runs=tmp_path, name="table", progress=Watching(at))
    # The folder of runs may move in between.
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    again = resume("table", small_table, runs=moved)
    assert (again.folder / "model" / "model.safetensors").read_bytes() == (
        table.folder / "model" / "model.safetensors"
    ).read_bytes()
    assert [(each.text, each.why) for each in again.record.decisions] == [
        (each.text, each.why) for each in table.record.decisions
    ]
    assert again.result.test == table.result.test
    moved.rename(tmp_path)


def test_a_kept_training_that_diverges_is_trained_again_at_a_lower_rate(
    tmp_path: Path, small_table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainwell.recipe import keep as room
    from trainwell.recipe import steps as module

    given = room.keep

    def too_fast(context: Any, *, whole: bool) -> Any:
        context.point = replace(context.point, optimization=replace(context.point.optimization, lr=1e30))
        return given(context, whole=whole)

    monkeypatch.setattr(module, "keep", too_fast)
    with pytest.raises(ModelError, match="must stay finite to be kept, but 4 diverged"):
        fit(small_table, budget_steps=40, runs=tmp_path)
    monkeypatch.setattr(room, "CALMER", 1e-33)
    found = fit(small_table, budget_steps=40, runs=tmp_path)
    assert found.result.best.optimization.lr == pytest.approx(1e-3)
    assert any("train to the end again, at rate 0.001" in each.text for each in found.record.decisions)
    assert [trial.state for trial in found.record.trials if trial.stage == "kept"] == ["diverged", "completed"]
