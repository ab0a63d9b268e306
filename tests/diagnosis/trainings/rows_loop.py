"""The loop itself: modes, clipping, graphs that stay, half precision, schedules, rates that are too low."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from rows import Row, heard
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LRScheduler, OneCycleLR, StepLR
from torch.utils.data import DataLoader, TensorDataset

from trainwell.capture.interventions import changed
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation

Made = Callable[[Optimizer, int], LRScheduler]


def modes(
    lab: Any,
    *,
    again: bool = True,
    tested: bool = True,
    began: bool = True,
    dropout: float = 0.3,
    norm: bool = True,
    known: bool = False,
) -> Observation:
    """Epochs with an evaluation after each.

    Args:
        again: whether `train()` is called at the beginning of each.
        tested: whether `eval()` is called before the evaluation.
        began: whether the first epoch is in training mode.
        known: whether the batch norms have seen batches before.
    """
    split = lab.digits()

    def train() -> None:
        torch.manual_seed(0)
        model = lab.mlp(64, 32, 10, dropout=dropout, norm=norm)
        optimizer = SGD(model.parameters(), lr=0.1)
        if known:
            with torch.no_grad():
                model(split.x)
        if not began:
            model.eval()
        for epoch in range(3):
            if again and began:
                model.train()
            for place in range(epoch * 160, epoch * 160 + 160, 32):
                optimizer.zero_grad()
                F.cross_entropy(model(split.x[place : place + 32]), split.y[place : place + 32]).backward()
                optimizer.step()
            if tested:
                model.eval()
            with torch.no_grad():
                F.cross_entropy(model(split.xv[:64]), split.yv[:64]).item()

    return heard(train)


def clipped(lab: Any, *, place: str, limit: float = 1.0, by_value: bool = False, lr: float = 0.1) -> Observation:
    """Steps with clipping at a place: before or after backward, or after the step."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = SGD(model.parameters(), lr=lr)

        def clip() -> None:
            if by_value:
                clip_grad_value_(model.parameters(), limit)
            else:
                clip_grad_norm_(model.parameters(), limit)

        for number in range(12):
            optimizer.zero_grad(set_to_none=False)
            if place == "before" and number:
                clip()
            F.cross_entropy(model(split.x[:32]), split.y[:32]).backward()
            if place == "between":
                clip()
            optimizer.step()
            if place == "after":
                clip()

    return heard(train)


def scaled(lab: Any, *, unscaled: bool) -> Observation:
    """Steps with a loss scale, and clipping."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for _ in range(8):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(split.x[:32]), split.y[:32])).backward()
            if unscaled:
                scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()

    return heard(train)


def summed(lab: Any, take: Callable[[Tensor], Any]) -> Observation:
    """A sum of what is taken of each loss."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = SGD(model.parameters(), lr=0.1)
        total: Any = 0
        for _ in range(14):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(split.x[:32]), split.y[:32])
            loss.backward()
            optimizer.step()
            total += take(loss)

    return heard(train)


def stored(lab: Any, take: Callable[[Tensor], Any], *, most: int = 100) -> Observation:
    """The last so many of what is taken of each loss, in a list."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = SGD(model.parameters(), lr=0.1)
        losses: list[Any] = []
        for _ in range(24):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(split.x[:32]), split.y[:32])
            loss.backward()
            optimizer.step()
            losses = [*losses, take(loss)][-most:]

    return heard(train)


def halved(lab: Any, *, lr: float, autocast: bool = False) -> Observation:
    """Steps of AdamW on weights in bfloat16, or on weights in float32 that compute in it."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        model = model if autocast else model.bfloat16()
        optimizer = AdamW(model.parameters(), lr=lr)
        for _ in range(12):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                loss = F.cross_entropy(model(split.x[:32].to(model[0].weight.dtype)), split.y[:32])
            loss.backward()
            optimizer.step()

    return heard(train)


EPOCHS = 6


def scheduled(lab: Any, made: Made, *, by: str, batch: int = 40) -> Observation:
    """Epochs of a loader with a schedule that is stepped by the batch, by the epoch or never."""
    split = lab.digits()
    loader = DataLoader(TensorDataset(split.x[:480], split.y[:480]), batch_size=batch)

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = SGD(model.parameters(), lr=0.1)
        schedule = made(optimizer, len(loader))
        for _ in range(EPOCHS):
            for x, y in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
                if by == "batch":
                    schedule.step()
            if by == "epoch":
                schedule.step()

    return heard(train)


def forgotten(lab: Any) -> Observation:
    """Steps with a schedule that nobody keeps."""
    split = lab.digits()
    model = lab.mlp(64, 32, 10)

    def train() -> None:
        optimizer = SGD(model.parameters(), lr=0.1)
        StepLR(optimizer, 10)
        for _ in range(6):
            optimizer.zero_grad()
            F.cross_entropy(model(split.x[:32]), split.y[:32]).backward()
            optimizer.step()

    return heard(train)


def rated(lab: Any, *, lr: float) -> Observation:
    """Steps of Adam at a rate, and the same at others."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = Adam(model.parameters(), lr=lr)
        for number in range(18):
            optimizer.zero_grad()
            chosen = slice(number * 40, number * 40 + 40)
            F.cross_entropy(model(split.x[chosen]), split.y[chosen]).backward()
            optimizer.step()

    plain = heard(train)
    assert plain.steps is not None
    found = []
    for factor in (0.1, 10.0, 100.0, 1000.0):
        fork = Fork(changed="learning rate", factor=factor)
        with changed(fork):
            again = heard(train)
        assert again.steps is not None
        found.append(replace(fork, values=again.steps.values))
    return replace(plain, forks=Forks(unchanged=plain.steps.values, changed=tuple(found)))


def grown(lab: Any, *, lr: float) -> Observation:
    """Steps of a classifier at a rate."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = SGD(model.parameters(), lr=lr)
        for place in range(0, 480, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(split.x[place : place + 32]), split.y[place : place + 32]).backward()
            optimizer.step()

    return heard(train)


def itself(loss: Tensor) -> Tensor:
    return loss


CASES: dict[str, Callable[[Any], Observation]] = {
    "train() forgotten after an evaluation": lambda lab: modes(lab, again=False),
    "train() and eval() each time": lambda lab: modes(lab),
    "eval() forgotten before an evaluation": lambda lab: modes(lab, tested=False),
    "nothing that depends on the mode": lambda lab: modes(lab, again=False, tested=False, dropout=0.0, norm=False),
    "test mode from the first step": lambda lab: modes(lab, began=False, norm=False),
    "new batch norms in test mode": lambda lab: modes(lab, began=False, dropout=0.0),
    "known batch norms in test mode": lambda lab: modes(lab, began=False, dropout=0.0, known=True),
    "clipped before backward": lambda lab: clipped(lab, place="before"),
    "clipped after the step": lambda lab: clipped(lab, place="after"),
    "clipped between": lambda lab: clipped(lab, place="between"),
    "values clipped before backward": lambda lab: clipped(lab, place="before", by_value=True, limit=0.01),
    "values clipped between": lambda lab: clipped(lab, place="between", by_value=True, limit=0.01),
    "clipped while scaled": lambda lab: scaled(lab, unscaled=False),
    "clipped after unscaling": lambda lab: scaled(lab, unscaled=True),
    "clipped to nothing": lambda lab: clipped(lab, place="between", limit=1e-4),
    "losses summed": lambda lab: summed(lab, itself),
    "numbers summed": lambda lab: summed(lab, Tensor.item),
    "losses stored": lambda lab: stored(lab, itself),
    "detached losses stored": lambda lab: stored(lab, Tensor.detach),
    "the last losses stored": lambda lab: stored(lab, itself, most=12),
    "the last three losses stored": lambda lab: stored(lab, itself, most=3),
    "bfloat16, low rate": lambda lab: halved(lab, lr=1e-5),
    "bfloat16, usual rate": lambda lab: halved(lab, lr=1e-3),
    "cosine of epochs, by the batch": lambda lab: scheduled(
        lab, lambda optimizer, _: CosineAnnealingLR(optimizer, EPOCHS), by="batch"
    ),
    "cosine of batches, by the batch": lambda lab: scheduled(
        lab, lambda optimizer, length: CosineAnnealingLR(optimizer, EPOCHS * length), by="batch"
    ),
    "decay of epochs, by the batch": lambda lab: scheduled(
        lab, lambda optimizer, _: ExponentialLR(optimizer, 0.8), by="batch"
    ),
    "decay of epochs, by the epoch": lambda lab: scheduled(
        lab, lambda optimizer, _: ExponentialLR(optimizer, 0.8), by="epoch"
    ),
    "cycle of batches, by the epoch": lambda lab: scheduled(
        lab, lambda optimizer, length: OneCycleLR(optimizer, 0.5, total_steps=EPOCHS * length), by="epoch"
    ),
    "cycle of epochs, by the epoch": lambda lab: scheduled(
        lab, lambda optimizer, _: OneCycleLR(optimizer, 0.5, total_steps=EPOCHS), by="epoch"
    ),
    "schedule that nobody keeps": forgotten,
    "schedule that is not reached": lambda lab: scheduled(lab, lambda optimizer, _: StepLR(optimizer, 2), by="never"),
    "rate far too low": lambda lab: rated(lab, lr=1e-5),
    "rate of Adam": lambda lab: rated(lab, lr=3e-3),
    "loss that grows": lambda lab: grown(lab, lr=10.0),
    "loss that falls": lambda lab: grown(lab, lr=0.05),
}

ROWS: tuple[Row, ...] = (
    Row(
        code="OPT009",
        fires="train() forgotten after an evaluation",
        misses="train() and eval() each time",
        severity="error",
        message="The network is trained in test mode: dropout and batch norm are as in a test for all # steps since an "
        "evaluation, after # steps in training mode.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT009",
        fires="eval() forgotten before an evaluation",
        misses="nothing that depends on the mode",
        severity="error",
        message="The network is evaluated in training mode: in # calls without gradients dropout leaves numbers out at "
        "random and batch norm learns its averages from the test data.",
        threshold="LEAST_JUDGED",
        changed_to=100,
    ),
    Row(
        code="OPT009",
        fires="test mode from the first step",
        misses="known batch norms in test mode",
        severity="info",
        message="The network is trained in test mode from the first step on: in # steps dropout does nothing.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT009",
        fires="new batch norms in test mode",
        misses="known batch norms in test mode",
        severity="warning",
        message="The network is trained in test mode from the first step on: in # steps its batch norms have never "
        "seen a batch and pass on what they get.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT015",
        fires="clipped before backward",
        misses="clipped between",
        severity="error",
        message="`clip_grad_norm_` limits no gradient: all # steps are taken along gradients that came after it, with "
        "a norm of # (median) at a limit of #.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT015",
        fires="clipped after the step",
        misses="clipped between",
        severity="error",
        message="`clip_grad_norm_` limits no gradient: all # steps are taken along gradients that came after it, with "
        "a norm of # (median) at a limit of #.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT015",
        fires="values clipped before backward",
        misses="values clipped between",
        severity="error",
        message="`clip_grad_value_` limits no gradient: all # steps are taken along gradients that came after it, with "
        "a largest number of # (median) at a limit of #.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT015",
        fires="clipped while scaled",
        misses="clipped after unscaling",
        severity="error",
        message="`clip_grad_norm_` is given gradients that are still multiplied by the loss scale, # in all # calls: "
        "its limit of # is one of #.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT015",
        fires="clipped to nothing",
        misses="clipped between",
        severity="warning",
        message="The gradient is clipped at all # steps, to a norm of #: before, it is # times that (median), and "
        "never less than # times.",
        threshold="MANY",
        changed_to=1e9,
    ),
    Row(
        code="OPT017",
        fires="losses summed",
        misses="numbers summed",
        severity="error",
        message="The graphs of # earlier losses are in memory at once, each of # operations: after # backward passes "
        "none of the later ones has been freed.",
        threshold="SUMMED",
        changed_to=100,
    ),
    Row(
        code="OPT017",
        fires="losses stored",
        misses="detached losses stored",
        severity="error",
        message="The graphs of # earlier losses are in memory at once, each of # operations: after # backward passes "
        "none of the later ones has been freed.",
        threshold="RETAINED",
        changed_to=100,
    ),
    Row(
        code="OPT017",
        fires="the last losses stored",
        misses="the last three losses stored",
        severity="info",
        message="The graphs of the last # losses are in memory at any time, each of # operations.",
        threshold="STEADY",
        changed_to=100,
    ),
    Row(
        code="OPT018",
        fires="bfloat16, low rate",
        misses="bfloat16, usual rate",
        severity="error",
        message="#% of # weights in bfloat# are bit for bit what they were # steps before, though each got a gradient: "
        "#% of all changes were rounded away.",
        threshold="MOST",
        changed_to=1.0,
    ),
    Row(
        code="SCH005",
        fires="cosine of epochs, by the batch",
        misses="cosine of batches, by the batch",
        severity="error",
        message="`CosineAnnealingLR` with `T_max=#` is stepped after each of # optimizer steps. A pass of the loader "
        "has # of them, and the loop around it goes round # times: the rate goes down and up # times in each pass. It "
        "has come up # times so far.",
        threshold="SHARE",
        changed_to=0.0,
    ),
    Row(
        code="SCH005",
        fires="decay of epochs, by the batch",
        misses="decay of epochs, by the epoch",
        severity="error",
        message="`ExponentialLR` is stepped after each of # optimizer steps. A pass of the loader has # of them and "
        "the loop around it goes round # times: half way, # of the rate is left.",
        threshold="LEFT",
        changed_to=0.0,
    ),
    Row(
        code="SCH005",
        fires="cycle of batches, by the epoch",
        misses="cycle of epochs, by the epoch",
        severity="error",
        message="`OneCycleLR` is made for # steps, as many as # passes of the loader have, and is stepped # times in # "
        "passes: the training ends when #% of it is over.",
        threshold="EXACT",
        changed_to=-1,
    ),
    Row(
        code="SCH005",
        fires="schedule that nobody keeps",
        misses="decay of epochs, by the epoch",
        severity="error",
        message="`StepLR` is made and not stepped in # optimizer steps, and the source does nothing more with it.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="SCH005",
        fires="schedule that is not reached",
        misses="decay of epochs, by the epoch",
        severity="info",
        message="`StepLR` is made and not stepped in # optimizer steps and # passes of the loader.",
        threshold="PASSES",
        changed_to=100,
    ),
    Row(
        code="OPT003",
        fires="rate far too low",
        misses="rate of Adam",
        severity="warning",
        message="In # steps the loss goes from # to #; at this speed # steps bring it down by #%. At # times the "
        "learning rate the same steps bring it to #.",
        threshold="DOWN",
        changed_to=0.0,
    ),
    Row(
        code="OPT001",
        fires="loss that grows",
        misses="loss that falls",
        severity="warning",
        message="The loss grows from # to # in # steps.",
        threshold="GROWN",
        changed_to=1e30,
    ),
)
