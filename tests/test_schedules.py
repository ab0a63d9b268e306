import copy
import dataclasses
import io
import itertools
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, MultiStepLR, StepLR

from trainwell.core.errors import SettingError
from trainwell.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    InverseSquareRoot,
    Linear,
    Schedule,
    Step,
    WarmupStableDecay,
    as_lr_scheduler,
    warmup_factor,
)

DECAYING = (Cosine, Linear, WarmupStableDecay)


def parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(2))


def torch_rates(make: Callable[[torch.optim.Optimizer], LRScheduler], *, lr: float, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([parameter()], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


@st.composite
def lengths(draw: st.DrawFn) -> dict[str, Any]:
    total = draw(st.integers(1, 400))
    peak = draw(st.floats(1e-6, 10.0))
    return {"peak_lr": peak, "total_steps": total, "warmup_steps": draw(st.integers(0, total - 1))}


# Oracles: torch's own schedulers.


def test_cosine_agrees_with_torch() -> None:
    wanted = torch_rates(lambda o: CosineAnnealingLR(o, T_max=100, eta_min=0.01), lr=0.3, steps=101)
    ours = [Cosine(peak_lr=0.3, total_steps=101, final_lr=0.01)(step) for step in range(101)]
    assert ours == pytest.approx(wanted, rel=1e-9)


def test_linear_agrees_with_torch() -> None:
    wanted = torch_rates(lambda o: LinearLR(o, start_factor=1.0, end_factor=0.25, total_iters=40), lr=0.2, steps=60)
    ours = [Linear(peak_lr=0.2, total_steps=41, final_lr=0.05)(step) for step in range(60)]
    assert ours == pytest.approx(wanted, rel=1e-9)


def test_step_agrees_with_torch() -> None:
    wanted = torch_rates(lambda o: StepLR(o, step_size=7, gamma=0.3), lr=0.5, steps=30)
    schedule = Step(peak_lr=0.5, total_steps=30, milestones=tuple(range(7, 30, 7)), factor=0.3)
    assert [schedule(step) for step in range(30)] == pytest.approx(wanted, rel=1e-9)
    wanted = torch_rates(lambda o: MultiStepLR(o, milestones=[3, 20]), lr=0.5, steps=30)
    schedule = Step(peak_lr=0.5, total_steps=30, milestones=(3, 20))
    assert [schedule(step) for step in range(30)] == pytest.approx(wanted, rel=1e-9)


def test_warmup_agrees_with_torch() -> None:
    wanted = torch_rates(lambda o: LinearLR(o, start_factor=1 / 6, total_iters=5), lr=0.2, steps=12)
    assert [Constant(peak_lr=0.2, warmup_steps=5)(step) for step in range(12)] == pytest.approx(wanted, rel=1e-9)


# Closed forms.


def test_inverse_square_root_is_the_transformers_with_warmup_and_the_notes_without() -> None:
    transformer = InverseSquareRoot(peak_lr=0.7, warmup_steps=40)
    for step in range(40, 500, 13):
        assert transformer(step) == pytest.approx(0.7 * math.sqrt(40 / step), rel=1e-12)
    notes = InverseSquareRoot(peak_lr=0.7)
    for step in range(100):
        assert notes(step) == pytest.approx(0.7 / math.sqrt(step + 1), rel=1e-12)
    slow = InverseSquareRoot(peak_lr=0.7, timescale_steps=100)
    assert slow(300) == pytest.approx(0.35)


def test_step_drops_at_a_half_and_three_quarters_by_default() -> None:
    schedule = Step(peak_lr=1.0, total_steps=64)
    rates = [schedule(step) for step in range(64)]
    assert rates[:32] == [1.0] * 32
    assert rates[32:48] == pytest.approx([0.1] * 16)
    assert rates[48:] == pytest.approx([0.01] * 16)


@pytest.mark.parametrize(("shape", "power"), [("linear", 1.0), ("sqrt", 0.5)])
def test_tail_of_warmup_stable_decay(shape: Any, power: float) -> None:
    schedule = WarmupStableDecay(
        peak_lr=2.0, total_steps=100, warmup_steps=10, tail_start_step=80, final_lr=0.5, shape=shape
    )
    assert [schedule(step) for step in range(10, 80)] == [2.0] * 70
    for step in range(80, 100):
        assert schedule(step) == pytest.approx(2.0 - 1.5 * ((step - 79) / 20) ** power)
    assert schedule(80) < 2.0
    assert schedule(99) == schedule(1000) == 0.5


def test_tail_is_the_last_fifth_by_default() -> None:
    schedule = WarmupStableDecay(peak_lr=1.0, total_steps=100)
    assert schedule(79) == 1.0
    assert schedule(80) == pytest.approx(0.95)


def test_where_warmup_leaves_one_step_it_has_the_peak() -> None:
    for make in (Cosine, Linear):
        schedule = make(peak_lr=0.4, total_steps=5, warmup_steps=4)
        assert schedule(4) == 0.4
        assert make(peak_lr=0.4, total_steps=1)(0) == 0.4


# Conformance: every schedule of the table.


def test_table_names_every_class() -> None:
    assert sorted(SCHEDULES) == ["constant", "cosine", "inverse_sqrt", "linear", "step", "warmup_stable_decay"]
    assert len(set(SCHEDULES.values())) == len(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
@settings(max_examples=60, deadline=None)
@given(length=lengths())
def test_rates_are_positive_at_first_warm_up_without_a_jump_and_then_never_rise(
    name: str, length: dict[str, Any]
) -> None:
    schedule = SCHEDULES[name](**length)
    peak, total, warmup = length["peak_lr"], length["total_steps"], length["warmup_steps"]
    rates = [schedule(step) for step in range(total + 3)]
    assert rates[0] > 0.0
    assert rates[warmup] == peak
    assert all(0.0 <= rate <= peak * (1 + 1e-12) for rate in rates)
    # Equal strides through the warm-up, the last of them into the schedule.
    strides = [later - earlier for earlier, later in zip([0.0, *rates[:warmup]], rates[: warmup + 1])]
    assert strides == pytest.approx([peak / (warmup + 1)] * (warmup + 1), rel=1e-6, abs=1e-15)
    after = rates[warmup:]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in itertools.pairwise(after))


@pytest.mark.parametrize("decaying", DECAYING)
@settings(max_examples=60, deadline=None)
@given(length=lengths(), part=st.floats(0.0, 1.0))
def test_last_step_has_exactly_the_final_rate(
    decaying: Callable[..., Schedule], length: dict[str, Any], part: float
) -> None:
    final, total = length["peak_lr"] * part, length["total_steps"]
    schedule = decaying(**length, final_lr=final)
    last = final if length["warmup_steps"] < total - 1 else length["peak_lr"]
    assert schedule(total - 1) == schedule(total) == schedule(total + 1000) == last


@pytest.mark.parametrize("name", SCHEDULES)
def test_settings_equal_hash_print_and_pickle(name: str) -> None:
    schedule = SCHEDULES[name](peak_lr=0.1, total_steps=50, warmup_steps=5)
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert eval(repr(schedule), {made.__name__: made for made in SCHEDULES.values()}) == schedule
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.peak_lr = 1.0  # type: ignore[misc]  # the assignment must fail


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_longer_than_the_training_is_refused(name: str) -> None:
    message = r"`warmup_steps < total_steps` must hold, but got 500 and 400\. Shorten the warm-up or train longer\."
    with pytest.raises(SettingError, match=message):
        SCHEDULES[name](peak_lr=0.1, total_steps=400, warmup_steps=500)


@pytest.mark.parametrize("name", SCHEDULES)
def test_negative_step_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=r"`step >= 0` must hold, but got -1\. Count optimizer steps from zero\."):
        SCHEDULES[name](peak_lr=0.1, total_steps=400)(-1)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("peak_lr", [0.0, -1.0, math.inf, math.nan])
def test_bad_peak_is_refused(name: str, peak_lr: float) -> None:
    with pytest.raises(SettingError, match=f"`0 < peak_lr < inf` must hold, but got {peak_lr}"):
        SCHEDULES[name](peak_lr=peak_lr, total_steps=400)


def test_all_bad_arguments_are_named_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        Cosine(peak_lr=-0.1, total_steps=0, warmup_steps=-3, final_lr=1.0)
    for rule in ("0 < peak_lr < inf", "warmup_steps >= 0", "total_steps >= 1", "0 <= final_lr <= peak_lr"):
        assert f"`{rule}` must hold, but got" in str(caught.value)
    with pytest.raises(SettingError) as caught:
        Step(peak_lr=0.1, total_steps=10, warmup_steps=4, milestones=(5, 5, 3), factor=0.0)
    for part in ("`0 < factor <= 1`", "`milestones` must rise", "`warmup_steps < milestones` must hold, but got 4"):
        assert part in str(caught.value)


def test_bad_timescale_is_refused() -> None:
    with pytest.raises(SettingError, match=r"`timescale_steps >= 1` must hold, but got 0"):
        InverseSquareRoot(peak_lr=0.1, timescale_steps=0)


def test_bad_tails_are_refused() -> None:
    with pytest.raises(SettingError, match=r"`warmup_steps < tail_start_step < total_steps` must hold, but got 5, 5"):
        WarmupStableDecay(peak_lr=0.1, total_steps=10, warmup_steps=5, tail_start_step=5)
    with pytest.raises(SettingError, match=r"`tail_start_step` needs `total_steps`, but got 5 and None"):
        WarmupStableDecay(peak_lr=0.1, tail_start_step=5)
    with pytest.raises(SettingError, match=r"`tail_steps >= 1` must hold, but got 0"):
        WarmupStableDecay(peak_lr=0.1).with_tail(first_step=5, tail_steps=0)
    with pytest.raises(SettingError, match=r"`0 <= final_lr <= peak_lr` must hold, but got 0\.2 and 0\.1"):
        WarmupStableDecay(peak_lr=0.1, final_lr=0.2)


# Continuing a training whose end was not known.


@settings(max_examples=60, deadline=None)
@given(warmup=st.integers(0, 50), gap=st.integers(1, 100), tail=st.integers(1, 100), peak=st.floats(1e-4, 10.0))
def test_a_tail_fixed_late_changes_no_step_before_it(warmup: int, gap: int, tail: int, peak: float) -> None:
    undecided = WarmupStableDecay(peak_lr=peak, warmup_steps=warmup)
    first = warmup + gap
    decided = undecided.with_tail(first_step=first, tail_steps=tail)
    assert [decided(step) for step in range(first)] == [undecided(step) for step in range(first)]
    rates = [decided(step) for step in range(first - 1, first + tail)]
    assert rates[0] == peak
    assert rates[-1] == 0.0
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert decided.total_steps == first + tail


@given(step=st.integers(0, 10**6), warmup=st.integers(0, 10**5))
@settings(max_examples=100, deadline=None)
def test_warmup_factor_stays_in_its_range(step: int, warmup: int) -> None:
    factor = warmup_factor(step, warmup_steps=warmup)
    assert 0.0 < factor <= 1.0
    assert (factor == 1.0) == (step >= warmup)


# As a torch scheduler.


def two_groups(*, lr: float = 0.2) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [parameter()], "lr": lr}, {"params": [parameter()], "lr": lr / 4}], momentum=0.9)


def run(optimizer: torch.optim.Optimizer, scheduler: LRScheduler, steps: int) -> list[list[float]]:
    rates = []
    for _ in range(steps):
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = weight.detach().clone()
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name", SCHEDULES)
def test_scheduler_gives_the_schedules_rates_and_keeps_the_groups_ratio(name: str) -> None:
    schedule: Schedule = SCHEDULES[name](peak_lr=0.1, total_steps=20, warmup_steps=3)
    optimizer = two_groups()
    rates = run(optimizer, as_lr_scheduler(schedule, optimizer), 23)
    assert [rate for rate, _ in rates] == [schedule(step) for step in range(23)]
    assert [rate for _, rate in rates] == pytest.approx([schedule(step) / 4 for step in range(23)])


def test_scheduler_takes_any_function_and_tensor_rates() -> None:
    rate = torch.tensor(0.5, dtype=torch.float64)
    optimizer = torch.optim.AdamW([parameter()], lr=rate)
    rates = run(optimizer, as_lr_scheduler(lambda step: 0.25 * (step + 1), optimizer), 3)
    assert rates == [[0.25], [0.5], [0.75]]
    assert optimizer.param_groups[0]["lr"] is rate


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_resume_is_exact_in_either_order_and_through_a_safe_file(optimizer_first: bool) -> None:
    schedule = Cosine(peak_lr=0.1, total_steps=20, warmup_steps=3)
    optimizer = two_groups()
    scheduler = as_lr_scheduler(schedule, optimizer)
    run(optimizer, scheduler, 7)
    file = io.BytesIO()
    weights = [group["params"][0].detach().clone() for group in optimizer.param_groups]
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, file)
    wanted = run(optimizer, scheduler, 13)

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = two_groups(lr=0.8)
    if optimizer_first:
        again.load_state_dict(saved["optimizer"])
    resumed = as_lr_scheduler(schedule, again)
    resumed.load_state_dict(saved["scheduler"])
    if not optimizer_first:
        again.load_state_dict(saved["optimizer"])
    for group, weight in zip(again.param_groups, weights):
        group["params"][0].data.copy_(weight)
    assert run(again, resumed, 13) == wanted
    for mine, theirs in zip(again.param_groups, optimizer.param_groups):
        assert torch.equal(mine["params"][0], theirs["params"][0])


def test_scheduler_pickles_and_copies() -> None:
    optimizer = two_groups()
    scheduler = as_lr_scheduler(Cosine(peak_lr=0.1, total_steps=20), optimizer)
    run(optimizer, scheduler, 4)
    for again in (pickle.loads(pickle.dumps(scheduler)), copy.deepcopy(scheduler)):
        assert again.get_last_lr() == scheduler.get_last_lr()
        again.optimizer.step()
        again.step()
        assert again.get_last_lr()[0] == Cosine(peak_lr=0.1, total_steps=20)(5)
    assert scheduler.last_epoch == 4


def test_scheduler_refuses_an_optimizer_without_a_rate() -> None:
    optimizer = torch.optim.SGD([parameter()], lr=0.0)
    with pytest.raises(SettingError, match=r"rates must be >= 0 and one of them > 0, but got \[0\.0\]"):
        as_lr_scheduler(Constant(peak_lr=0.1), optimizer)
