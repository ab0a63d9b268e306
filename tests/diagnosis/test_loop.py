"""Trainings that look like faults of the loop and are none: the rules say nothing of them above an info."""

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rows import heard
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.optim import lr_scheduler as schedules
from torch.utils.data import DataLoader, TensorDataset

from trainwell.capture.listener import Listener
from trainwell.core.records.finding import Finding
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.diagnose import diagnose, forks_wanted
from trainwell.watching import is_heard

RULES = ("OPT009", "OPT015", "OPT017", "OPT018", "SCH005")
X = torch.randn(320, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, :3].abs().argmax(dim=1)).long()


def network(*, dropout: float = 0.3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))


def batches(count: int = 12, size: int = 16) -> list[tuple[Tensor, Tensor]]:
    return [(X[place : place + size], Y[place : place + size]) for place in range(0, count * size, size)]


def step(model: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


def generator_without_gradients() -> None:
    made, judge = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2)), network()
    mine, others = Adam(made.parameters(), lr=1e-3), Adam(judge.parameters(), lr=1e-3)
    for x, y in batches():
        with torch.no_grad():
            invented = made(torch.randn(16, 4))
        others.zero_grad()
        (F.cross_entropy(judge(x), y) + F.cross_entropy(judge(invented), y)).backward()
        clip_grad_norm_(judge.parameters(), 1.0)
        others.step()
        mine.zero_grad()
        F.cross_entropy(judge(made(torch.randn(16, 4))), y).backward()
        clip_grad_norm_(made.parameters(), 1.0)
        mine.step()


def teacher_in_training_mode() -> None:
    model = network()
    teacher, optimizer = copy.deepcopy(model), SGD(model.parameters(), lr=0.1)
    for x, _ in batches():
        with torch.no_grad():
            told = teacher(x).softmax(dim=1)
            mine = model(x).softmax(dim=1)
        optimizer.zero_grad()
        F.mse_loss(model(x).softmax(dim=1), (told + mine) / 2).backward()
        optimizer.step()


def averages_over_dropout() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        step(model, optimizer, x, y)
        with torch.no_grad():
            mean = torch.stack([model(X[200:]).softmax(dim=1) for _ in range(4)]).mean(dim=0)
            (mean.argmax(dim=1) == Y[200:]).float().mean().item()


def attack_in_test_mode() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        model.eval()
        moved = x.clone().requires_grad_()
        F.cross_entropy(model(moved), y).backward()
        assert moved.grad is not None
        model.train()
        step(model, optimizer, (x + 0.01 * moved.grad.sign()).detach(), y)


def frozen_norms() -> None:
    model = network(dropout=0.0)
    optimizer = SGD(model.parameters(), lr=0.1)
    for number, (x, y) in enumerate(batches()):
        model.train()
        if number > 3:
            model[1].eval()
        step(model, optimizer, x, y)


def accuracy_of_the_training() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        optimizer.zero_grad()
        made = model(x)
        F.cross_entropy(made, y).backward()
        optimizer.step()
        with torch.no_grad():
            (made.argmax(dim=1) == y).float().mean().item()


def same_batch_once_more() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        step(model, optimizer, x, y)
        with torch.no_grad():
            F.cross_entropy(model(x), y).item()


def averages_renewed() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        step(model, optimizer, x, y)
    with torch.no_grad():
        for x, _ in batches():
            model(x)


def evaluated_with_gradients() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        model.train()
        step(model, optimizer, x, y)
        model.eval()
        F.cross_entropy(model(X[200:]), Y[200:]).item()


def clipped_one_after_the_other() -> None:
    one, other = nn.Linear(6, 3), nn.Linear(6, 3)
    optimizer = SGD([*one.parameters(), *other.parameters()], lr=0.1, momentum=0.9, nesterov=True, foreach=True)
    for x, y in batches():
        optimizer.zero_grad()
        F.cross_entropy(one(x), y).backward()
        clip_grad_norm_(one.parameters(), 0.01)
        F.cross_entropy(other(x), y).backward()
        clip_grad_norm_(other.parameters(), 0.01)
        optimizer.step()


def clipped_at_each_part(closure: bool = False) -> None:
    model = network()
    optimizer: Any = LBFGS(model.parameters(), max_iter=2) if closure else AdamW(model.parameters())

    def gather() -> float:
        optimizer.zero_grad()
        for x, y in batches(3):
            loss = F.cross_entropy(model(x), y) / 3
            loss.backward()
            clip_grad_norm_(model.parameters(), 0.5)
        return loss.item()

    for _ in range(6):
        if closure:
            optimizer.step(gather)
        else:
            gather()
            optimizer.step()


def clipped_in_a_closure() -> None:
    clipped_at_each_part(closure=True)


def clipped_parameter_by_parameter() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        for each in model.parameters():
            clip_grad_norm_(each, 0.5)
        optimizer.step()


def norm_asked_for() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches():
        step(model, optimizer, x, y)
        clip_grad_norm_(model.parameters(), math.inf)


def scaler_with_two_optimizers(enabled: bool = True) -> None:
    one, other = nn.Linear(6, 3), nn.Linear(6, 3)
    optimizers = [SGD(one.parameters(), lr=0.1), SGD(other.parameters(), lr=0.1)]
    scaler = torch.amp.GradScaler("cpu", enabled=enabled)
    for x, y in batches():
        for model, optimizer in zip((one, other), optimizers, strict=True):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y)).backward()
        for model, optimizer in zip((one, other), optimizers, strict=True):
            if enabled:
                scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
        scaler.update()


def scaler_that_is_off() -> None:
    scaler_with_two_optimizers(enabled=False)


def state_carried_on() -> None:
    cell, head = nn.GRUCell(6, 8), nn.Linear(8, 3)
    optimizer = SGD([*cell.parameters(), *head.parameters()], lr=0.1)
    state = torch.zeros(16, 8)
    for x, y in batches():
        optimizer.zero_grad()
        state = cell(x, state.detach())
        F.cross_entropy(head(state), y).backward()
        optimizer.step()


def summed_before_backward() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        total = torch.zeros(())
        for x, y in batches():
            total = total + F.cross_entropy(model(x), y)
        total.backward()
        optimizer.step()


def reference_cycles() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    for x, y in batches(20):
        held: dict[str, Any] = {"loss": step(model, optimizer, x, y)}
        held["itself"] = held


def look_back() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    last: list[Tensor] = []
    for x, y in batches(20):
        last = [*last, step(model, optimizer, x, y)][-3:]


def master_weights() -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).bfloat16()
    masters = [each.detach().float().requires_grad_() for each in model.parameters()]
    optimizer = AdamW(masters, lr=1e-5)
    for x, y in batches(14):
        model.zero_grad()
        F.cross_entropy(model(x.bfloat16()), y).backward()
        for master, each in zip(masters, model.parameters(), strict=True):
            assert each.grad is not None
            master.grad = each.grad.float()
        optimizer.step()
        for master, each in zip(masters, model.parameters(), strict=True):
            each.data.copy_(master)


class _Stochastic(Optimizer):
    """SGD whose rounding is a matter of chance."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # torch's has two signatures
        for group in self.param_groups:
            for each in group["params"]:
                wanted = each.detach().float() - group["lr"] * each.grad.float()
                bits = wanted.view(torch.int32) + torch.randint(0, 1 << 16, wanted.shape, dtype=torch.int32)
                each.data.copy_((bits & -65536).view(torch.float32))


def rounding_by_chance() -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).bfloat16()
    optimizer = _Stochastic(model.parameters(), {"lr": 1e-3})
    for x, y in batches(20):
        step(model, optimizer, x.bfloat16(), y)


def warming_up_in_bfloat16() -> None:
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).bfloat16()
    optimizer = AdamW(model.parameters(), lr=1e-3)
    schedule = schedules.LambdaLR(optimizer, lambda number: min(1.0, number / 2000))
    for x, y in batches(14):
        step(model, optimizer, x.bfloat16(), y)
        schedule.step()


def scheduled(made: Callable[[Optimizer, int], Any], *, by: str, epochs: int = 4, most: int = 1000) -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)
    schedule = made(optimizer, len(loader))
    taken = 0
    for _ in range(epochs):
        for x, y in loader:
            loss = step(model, optimizer, x, y)
            taken += 1
            if by == "batch":
                schedule.step()
            if taken == most:
                return
        if by == "epoch":
            schedule.step()
        elif by == "loss":
            schedule.step(loss.item())


def fractions() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(X, Y), batch_size=16)
    schedule = schedules.CosineAnnealingLR(optimizer, 4)
    for epoch in range(4):
        for number, (x, y) in enumerate(loader):
            step(model, optimizer, x, y)
            with warnings.catch_warnings(action="ignore"):
                schedule.step(epoch + number / len(loader))  # type: ignore[arg-type]  # it takes fractions


SCHEDULES: dict[str, Callable[[], None]] = {
    "cycle of batches": lambda: scheduled(
        lambda optimizer, length: schedules.OneCycleLR(optimizer, 0.1, epochs=4, steps_per_epoch=length), by="batch"
    ),
    "warm-up by the batch": lambda: scheduled(
        lambda optimizer, _: schedules.LambdaLR(optimizer, lambda number: min(1.0, number / 50)), by="batch"
    ),
    "plateau": lambda: scheduled(lambda optimizer, _: schedules.ReduceLROnPlateau(optimizer), by="loss"),
    "restarts by the batch": lambda: scheduled(
        lambda optimizer, _: schedules.CosineAnnealingWarmRestarts(optimizer, 10), by="batch"
    ),
    "warm-up, then cosine, by the epoch": lambda: scheduled(
        lambda optimizer, _: schedules.SequentialLR(
            optimizer,
            [schedules.LinearLR(optimizer, 0.1), schedules.CosineAnnealingLR(optimizer, 3)],
            milestones=[1],
        ),
        by="epoch",
    ),
    "steps in batches": lambda: scheduled(lambda optimizer, _: schedules.StepLR(optimizer, 20), by="batch"),
    "slow decay by the batch": lambda: scheduled(
        lambda optimizer, _: schedules.ExponentialLR(optimizer, 0.95), by="batch"
    ),
    "cosine to a number of steps": lambda: scheduled(
        lambda optimizer, _: schedules.CosineAnnealingLR(optimizer, 8), by="batch", most=8
    ),
    "cosine at fractions of an epoch": fractions,
    "cosine that ends early": lambda: scheduled(
        lambda optimizer, _: schedules.CosineAnnealingLR(optimizer, 6), by="epoch"
    ),
    "cosine of a pass": lambda: scheduled(
        lambda optimizer, length: schedules.CosineAnnealingLR(optimizer, length), by="batch"
    ),
}


def averaged_at_the_end() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    later = schedules.StepLR(optimizer, 3)
    schedule = schedules.CosineAnnealingLR(optimizer, 40)
    loader = DataLoader(TensorDataset(X, Y), batch_size=32)
    for epoch in range(5):
        for x, y in loader:
            step(model, optimizer, x, y)
        (schedule if epoch < 30 else later).step()


TRAININGS = (
    generator_without_gradients,
    teacher_in_training_mode,
    averages_over_dropout,
    attack_in_test_mode,
    frozen_norms,
    accuracy_of_the_training,
    same_batch_once_more,
    averages_renewed,
    evaluated_with_gradients,
    clipped_one_after_the_other,
    clipped_at_each_part,
    clipped_in_a_closure,
    clipped_parameter_by_parameter,
    norm_asked_for,
    scaler_with_two_optimizers,
    scaler_that_is_off,
    state_carried_on,
    summed_before_backward,
    reference_cycles,
    look_back,
    master_weights,
    rounding_by_chance,
    warming_up_in_bfloat16,
    averaged_at_the_end,
)


def said(train: Callable[[], None], *codes: str) -> tuple[Finding, ...]:
    return diagnose(heard(train), select=codes or RULES).findings


@pytest.mark.parametrize("train", TRAININGS, ids=lambda each: each.__name__)
def test_nothing_is_said_of_what_is_meant(train: Callable[[], None]) -> None:
    assert [each for each in said(train) if each.severity != "info"] == []


@pytest.mark.parametrize("name", SCHEDULES)
def test_nothing_is_said_of_schedules_that_are_counted_well(name: str) -> None:
    assert said(SCHEDULES[name], "SCH005") == ()


class Functional(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.first, self.last = name, nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        left = getattr(F, self.name)(self.first(x), 0.2, self.training)
        return self.last(left)


class Recurrent(nn.Module):
    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.packed, self.cell, self.last = packed, nn.LSTM(6, 8, 2, dropout=0.2), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        given: Any = x[None]
        if self.packed:
            given = nn.utils.rnn.pack_padded_sequence(given, torch.ones(len(x), dtype=torch.int64))
        made = self.cell(given)[0]
        return self.last(made.data.reshape(-1, 8) if self.packed else made[0])


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: Functional("dropout"), "dropout is"),
        (lambda: Functional("alpha_dropout"), "dropout is"),
        (lambda: Functional("feature_alpha_dropout"), "dropout is"),
        (lambda: Recurrent(packed=False), "dropout is"),
        (lambda: Recurrent(packed=True), "dropout is"),
        (lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)), "batch norm is"),
        (lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, track_running_stats=False)), ""),
        (lambda: nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.0)), ""),
        (lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3)), ""),
    ],
)
def test_whatever_depends_on_the_mode_is_heard(made: Callable[[], nn.Module], kind: str) -> None:
    def train() -> None:
        model = made()
        optimizer = SGD(model.parameters(), lr=0.1)
        for number, (x, y) in enumerate(batches()):
            step(model, optimizer, x, y)
            if number == 4:
                model.eval()

    found = said(train, "OPT009")
    assert [kind in each.message for each in found] == ([True] if kind else [])


def test_a_part_of_a_network_in_test_mode_is_not_the_network() -> None:
    """The head learns in training mode all the time; the backbone is called by itself, in test mode, and is frozen."""

    def train() -> None:
        backbone, head = network(), nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 3))
        backbone.requires_grad_(False)
        optimizer = SGD([*backbone.parameters(), *head.parameters()], lr=0.1)
        for number, (x, y) in enumerate(batches()):
            backbone.train(number < 3)
            optimizer.zero_grad()
            F.cross_entropy(head(backbone(x)), y).backward()
            optimizer.step()

    assert said(train, "OPT009") == ()


def test_a_loss_within_the_network_is_an_evaluation_too() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = network()

        def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
            made = self.body(x)
            return {"logits": made, "loss": F.cross_entropy(made, y)}

    def train() -> None:
        model = Own()
        optimizer = SGD(model.parameters(), lr=0.1)
        for x, y in batches():
            optimizer.zero_grad()
            model(x, y)["loss"].backward()
            optimizer.step()
            with torch.no_grad():
                model(X[200:], Y[200:])["loss"].item()

    [finding] = said(train, "OPT009")
    assert finding.severity == "error"
    assert finding.evidence["evaluated"] == 12


def test_the_lines_of_eval_and_of_the_forward_are_named() -> None:
    def train() -> None:
        model = network()
        optimizer = SGD(model.parameters(), lr=0.1)
        for number, (x, y) in enumerate(batches()):
            step(model, optimizer, x, y)
            if number == 4:
                model.eval()

    [finding] = said(train, "OPT009")
    assert finding.where.line == train.__code__.co_firstlineno + 6
    assert f"line {step.__code__.co_firstlineno + 2}" in finding.cause
    assert finding.evidence == {"trained": 5.0, "tested": 7.0}


def test_the_line_that_sums_losses_is_named() -> None:
    def train() -> None:
        model = network()
        optimizer = SGD(model.parameters(), lr=0.1)
        total = torch.zeros(())
        for x, y in batches(14):
            loss = step(model, optimizer, x, y)
            total = 0.9 * total + 0.1 * loss

    [finding] = said(train, "OPT017")
    assert finding.where.line in (train.__code__.co_firstlineno + 6, step.__code__.co_firstlineno + 3)
    assert finding.evidence["retained"] == 12


def warmed(lr: float, *, warm_up: bool) -> Callable[[], None]:
    def train() -> None:
        model = network()
        optimizer = SGD(model.parameters(), lr=lr)
        schedule = schedules.LambdaLR(optimizer, lambda number: min(1.0, (number + 1) / 500) if warm_up else 1.0)
        for x, y in batches(20):
            step(model, optimizer, x, y)
            schedule.step()

    return train


@pytest.mark.parametrize(("warm_up", "factors"), [(True, []), (False, [0.1])])
def test_a_rate_that_warms_up_is_not_tried_higher(warm_up: bool, factors: list[float]) -> None:
    observation = heard(warmed(1e-6, warm_up=warm_up))
    assert [each.factor for each in forks_wanted(observation, select=["OPT003"])] == factors


def sampled(train: Callable[[], None]) -> tuple[Finding, ...]:
    """What is said where most steps are not heard, as in a watch."""
    listener = Listener(lambda _: None, wanted=is_heard)
    with listener.listening():
        train()
    assert listener.troubles == []
    return diagnose(Observation(steps=listener.heard()), select=RULES).findings


def test_of_sampled_steps_the_same_is_said() -> None:
    def train() -> None:
        model = network()
        optimizer = SGD(model.parameters(), lr=0.1)
        losses = []
        for number in range(404):
            losses.append(step(model, optimizer, *batches(1)[0]))
            if number == 60:
                model.eval()

    found = {each.code: each for each in sampled(train)}
    assert set(found) == {"OPT009", "OPT017"}
    # Who put it in test mode was not heard; the forward was.
    assert found["OPT009"].where.line == step.__code__.co_firstlineno + 2
    assert found["OPT009"].evidence == {"trained": 30.0, "tested": 4.0}


def test_of_sampled_steps_of_a_good_training_nothing_is_said() -> None:
    def train() -> None:
        scheduled(
            lambda optimizer, length: schedules.OneCycleLR(optimizer, 0.1, epochs=12, steps_per_epoch=length),
            by="batch",
            epochs=12,
        )
        scheduled(lambda optimizer, _: schedules.ExponentialLR(optimizer, 0.9), by="epoch")

    assert [each for each in sampled(train) if each.severity != "info"] == []
