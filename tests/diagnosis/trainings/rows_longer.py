"""What shows itself after more than the first steps, or of which the source says what is meant."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from rows import Row, heard
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, MultiStepLR
from torch.utils.data import DataLoader, TensorDataset

from trainwell.core.records.observation import Observation


def against(labels: Tensor) -> Callable[[Tensor], Tensor]:
    """The cross-entropy with labels, or the squared error with numbers."""

    def loss(out: Tensor) -> Tensor:
        if labels.is_floating_point():
            return F.mse_loss(out, labels.reshape(out.shape))
        return F.cross_entropy(out.flatten(0, -2), labels.flatten())

    return loss


def stepped(model: Callable[[Tensor], Tensor], optimizer: Any, loss: Callable[[Tensor], Tensor], x: Tensor) -> None:
    optimizer.zero_grad()
    loss(model(x)).backward()
    optimizer.step()


def validated(lab: Any, start: int) -> Observation:
    """Epochs over 320 digits, after each of which 64 of all are asked about."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10)
        optimizer = SGD(model.parameters(), lr=0.1)
        validation = split.x[start : start + 64]
        for _ in range(2):
            for place in range(0, 320, 32):
                labels = split.y[place : place + 32]
                stepped(model, optimizer, against(labels), split.x[place : place + 32])
            with torch.no_grad():
                (model(validation).argmax(dim=1) == split.y[start : start + 64]).sum().item()

    return heard(train)


def columns(*, leak: bool) -> Observation:
    """A table one of whose columns may be the target."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(128, 5, generator=draw), torch.randn(128, generator=draw)
    if leak:
        x[:, 3] = 1 - 2 * y

    def train() -> None:
        model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1))
        optimizer = SGD(model.parameters(), lr=0.01)
        for place in range(0, 128, 16):
            targets = y[place : place + 16]
            stepped(model, optimizer, against(targets), x[place : place + 16])

    return heard(train)


class Words(nn.Module):
    """Each word by itself, or with those before it."""

    def __init__(self, *, backwards: bool = True) -> None:
        super().__init__()
        self.word, self.last = nn.Embedding(12, 8), nn.Linear(8, 12)
        self.read = nn.GRU(8, 8, batch_first=True) if backwards else None

    def forward(self, x: Tensor) -> Tensor:
        made = self.word(x)
        found: Tensor = self.last(self.read(made)[0] if self.read else made)
        return found


def copied(*, ahead: int) -> Observation:
    """Words to be told from words: the same ones, or the next."""
    draw = torch.Generator().manual_seed(0)
    text = torch.randint(12, (8, 11), generator=draw)

    def train() -> None:
        model = Words()
        optimizer = Adam(model.parameters(), lr=0.01)
        for number in range(8):
            words = text.roll(number, 0)
            x, y = words[:, :10], words[:, ahead : 10 + ahead]
            stepped(model, optimizer, against(y), x)

    return heard(train)


def written(*, twice: bool) -> Observation:
    """A loss that is written by hand, of logits or of shares."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(32, 4, generator=draw), torch.randint(2, (32,), generator=draw).float()

    def loss(out: Tensor) -> Tensor:
        given = out.squeeze(1)
        given = given.sigmoid() if twice else given
        return -(y * F.logsigmoid(given) + (1 - y) * F.logsigmoid(-given)).mean()

    def train() -> None:
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        optimizer = SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            stepped(model, optimizer, loss, x)

    return heard(train)


def classified(
    lab: Any,
    *,
    outputs: int = 10,
    epochs: int = 4,
    shuffled: bool = False,
    several: int = 0,
    sign: float = 1.0,
    rate: float = 0.1,
    maximize: bool = False,
) -> Observation:
    """Epochs over some hundred digits; the labels may be shuffled, or be several at once."""
    split = lab.digits()
    labels = split.y[:480]
    if shuffled:
        labels = labels[torch.randperm(480, generator=torch.Generator().manual_seed(0))]
    if several:
        shares = torch.zeros(480, 10)
        for more in range(several):
            shares[torch.arange(480), (labels + more) % 10] = 1.0
    else:
        shares = F.one_hot(labels, max(outputs, 10)).float()

    def loss(place: int, out: Tensor) -> Tensor:
        if sign < 0:
            return (shares[place : place + 24] * F.log_softmax(out, dim=1)).sum(dim=1).mean()
        if several:
            return F.cross_entropy(out, shares[place : place + 24])
        return F.cross_entropy(out, labels[place : place + 24])

    def train() -> None:
        torch.manual_seed(0)
        model = lab.mlp(64, 16, outputs)
        optimizer = SGD(model.parameters(), lr=rate, maximize=maximize)
        for _ in range(epochs):
            for place in range(0, 480, 24):
                stepped(model, optimizer, partial(loss, place), split.x[place : place + 24])

    return heard(train)


def two_networks(lab: Any, *, both: bool) -> Observation:
    """An encoder and a head, of which the optimizer may have the head alone."""
    split = lab.digits()

    def train() -> None:
        encoder, head = lab.mlp(64, 16, 12), nn.Linear(12, 10)
        optimizer = SGD([*(encoder.parameters() if both else ()), *head.parameters()], lr=0.1)
        for number in range(12):
            labels = split.y[number * 16 : number * 16 + 16]
            stepped(
                lambda x: head(encoder(x)),
                optimizer,
                against(labels),
                split.x[number * 16 : number * 16 + 16],
            )

    return heard(train)


class Looked(nn.Module):
    """Vectors of a table, looked up in it or in its numbers."""

    def __init__(self, *, data: bool) -> None:
        super().__init__()
        self.table, self.last, self.data = nn.Embedding(20, 6), nn.Linear(6, 3), data

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.table.weight.data[x] if self.data else self.table(x))
        return found


def looked_up(*, data: bool) -> Observation:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randint(20, (96,), generator=draw), torch.randint(3, (96,), generator=draw)

    def train() -> None:
        model = Looked(data=data)
        optimizer = SGD(model.parameters(), lr=0.1)
        for place in range(0, 96, 8):
            labels = y[place : place + 8]
            stepped(model, optimizer, against(labels), x[place : place + 8])

    return heard(train)


def judged_first(lab: Any, *, again: bool) -> Observation:
    """An evaluation before the first step, after which the network is put in training mode again, or is not."""
    split = lab.digits()

    def train() -> None:
        model = lab.mlp(64, 32, 10, dropout=0.3)
        optimizer = SGD(model.parameters(), lr=0.1)
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(split.xv[:32]), split.yv[:32]).item()
        model.train(again)
        for _ in range(6):
            stepped(model, optimizer, lambda out: F.cross_entropy(out, split.y[:32]), split.x[:32])

    return heard(train)


def scheduled(lab: Any, kind: str, *, by_batch: int = 1) -> Observation:
    """Four epochs of ten steps, with a schedule that is stepped so many times a batch, or once an epoch."""
    split = lab.digits()
    loader = DataLoader(TensorDataset(split.x[:160], split.y[:160]), batch_size=16)

    def train() -> None:
        model = lab.mlp(64, 16, 10)
        optimizer = SGD(model.parameters(), lr=0.1)
        made: dict[str, Callable[[], LRScheduler]] = {
            "milestones": lambda: MultiStepLR(optimizer, [2, 3]),
            "cosine": lambda: CosineAnnealingLR(optimizer, 40),
            "line": lambda: LinearLR(optimizer, 1.0, 0.1, total_iters=4),
        }
        schedule = made[kind]()
        for _ in range(4):
            for x, y in loader:
                stepped(model, optimizer, against(y), x)
                for _ in range(by_batch):
                    schedule.step()
            if not by_batch:
                schedule.step()

    return heard(train)


def windows(*, moves: bool) -> Observation:
    """Rows that are taken of a larger table at each step: the same ones, or others."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(400, 4, generator=draw), torch.randn(400, 1, generator=draw)

    def train() -> None:
        model = nn.Linear(4, 1)
        optimizer = SGD(model.parameters(), lr=0.01)
        for step in range(12):
            place = step * 8 if moves else 0
            targets = y[place : place + 8]
            stepped(model, optimizer, against(targets), x[place : place + 8])

    return heard(train)


CASES: dict[str, Callable[[Any], Observation]] = {
    "trained on what is validated": lambda lab: validated(lab, 0),
    "validated on others": lambda lab: validated(lab, 400),
    "target among the columns": lambda lab: columns(leak=True),
    "columns of their own": lambda lab: columns(leak=False),
    "targets not moved on": lambda lab: copied(ahead=0),
    "targets moved on": lambda lab: copied(ahead=1),
    "logarithm of a sigmoid of a sigmoid": lambda lab: written(twice=True),
    "logarithm of a sigmoid": lambda lab: written(twice=False),
    "far more outputs than classes": lambda lab: classified(lab, outputs=100),
    "as many outputs as classes": lambda lab: classified(lab),
    "several classes at once": lambda lab: classified(lab, several=3),
    "one class at once": lambda lab: classified(lab, several=1),
    "labels shuffled": lambda lab: classified(lab, shuffled=True, epochs=6, rate=0.02),
    "labels in place": lambda lab: classified(lab, epochs=6, rate=0.02),
    "likelihood without its minus": lambda lab: classified(lab, sign=-1.0),
    "maximized": lambda lab: classified(lab, maximize=True, rate=0.01),
    "encoder of no optimizer": lambda lab: two_networks(lab, both=False),
    "encoder and head": lambda lab: two_networks(lab, both=True),
    "table read as data": lambda lab: looked_up(data=True),
    "table looked up": lambda lab: looked_up(data=False),
    "judged first and left so": lambda lab: judged_first(lab, again=False),
    "judged first": lambda lab: judged_first(lab, again=True),
    "milestones by the batch": lambda lab: scheduled(lab, "milestones"),
    "milestones by the epoch": lambda lab: scheduled(lab, "milestones", by_batch=0),
    "cosine three times a batch": lambda lab: scheduled(lab, "cosine", by_batch=3),
    "cosine by the batch": lambda lab: scheduled(lab, "cosine"),
    "line by the batch": lambda lab: scheduled(lab, "line"),
    "line by the epoch": lambda lab: scheduled(lab, "line", by_batch=0),
    "window that stays": lambda lab: windows(moves=False),
    "window that moves": lambda lab: windows(moves=True),
}

ROWS: tuple[Row, ...] = (
    Row(
        code="DAT006",
        fires="trained on what is validated",
        misses="validated on others",
        severity="warning",
        message="# of the # samples that are evaluated here as held-out data (#%) were trained on: the score is too "
        "good.",
        threshold="SHARE",
        changed_to=1.0,
    ),
    Row(
        code="DAT009",
        fires="labels shuffled",
        misses="labels in place",
        severity="warning",
        message="In # steps the loss comes to #, where a constant answer costs #, and simple models fitted to them get "
        "#% of # other samples right, where the best constant answer gets #%: the labels seem unrelated to the inputs.",
        threshold="LEARNT",
        changed_to=1.0,
    ),
    Row(
        code="DEP002",
        fires="target among the columns",
        misses="columns of their own",
        severity="error",
        message="Column # of the # input columns is the target, scaled and moved, in all # samples looked at: the "
        "answer stands in the input.",
        threshold="FEWEST",
        changed_to=1e9,
    ),
    Row(
        code="DEP002",
        fires="targets not moved on",
        misses="targets moved on",
        severity="error",
        message="The targets are the inputs themselves, position by position (#% of them), and each output sees its "
        "own: the last one changes by up to #% of the outputs' standard deviation when only the last input is "
        "exchanged.",
        threshold="CHANGED",
        changed_to=1e9,
    ),
    Row(
        code="DEP003",
        fires="window that stays",
        misses="window that moves",
        severity="error",
        message="At each of # steps the same part is taken here, of # such parts that there are, and the network is "
        "given nothing else.",
        threshold="LEAST",
        changed_to=1e9,
    ),
    Row(
        code="ACT006",
        fires="logarithm of a sigmoid of a sigmoid",
        misses="logarithm of a sigmoid",
        severity="error",
        message="The loss takes the logarithm of a sigmoid, and what it takes it of has passed a sigmoid already: all "
        "of it lies between # and #.",
        threshold="ALLOWED",
        changed_to=1,
    ),
    Row(
        code="ACT007",
        fires="far more outputs than classes",
        misses="as many outputs as classes",
        severity="warning",
        message="The network has # outputs, but no class above # occurs in # samples, and all of them came more than "
        "once.",
        threshold="SURE",
        changed_to=1e9,
    ),
    Row(
        code="OPT001",
        fires="likelihood without its minus",
        misses="as many outputs as classes",
        severity="error",
        message="The loss starts at -#, the log-likelihood of # classes, and falls to -# in # steps: each step makes "
        "the right classes less likely.",
        threshold="UNBOUNDED",
        changed_to=1e9,
    ),
    Row(
        code="OPT001",
        fires="maximized",
        misses="as many outputs as classes",
        severity="error",
        message="The optimizer maximizes, and what it is given is a cross-entropy: the loss goes from # to # in # "
        "steps.",
        threshold="UPHILL",
        changed_to=1e9,
    ),
    Row(
        code="OPT006",
        fires="encoder of no optimizer",
        misses="encoder and head",
        severity="warning",
        message='Layer "#", and # layer more, gets gradients, but no optimizer has its weights: # numbers stay as they '
        "were.",
        threshold="APART",
        changed_to=1e9,
    ),
    Row(
        code="OPT007",
        fires="table read as data",
        misses="table looked up",
        severity="error",
        message='No gradient reaches layer "table" in # steps: its numbers are used without any. # numbers that the '
        "optimizer has stay as they were.",
        threshold="APART",
        changed_to=1e9,
    ),
    Row(
        code="OPT009",
        fires="judged first and left so",
        misses="judged first",
        severity="error",
        message="The network is trained in test mode: an evaluation before the first step put it there, and dropout "
        "does nothing in # steps.",
        threshold="LEAST",
        changed_to=1e9,
    ),
    Row(
        code="OPT012",
        fires="several classes at once",
        misses="one class at once",
        severity="error",
        message="The cross-entropy is given samples of # to # classes at once: its softmax makes the classes of one "
        "sample compete with each other.",
        threshold="HALF",
        changed_to=1e9,
    ),
    Row(
        code="SCH005",
        fires="milestones by the batch",
        misses="milestones by the epoch",
        severity="error",
        message="`MultiStepLR` is stepped after each of # optimizer steps, and its last milestone is #: it is passed "
        "within the first pass of the loader, which has # of them.",
        threshold="BY_BATCH",
        changed_to=1e9,
    ),
    Row(
        code="SCH005",
        fires="cosine three times a batch",
        misses="cosine by the batch",
        severity="error",
        message="`CosineAnnealingLR` with `T_max=#` is stepped # times in # optimizer steps: the rate has come down "
        "and up again # time.",
        threshold="SEVERAL",
        changed_to=1e9,
    ),
    Row(
        code="SCH005",
        fires="line by the batch",
        misses="line by the epoch",
        severity="error",
        message="`LinearLR` is stepped after each of # optimizer steps, and ends after # of them: all later ones are "
        "taken at its last rate.",
        threshold="LONG",
        changed_to=1e9,
    ),
)
