"""Every claim of the notes: listed, measured at a tiny size, and judged by its numbers in both directions."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from trainwell.activations import gelu, relu
from trainwell.cli.figures import figures
from trainwell.core.errors import SettingError
from trainwell.core.jsonio import from_json, to_json
from trainwell.lecture.claims import experiment, initialization, rectifiers, smooth, squashing
from trainwell.lecture.claims.augmentation import augmentation_encodes_invariance
from trainwell.lecture.claims.measuring import measure_claims
from trainwell.lecture.claims.regularization import dropout_forces_redundancy
from trainwell.lecture.claims.result import ClaimResult, condition, judged, verdict_of
from trainwell.lecture.claims.table import CLAIMS
from trainwell.lecture.claims.transfer import transfer_by_data_size
from trainwell.lecture.datasets import digits

# The design's list, each with the smallest size at which it runs.
TINY: dict[str, dict[str, Any]] = {
    "sigmoid_kills_gradients": {"steps": 2},
    "not_zero_centred_makes_same_signs": {"batch_size": 4},
    "exp_costs": {"elements": 1000, "steps": 1},
    "tanh_still_saturates": {"steps": 2},
    "relu_converges_faster": {"steps": 12, "depth": 2, "lrs": (0.01,)},
    "relus_die": {"steps": 2},
    "leaky_relu_does_not_die": {"steps": 2},
    "prelu_slope_learns": {"steps": 2},
    "elu_is_centred_and_robust": {"steps": 2},
    "selu_trains_deep": {"steps": 2, "depth": 3, "width": 16, "lrs": (0.01,)},
    "gelu_is_an_expectation": {"draws": 10},
    "last_tenth_of_a_percent": {"steps": 2, "lrs": (0.01,)},
    "normalizing_helps": {"steps": 2, "lrs": (0.01,)},
    "zero_weights_give_identical_gradients": {"steps": 2},
    "small_std_vanishes": {"width": 64},
    "large_std_saturates": {"width": 64, "narrow": 32},
    "xavier_keeps_the_variance": {"width": 64},
    "kaiming_keeps_the_variance": {"width": 64},
    "properties_fade": {"steps": 2},
    "dropout_forces_redundancy": {"steps": 2},
    "dropout_is_an_ensemble": {"steps": 2, "masks": 3, "members": 2},
    "l2_and_batch_norm_suffice": {"steps": 2, "width": 4, "train_size": 100},
    "augmentation_encodes_invariance": {"steps": 2, "train_size": 100},
    "schedules_beat_constant": {"steps": 4, "lrs": (0.01,)},
    "transfer_by_data_size": {"steps": 2, "pretraining_steps": 2, "sizes": (2, 4), "lrs": (0.01,)},
}


def test_every_claim_of_the_design_is_there() -> None:
    assert set(CLAIMS) == set(TINY)
    assert len(CLAIMS) == 25


@pytest.mark.parametrize("name", TINY)
def test_claim_runs_at_a_tiny_size(name: str) -> None:
    result = CLAIMS[name](seeds=2, **TINY[name])
    assert result.name == name
    assert result.n == 2
    assert result.seeds == (0, 1)
    assert (result.mean, result.spread) == (result.conditions[0].mean, result.conditions[0].spread)
    assert result.verdict == verdict_of(result.conditions)
    for one in result.conditions:
        assert all(math.isfinite(value) for value in (one.mean, one.spread, one.low, one.high))
        assert one.low <= one.mean <= one.high
    assert all(math.isfinite(value) for value in result.numbers.values())
    assert result.statement.endswith(".")
    assert result.measured.endswith((".", ".)", "1: chance alone)."))
    assert from_json(ClaimResult, to_json(result)) == result


PERTURBED: list[tuple[str, Callable[..., ClaimResult], dict[str, Any], dict[str, Any]]] = [
    ("kaiming's gain", CLAIMS["kaiming_keeps_the_variance"], {"width": 256}, {"gain": 2.0}),
    ("kaiming's gain, too small", CLAIMS["kaiming_keeps_the_variance"], {"width": 256}, {"gain": 1.0}),
    ("gelu's formula", smooth.gelu_is_an_expectation, {"function": gelu}, {"function": relu}),
    ("small std", initialization.small_std_vanishes, {"width": 256}, {"std": 1 / 16}),
    (
        "zero weights",
        initialization.zero_weights_give_identical_gradients,
        {"steps": 10},
        {"scheme": "xavier"},
    ),
    ("prelu's slope", rectifiers.prelu_slope_learns, {"steps": 40}, {"frozen": True}),
    ("dropout's redundancy", dropout_forces_redundancy, {"steps": 200}, {"p": 0.0}),
    ("augmentation", augmentation_encodes_invariance, {"steps": 150}, {"max_shift": 0, "probability": 0.0}),
]


@pytest.mark.parametrize(
    ("measure", "right", "wrong"), [row[1:] for row in PERTURBED], ids=[row[0] for row in PERTURBED]
)
def test_verdict_follows_the_numbers(
    measure: Callable[..., ClaimResult], right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    assert measure(seeds=4, **right).verdict == "supported"
    assert measure(seeds=4, **{**right, **wrong}).verdict == "not supported"


def test_same_signs_belong_to_sigmoid_and_not_to_tanh() -> None:
    sigmoid = squashing.not_zero_centred_makes_same_signs(seeds=3)
    assert sigmoid.conditions[0].mean == 1.0
    assert squashing.not_zero_centred_makes_same_signs(seeds=3, activation="tanh").verdict == "not supported"


def test_saturation_kills_only_where_there_is_some() -> None:
    killed = squashing.sigmoid_kills_gradients(seeds=8, steps=60)
    assert killed.verdict == "supported"
    untouched = squashing.sigmoid_kills_gradients(seeds=3, steps=5, shift=0.0)
    assert untouched.conditions[0].mean == pytest.approx(1.0)
    assert untouched.verdict == "not supported"


def test_xavier_with_a_wrong_gain_keeps_nothing() -> None:
    assert initialization.xavier_keeps_the_variance(seeds=3, width=256).verdict == "supported"
    wrong = initialization.xavier_keeps_the_variance(seeds=3, width=256, gain=1.4142)
    assert wrong.verdict == "not supported"
    assert wrong.conditions[0].mean == pytest.approx(math.log(2.0), abs=0.05)


def test_leaky_units_never_die_and_relus_do() -> None:
    inputs = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    for activation, dead in (("relu", 0.5), ("leaky_relu", 0.0)):
        model = experiment.network((64, 10, 3), activation, seed=0)
        with torch.no_grad():
            # Half of the units are pushed so far down that no sample reaches them.
            model.get_parameter("0.bias")[:5] = -1000.0
        assert rectifiers.dead_share(model, inputs, seed=0) == dead


def test_transfer_without_pretraining_gains_nothing() -> None:
    control = transfer_by_data_size(seeds=3, steps=30, sizes=(2, 10), lrs=(0.01,), pretrain=False)
    assert not control.conditions[0].holds


def test_training_is_the_one_loops_and_lowers_the_loss() -> None:
    split = digits(seed=0)
    model = experiment.network((64, 32, 10), "relu", seed=0)
    before = experiment.measure(model, split)
    assert before.loss == pytest.approx(math.log(10), abs=1.5)
    last = experiment.fit(model, split, lr=0.05, steps=60, seed=0)
    after = experiment.measure(model, split)
    assert last < before.loss
    assert after.metric > 0.8
    again = experiment.network((64, 32, 10), "relu", seed=0)
    assert experiment.fit(again, split, lr=0.05, steps=60, seed=0) == last


def test_steps_to_a_loss_it_never_reaches_are_all() -> None:
    model = experiment.network((64, 32, 10), "relu", seed=0)
    assert experiment.steps_to(-1.0, model, digits(seed=0), steps=15, lr=0.01, seed=0) == 15
    assert experiment.steps_to(100.0, model, digits(seed=0), steps=15, lr=0.01, seed=0) == 10


def test_best_lr_takes_the_least_loss_and_never_nan() -> None:
    assert experiment.best_lr(lambda lr, seed: abs(lr - 0.1), (0.01, 0.1, 1.0)) == 0.1
    assert experiment.best_lr(lambda lr, seed: math.nan if lr > 0.05 else 5.0, (1.0, 0.01)) == 0.01


def test_tuning_never_sees_the_test_part() -> None:
    split = digits(seed=0)
    part = experiment.inner(split)
    assert not set(part.train.tolist()) & set(part.test.tolist())
    assert set(part.train.tolist()) | set(part.test.tolist()) == set(split.train.tolist())


def test_interval_is_students_t() -> None:
    # t with 3 degrees of freedom, 97.5%: 3.182446; mean 2.5, s = 1.290994.
    found = condition("x, points", [1.0, 2.0, 3.0, 4.0], above=0.0)
    assert found.spread == pytest.approx(1.2909944)
    assert found.high - found.mean == pytest.approx(3.182446 * 1.2909944 / 2.0, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(values=st.lists(st.floats(-10.0, 10.0), min_size=2, max_size=8), bar=st.floats(-5.0, 5.0))
def test_a_condition_holds_only_with_its_whole_interval(values: list[float], bar: float) -> None:
    above, below = condition("x", values, above=bar), condition("x", values, below=bar)
    assert above.holds == (above.low > bar)
    assert below.holds == (below.high < bar)
    assert not (above.holds and below.holds)
    assert condition("x", values, above=bar, confidence=0.999).low <= above.low


def test_not_a_number_never_holds() -> None:
    for side in ({"above": 0.0}, {"below": 0.0}):
        assert not condition("x", [1.0, math.nan], **side).holds


def test_verdict_is_depends_where_conditions_differ() -> None:
    yes, no = condition("yes", [1.0, 1.0], above=0.0), condition("no", [1.0, 1.0], below=0.0)
    assert verdict_of([yes, yes]) == "supported"
    assert verdict_of([no, no]) == "not supported"
    assert verdict_of([yes, no]) == "depends"
    said = judged("x", chapter="c", statement="S.", measured="M.", conditions=[yes, no], seeds=(0, 1))
    assert said.why.startswith("Holds for yes: 1 ")
    assert "not shown for no: 1" in said.why


def test_a_condition_refuses_what_it_cannot_judge() -> None:
    with pytest.raises(SettingError, match=r"two values at least and one bar, but got 1 values"):
        condition("x", [1.0], above=0.0)
    with pytest.raises(SettingError, match=r"above=0.0 and below=1.0"):
        condition("x", [1.0, 2.0], above=0.0, below=1.0)


def test_measuring_refuses_unknown_names_and_single_seeds() -> None:
    with pytest.raises(SettingError, match=r'got "relus_dye". Did you mean "relus_die".*`seeds >= 2`'):
        list(measure_claims(["relus_dye"], seeds=1))


def test_command_line_writes_pictures_and_claims(tmp_path: Path) -> None:
    runner, app = CliRunner(), typer.Typer()
    app.command()(figures)
    drawn = runner.invoke(app, [str(tmp_path), "--only", "cosine"])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "cosine.svg").is_file()
    assert "half a wave" in drawn.stdout
    told = runner.invoke(app, [str(tmp_path), "--claims", "--only", "gelu_is_an_expectation", "--seeds", "2"])
    assert told.exit_code == 0, told.output
    line = (tmp_path / "claims.jsonl").read_text()
    assert from_json(ClaimResult, line).name == "gelu_is_an_expectation"
    refused = runner.invoke(app, [str(tmp_path), "--seeds", "2"])
    assert isinstance(refused.exception, SettingError)


def test_draws_do_not_touch_the_global_generator() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    CLAIMS["prelu_slope_learns"](seeds=2, steps=1)
    experiment.network((64, 32, 10), "selu", seed=0, dropout=0.1)
    assert torch.equal(torch.get_rng_state(), before)
