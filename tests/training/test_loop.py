"""training/loop.py: the same numbers, bit for bit, as a loop written by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from trainwell.core.records.hyperparameters import (
    Architecture,
    Augmentation,
    Hyperparameters,
    Optimization,
    Regularization,
)
from trainwell.core.records.hyperparameters import Schedule as ScheduleSettings
from trainwell.core.records.layout import OutputLayout
from trainwell.core.seeds import derive_seed
from trainwell.schedules import WarmupStableDecay
from trainwell.search.augment import Augment
from trainwell.training.averaging import Averaging
from trainwell.training.batches import Batches
from trainwell.training.loop import StepRecord, train
from trainwell.training.objective import Objective
from trainwell.training.optimizer import build_optimizer, build_schedule
from trainwell.training.state import load_state, save_state

STEPS = 23
OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adamw": lambda model: torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=1e-2),
}
SCHEDULES: dict[str, Callable[[int], float]] = {
    "constant": lambda _: 0.05,
    "warm-up and tail": WarmupStableDecay(peak_lr=0.1, total_steps=STEPS, warmup_steps=4, tail_start_step=12),
}


def batches_of(parts: Any) -> Batches:
    return Batches(inputs=parts.inputs, targets=parts.targets, index=torch.arange(40), batch_size=12, seed=5)


def by_hand(
    model: nn.Module,
    batches: Callable[[int], tuple[Tensor, Tensor]],
    optimizer: Optimizer,
    schedule: Callable[[int], float],
    *,
    clip: float = 0.0,
    after: Callable[[], None] = lambda: None,
) -> list[float]:
    losses = []
    model.train()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        x, y = batches(step)
        optimizer.zero_grad()
        torch.manual_seed(derive_seed(9, "step", step))
        value = functional.cross_entropy(model(x), y)
        value.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        after()
        losses.append(value.item())
    return losses


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_equals_a_loop_written_by_hand(parts: Any, name: str, schedule: str, clip: float) -> None:
    theirs, ours = parts.network(), parts.network()
    torch.manual_seed(3)
    losses = by_hand(theirs, batches_of(parts), OPTIMIZERS[name](theirs), SCHEDULES[schedule], clip=clip)
    records = list(
        train(
            ours,
            batches_of(parts),
            loss=functional.cross_entropy,
            optimizer=OPTIMIZERS[name](ours),
            schedule=SCHEDULES[schedule],
            until_step=STEPS,
            seed=9,
            clip=clip,
        )
    )
    assert [record.loss.item() for record in records] == losses
    assert [record.step for record in records] == list(range(1, STEPS + 1))
    assert [record.lr for record in records] == [SCHEDULES[schedule](step) for step in range(STEPS)]
    assert same(theirs, ours)


def test_clipping_and_schedules_change_the_result(parts: Any) -> None:
    ends = []
    for clip, schedule in ((0.0, "constant"), (0.1, "constant"), (0.0, "warm-up and tail")):
        model = parts.network()
        ends.append(by_hand(model, batches_of(parts), OPTIMIZERS["sgd"](model), SCHEDULES[schedule], clip=clip)[-1])
    assert len(set(ends)) == 3


def test_averaging_begins_as_a_plain_mean_and_goes_on_as_torchs_moving_average(parts: Any) -> None:
    model = parts.network(dropout=0.0)
    averaging = Averaging(model, horizon=10)
    seen: list[Tensor] = []
    ema: AveragedModel | None = None
    for record in train(
        model,
        batches_of(parts),
        loss=functional.cross_entropy,
        optimizer=OPTIMIZERS["sgd"](model),
        schedule=SCHEDULES["constant"],
        until_step=STEPS,
        seed=9,
        averaging=averaging,
    ):
        weight = model.state_dict()["0.weight"].clone()
        seen.append(weight)
        if record.step <= 10:
            mean = torch.stack(seen).double().mean(dim=0)
            assert torch.allclose(averaging.tensors["0.weight"].double(), mean, atol=1e-6)
        if record.step == 10:
            ema = AveragedModel(model, avg_fn=get_ema_avg_fn(0.9), use_buffers=True)
            ema.module.load_state_dict(averaging.tensors)
            ema.n_averaged.fill_(10)
        elif ema is not None:
            ema.update_parameters(model)
            for name, tensor in ema.module.state_dict().items():
                if tensor.is_floating_point():
                    assert torch.allclose(averaging.tensors[name], tensor, atol=1e-6), name
    assert averaging.count == STEPS
    assert averaging.tensors["1.num_batches_tracked"] == STEPS
    assert not torch.equal(averaging.tensors["0.weight"], model.state_dict()["0.weight"])


def test_global_generators_and_other_grads_are_left_alone(parts: Any) -> None:
    torch.manual_seed(4)
    np.random.seed(4)  # noqa: NPY002 - the global state is what is watched
    before, numbers = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    model = parts.network()
    for _ in train(
        model,
        batches_of(parts),
        loss=functional.cross_entropy,
        optimizer=OPTIMIZERS["adamw"](model),
        schedule=SCHEDULES["constant"],
        until_step=3,
        seed=0,
    ):
        assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state(legacy=False)["state"]["key"] == numbers).all()  # noqa: NPY002


def test_groups_have_their_own_factor_on_the_rate(parts: Any) -> None:
    model = parts.network()
    optimizer = build_optimizer(
        model, Hyperparameters(architecture=Architecture(name="mlp")), lr_factors={"0.weight": 0.5}
    )
    next(
        iter(
            train(
                model,
                batches_of(parts),
                loss=functional.cross_entropy,
                optimizer=optimizer,
                schedule=lambda _: 0.2,
                until_step=1,
                seed=0,
            )
        )
    )
    rates = {
        name: group["lr"]
        for group in optimizer.param_groups
        for name, parameter in model.named_parameters()
        if any(parameter is each for each in group["params"])
    }
    assert rates["0.weight"] == 0.1
    assert {rate for name, rate in rates.items() if name != "0.weight"} == {0.2}


POINT = Hyperparameters(
    architecture=Architecture(name="own"),
    regularization=Regularization(weight_decay=1e-2, mixup_alpha=0.4),
    augmentation=Augmentation(flip="alternating", translate=1, colour=0.2),
    optimization=Optimization(lr=0.01, batch_size=8),
    schedule=ScheduleSettings(decay="linear", warmup_fraction=0.1, decay_fraction=0.5),
)
PICTURES = torch.randint(0, 256, (30, 6, 6, 3), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
LABELS = torch.randint(0, 3, (30,), generator=torch.Generator().manual_seed(3))
LAYOUT = OutputLayout(task="classification", size=3, names=("a", "b", "c"))


class Small(nn.Module):
    """Takes stored pictures and mixed ones alike, as the house's networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(64, 3)
        )

    def forward(self, batch: Tensor) -> Tensor:
        images = batch.permute(0, 3, 1, 2) / 255.0 if batch.dtype == torch.uint8 else batch
        found: Tensor = self.layers(images)
        return found


def picture_training(optimizer: str) -> tuple[nn.Module, Optimizer, Averaging, Callable[[int, int], list[StepRecord]]]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Small()
    point = (
        POINT
        if optimizer == "adamw"
        else Hyperparameters(
            architecture=POINT.architecture,
            regularization=POINT.regularization,
            augmentation=POINT.augmentation,
            optimization=Optimization(optimizer="sgd", lr=0.05, batch_size=8, averaging=0.3),
            schedule=POINT.schedule,
        )
    )
    made = build_optimizer(model, point)
    averaging = Averaging(model, horizon=5)
    change = Augment(point.augmentation, point.regularization, kind="image", output=LAYOUT, steps_per_epoch=3, seed=7)
    batches = Batches(inputs=PICTURES, targets=LABELS, index=torch.arange(26), batch_size=8, seed=7, change=change)
    schedule = build_schedule(point, total_steps=STEPS, decay_from=11)

    def run(start: int, until: int) -> list[StepRecord]:
        return list(
            train(
                model,
                batches,
                loss=Objective(output=LAYOUT, label_smoothing=0.1),
                optimizer=made,
                schedule=schedule,
                start_step=start,
                until_step=until,
                seed=7,
                clip=1.0,
                averaging=averaging,
            )
        )

    return model, made, averaging, run


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@settings(deadline=None, max_examples=8)
@given(stop=st.integers(1, STEPS - 1))
def test_stopped_anywhere_and_resumed_is_bit_equal(
    tmp_path_factory: pytest.TempPathFactory, optimizer: str, stop: int
) -> None:
    whole, _, average, run = picture_training(optimizer)
    losses = [record.loss.item() for record in run(0, STEPS)]
    first, made, averaging, begin = picture_training(optimizer)
    head = [record.loss.item() for record in begin(0, stop)]
    path = tmp_path_factory.mktemp("stopped") / "state.safetensors"
    save_state(path, model=first, optimizer=made, averaging=averaging, step=stop)
    torch.rand(17)
    second, made, averaging, go_on = picture_training(optimizer)
    assert load_state(path, model=second, optimizer=made, averaging=averaging) == stop
    tail = [record.loss.item() for record in go_on(stop, STEPS)]
    assert head + tail == losses
    assert same(whole, second)
    assert averaging.count == average.count
    assert all(torch.equal(averaging.tensors[name], tensor) for name, tensor in average.tensors.items())
