"""recipe/calibrate.py: whose outputs the temperature is fitted on, and where it is used."""

import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainwell.core.records.trial import TrialRecord
from trainwell.data.arrays import frame_of_rows
from trainwell.data.encoders import TableEncoder
from trainwell.recipe import calibrate as room
from trainwell.recipe.fit import FitResult, fit, resume
from trainwell.recipe.outcome import BINS, calibration_bins, calibration_error
from trainwell.recipe.plan import LEAST_STEPS
from trainwell.recipe.predict import load_predictor
from trainwell.training.calibration import fit_temperature

STEPS = 1000


def drawn(samples: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows whose label their sum decides but for noise: nobody can be certain."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(samples, 3)).astype(np.float32)
    return rows, (rows[:, 0] + rows[:, 1] + draw.normal(size=samples) > 0).astype(np.int64)


@pytest.fixture(scope="module")
def blurred() -> tuple[NDArray[Any], NDArray[Any]]:
    return drawn(300, 0)


@pytest.fixture(scope="module")
def found(blurred: Any, tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit(blurred, budget_steps=STEPS, runs=tmp_path_factory.mktemp("runs"), name="blurred")


def source_of(found: FitResult) -> TrialRecord:
    (decision,) = [each for each in found.record.decisions if each.name == "temperature"]
    number = int(decision.why.partition("which trial ")[2].split()[0])
    return next(trial for trial in found.record.trials if trial.spec.number == number)


def test_it_is_fitted_on_samples_that_its_training_did_not_see(found: FitResult) -> None:
    kept, source = found.record.trials[-1], source_of(found)
    assert kept.spec.parts == ("train", "validation")
    assert source.spec.parts == ("train",)
    assert source.stage == "refined"
    assert source.spec.hyperparameters.regularization == kept.spec.hyperparameters.regularization
    assert source.spec.total_steps >= room.LEAST_SHARE * kept.spec.total_steps


def test_probabilities_are_those_of_logits_divided_by_it(found: FitResult, blurred: Any) -> None:
    predictor = found.model
    assert isinstance(predictor.encoder, TableEncoder)
    inputs = predictor.encoder.encode_table(frame_of_rows(blurred[0])).inputs
    with torch.no_grad():
        logits = predictor.network(inputs).double()
    wanted = (logits / predictor.about.temperature).softmax(dim=1).amax(dim=1)
    assert predictor.about.temperature != 1.0
    assert [each.probability for each in predictor.predict(blurred[0])] == pytest.approx(wanted.tolist(), abs=1e-5)


def test_no_prediction_changes_by_it(found: FitResult, blurred: Any) -> None:
    labels = [each.label for each in found.model.predict(blurred[0])]
    for temperature in (0.01, 1.0, 30.0):
        other = dataclasses.replace(
            found.model, about=dataclasses.replace(found.model.about, temperature=temperature)
        ).predict(blurred[0])
        assert [each.label for each in other] == labels
        assert all(0.5 <= each.probability <= 1 for each in other)


def test_it_is_saved_with_the_model_and_used_by_predict(found: FitResult, blurred: Any) -> None:
    outcome = found.record.outcome
    assert outcome is not None
    path = found.folder / "model" / "model.json"
    assert json.loads(path.read_text())["temperature"] == outcome.temperature
    again = load_predictor(found.folder).predict(blurred[0][:20])
    assert again == found.model.predict(blurred[0][:20])
    for mistake in outcome.mistakes[:5]:
        (said,) = found.model.predict(blurred[0][mistake.sample : mistake.sample + 1])
        assert said.label == mistake.predicted
        assert said.probability == pytest.approx(mistake.probability, abs=1e-5)


def test_bins_are_of_all_test_samples(found: FitResult) -> None:
    outcome = found.record.outcome
    assert outcome is not None
    assert sum(one.count for one in outcome.calibration) == outcome.n
    right = sum(one.count * one.right for one in outcome.calibration)
    assert right == pytest.approx(outcome.value * outcome.n)
    assert calibration_error(outcome.calibration) == outcome.calibration_error


def test_interrupted_after_it_a_run_reads_it_again(
    blurred: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: FitResult
) -> None:
    from trainwell.recipe import steps

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(steps, "measure_outcome", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(blurred, budget_steps=STEPS, runs=tmp_path, name="blurred")
    monkeypatch.setattr(room, "fit_temperature", interrupted)
    assert repr(resume("blurred", blurred, runs=tmp_path).record.outcome) == repr(found.record.outcome)


def test_where_there_is_no_grid_nothing_is_fitted_and_nothing_said(tmp_path: Path, blurred: Any) -> None:
    small = fit(blurred, budget_steps=60, runs=tmp_path)
    assert small.record.outcome is not None
    # Whatever stands in for a grid is too short to say anything.
    assert max(each.spec.total_steps for each in small.record.trials if each.stage == "refined") <= LEAST_STEPS
    assert small.record.outcome.temperature == small.model.about.temperature == 1.0
    assert all(each.name != "temperature" for each in small.record.decisions)


def test_trainings_far_shorter_than_the_kept_one_say_nothing(
    blurred: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LEAST_SHARE", 50.0)
    small = fit(blurred, budget_steps=STEPS, runs=tmp_path)
    assert small.record.outcome is not None
    assert small.record.outcome.temperature == small.model.about.temperature == 1.0
    assert all(each.name != "temperature" for each in small.record.decisions)


def test_outputs_that_overflow_leave_it_at_one(blurred: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "outputs", lambda model, inputs, index, **_: torch.full((len(index), 2), math.inf))
    small = fit(blurred, budget_steps=STEPS, runs=tmp_path)
    assert small.record.outcome is not None
    assert small.record.outcome.temperature == 1.0


def test_regression_has_none(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(120, 4)).astype(np.float32)
    made = fit((rows, (rows @ np.ones(4)).astype(np.float32)), budget_steps=60, runs=tmp_path)
    assert made.record.outcome is not None
    assert made.record.outcome.temperature == 1.0
    assert made.record.outcome.calibration == ()


@given(seed=st.integers(0, 10_000), samples=st.integers(1, 200))
@settings(deadline=None, max_examples=40)
def test_calibration_error_is_the_weighted_gap(seed: int, samples: int) -> None:
    draw = np.random.default_rng(seed)
    confidence, right = draw.random(samples), draw.random(samples) < 0.5
    edges = np.linspace(0, 1, BINS + 1)
    wanted = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            wanted += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    bins = calibration_bins(torch.tensor(confidence), torch.tensor(right))
    assert calibration_error(bins) == pytest.approx(wanted)
    assert all(one.interval[0] - 1e-9 <= one.right <= one.interval[1] + 1e-9 for one in bins)


def test_certainty_falls_into_the_last_bin() -> None:
    (last,) = calibration_bins(torch.ones(4), torch.tensor([True, True, True, False]))
    assert (last.confidence, last.right, last.count) == (1.0, 0.75, 4)
    assert calibration_error((last,)) == 0.25
    assert math.isnan(calibration_error(()))
    assert fit_temperature(torch.tensor([[9.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1])) > 1
