"""What is told of the classes of a script, of its recurrent weights, and where no other training can be compared."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from rows import Row, heard
from torch import Tensor, nn
from torch.optim import SGD, Adam

from trainwell.capture.interventions import changed
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation


def forked(train: Callable[[], None], *forks: Fork) -> Observation:
    """A training, and the same with one thing changed, with what each class costs."""
    plain = heard(train)
    assert plain.steps is not None
    tried = []
    for fork in forks:
        with changed(fork):
            again = heard(train).steps
        assert again is not None
        made = replace(fork, values=again.values, tested=again.tested)
        if again.classes is not None:
            made = replace(made, by_class=again.classes.losses, tested_by_class=again.classes.tested_losses)
        tried.append(made)
    chance = plain.initial_loss.best_constant if plain.initial_loss else math.nan
    return replace(plain, forks=Forks(unchanged=plain.steps.values, changed=tuple(tried), chance=chance))


def screened(*, rare: float, evaluated: bool = False) -> Observation:
    """Two clouds of samples that overlap; of one of them there are few."""

    def train() -> None:
        torch.manual_seed(0)
        labels = (torch.rand(600) < rare).long()
        x = torch.randn(600, 6) + 0.5 * labels.unsqueeze(1)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = SGD(model.parameters(), lr=0.1)
        loss = nn.CrossEntropyLoss()
        for step in range(60):
            rows = torch.randint(0, 400, (64,))
            optimizer.zero_grad()
            loss(model(x[rows]), labels[rows]).backward()
            optimizer.step()
            if evaluated and step % 20 == 19:
                with torch.no_grad():
                    loss(model(x[400:]), labels[400:])

    return forked(train, Fork(changed="classes counted alike"))


def normalized(lab: Any, *, samples: int) -> Observation:
    """Pictures of digits, a few at a time, whose positions are much alike: of one shade each."""
    shades = lab.digits().x.mean(dim=1)

    def train() -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 1))
        optimizer = SGD(model.parameters(), lr=1e-3)
        for place in range(0, 24 * samples, samples):
            rows = shades[place : place + samples].view(-1, 1, 1, 1)
            noise = 0.05 * torch.randn(samples, 1, 8, 8)
            optimizer.zero_grad()
            model(rows + noise).square().mean().backward()
            optimizer.step()

    return heard(train)


class Steep(nn.Module):
    """A code that may be almost binary."""

    def __init__(self, *, steepness: float) -> None:
        super().__init__()
        self.code, self.last = nn.Linear(6, 16), nn.Linear(16, 1)
        self.steepness = steepness

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.last(torch.tanh(self.steepness * self.code(x)))
        return made


def coded(*, steepness: float) -> Observation:
    def train() -> None:
        torch.manual_seed(0)
        model = Steep(steepness=steepness)
        optimizer = SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(32, 6)).square().mean().backward()
            optimizer.step()

    return heard(train)


class Remembers(nn.Module):
    """Whether the first of a sequence was above 0."""

    def __init__(self, *, std: float | None) -> None:
        super().__init__()
        self.memory, self.last = nn.GRU(1, 32, batch_first=True), nn.Linear(32, 2)
        if std is not None:
            nn.init.normal_(self.memory.get_parameter("weight_hh_l0"), std=std)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.memory(x)[0][:, -1])
        return found


def remembered(*, std: float | None) -> Observation:
    def train() -> None:
        torch.manual_seed(0)
        model = Remembers(std=std)
        optimizer = Adam(model.parameters(), lr=0.01)
        for _ in range(60):
            x = torch.randn(64, 8, 1)
            optimizer.zero_grad()
            F.cross_entropy(model(x), (x[:, 0, 0] > 0).long()).backward()
            optimizer.step()

    return forked(train, Fork(changed="redrawn weights"))


class Tied(nn.Module):
    """The next word, from a table that is also the last layer."""

    def __init__(self, *, std: float) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 64)
        nn.init.normal_(self.words.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.words(x) @ self.words.weight.T
        return found


def spoken(*, std: float, by_hand: bool = False) -> Observation:
    def train() -> None:
        torch.manual_seed(0)
        model = Tied(std=std)
        optimizer = Adam(model.parameters(), lr=0.01)
        for _ in range(150 if by_hand else 40):
            x = torch.randint(30, (64,))
            optimizer.zero_grad()
            outputs, wanted = model(x), (x + 1) % 30
            if by_hand:
                (outputs.logsumexp(dim=1) - outputs[torch.arange(64), wanted]).mean().backward()
            else:
                F.cross_entropy(outputs, wanted).backward()
            optimizer.step()

    return forked(train, Fork(changed="redrawn weights"), Fork(changed="embeddings of deviation 0.02"))


def adversaries(
    *,
    scale: float = 1.0,
    nonlinear: bool = True,
    rate: float = 1e-3,
    std: float | None = None,
    clip: float | None = None,
) -> Observation:
    """Two networks against each other, each with a rate of its own."""

    def train() -> None:
        torch.manual_seed(0)
        between = nn.ReLU() if nonlinear else nn.Identity()
        maker = nn.Sequential(nn.Linear(4, 32), between, nn.Linear(32, 2))
        judge = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
        if std is not None:
            for each in judge:
                if isinstance(each, nn.Linear):
                    nn.init.normal_(each.weight, std=std)
        makers, judges = Adam(maker.parameters(), lr=rate), Adam(judge.parameters(), lr=1e-3)
        for _ in range(12):
            judged = judge(scale * torch.randn(32, 2))
            made = maker(torch.randn(32, 4))
            judges.zero_grad()
            (F.softplus(-judged) + F.softplus(judge(made.detach()))).mean().backward()
            judges.step()
            makers.zero_grad()
            F.softplus(-judge(made)).mean().backward()
            makers.step()

    return heard(train)


def carried_over(*, offset: float, scale: float) -> Observation:
    """A network whose statistics were learnt elsewhere."""

    def train() -> None:
        torch.manual_seed(0)
        first, norm = nn.Linear(6, 16), nn.BatchNorm1d(16)
        model = nn.Sequential(first, norm, nn.ReLU(), nn.Linear(16, 2))
        with torch.no_grad():
            made = first(torch.randn(500, 6))
            norm.get_buffer("running_mean").copy_(made.mean(dim=0))
            norm.get_buffer("running_var").copy_(made.var(dim=0))
        optimizer = SGD(model.parameters(), lr=1e-3)
        for _ in range(6):
            x = torch.randn(64, 6)
            optimizer.zero_grad()
            F.cross_entropy(model(offset + scale * x), (x[:, 0] > 0).long()).backward()
            optimizer.step()

    return heard(train)


def asked(lab: Any, *, shuffled: bool) -> Observation:
    """Digits that are learnt by heart, and others that are asked about."""
    split = lab.digits()

    def train() -> None:
        torch.manual_seed(0)
        labels = split.y[:600]
        labels = labels[torch.randperm(600)] if shuffled else labels
        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer = Adam(model.parameters(), lr=0.01)
        for step in range(90):
            rows = torch.randint(0, 200, (64,))
            optimizer.zero_grad()
            F.cross_entropy(model(split.x[rows]), labels[rows]).backward()
            optimizer.step()
            if step % 30 == 29:
                with torch.no_grad():
                    F.cross_entropy(model(split.x[200:600]), labels[200:])

    return heard(train)


def counted(*, related: bool) -> Observation:
    """Whether a word is among some; or a label that has nothing to do with them."""

    def train() -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(12, 8), nn.Flatten(), nn.Linear(40, 2))
        optimizer = Adam(model.parameters(), lr=0.01)
        for _ in range(180):
            words = torch.randint(0, 12, (128, 5))
            labels = (words == 3).any(dim=1).long() if related else torch.randint(0, 2, (128,))
            optimizer.zero_grad()
            F.cross_entropy(model(words), labels).backward()
            optimizer.step()

    return forked(train, Fork(changed="constant input"))


CASES: dict[str, Callable[[Any], Observation]] = {
    "rare class, not learnt": lambda lab: screened(rare=0.06),
    "rare class, not learnt, evaluated": lambda lab: screened(rare=0.06, evaluated=True),
    "both classes": lambda lab: screened(rare=0.5),
    "digits with labels of others": partial(asked, shuffled=True),
    "digits with their labels": partial(asked, shuffled=False),
    "words with any labels": lambda lab: counted(related=False),
    "words with their labels": lambda lab: counted(related=True),
    "one picture a batch": partial(normalized, samples=1),
    "pictures by the sixteen": partial(normalized, samples=16),
    "code a hundredfold": lambda lab: coded(steepness=100.0),
    "code as it is": lambda lab: coded(steepness=1.0),
    "recurrent weights of one": lambda lab: remembered(std=1.0),
    "recurrent weights of torch": lambda lab: remembered(std=None),
    "table of deviation one": lambda lab: spoken(std=1.0),
    "table of deviation one, by hand": lambda lab: spoken(std=1.0, by_hand=True),
    "table of a fiftieth, by hand": lambda lab: spoken(std=0.02, by_hand=True),
    "table of a fiftieth": lambda lab: spoken(std=0.02),
    "against each other": lambda lab: adversaries(),
    "against each other, in thousands": lambda lab: adversaries(scale=1000.0),
    "linear maker": lambda lab: adversaries(nonlinear=False),
    "maker at a rate of one": lambda lab: adversaries(rate=1.0),
    "judge of unit weights": lambda lab: adversaries(std=2.0),
    "judge of no weights": lambda lab: adversaries(std=1e-7),
    "statistics of other numbers": lambda lab: carried_over(offset=20.0, scale=8.0),
    "statistics of such numbers": lambda lab: carried_over(offset=0.0, scale=1.0),
}
ROWS: tuple[Row, ...] = (
    Row(
        code="DAT005",
        fires="rare class, not learnt",
        misses="both classes",
        severity="warning",
        message="Class # has #% of the samples, and is hardly learnt for it: one of it costs #, where to answer all "
        "classes alike costs #. The same steps with each class counted alike bring it to #, and the mean of the "
        "classes from # to #.",
        threshold="UNLEARNT",
        changed_to=1e9,
    ),
    Row(
        code="DAT005",
        fires="rare class, not learnt, evaluated",
        misses="both classes",
        severity="warning",
        message="Class # has #% of the samples, and is hardly learnt for it: one of it costs # in evaluations, where "
        "to answer all classes alike costs #. The same steps with each class counted alike bring it to #, and the "
        "mean of the classes from # to #.",
        threshold="LEARNT",
        changed_to=1.0,
    ),
    Row(
        code="DAT009",
        fires="digits with labels of others",
        misses="digits with their labels",
        severity="warning",
        message="In evaluations #% of # samples are answered right, where one answer for all gets #%; of the samples "
        "that are learnt from, #% are: what is learnt of them says nothing of others.",
        threshold="LEARNS",
        changed_to=1.0,
    ),
    Row(
        code="DAT009",
        fires="words with any labels",
        misses="words with their labels",
        severity="warning",
        message="In # steps the loss comes to #, and to # where all samples have the same first input: what is learnt "
        "is learnt without it.",
        threshold="NO_USE",
        changed_to=-1.0,
    ),
    Row(
        code="REG005",
        fires="one picture a batch",
        misses="pictures by the sixteen",
        severity="warning",
        message='Batch norm "#" normalizes over # numbers a channel, of # sample, worth # that differ as freely.',
        threshold="SURE",
        changed_to=0.0,
    ),
    Row(
        code="ACT001",
        fires="code a hundredfold",
        misses="code as it is",
        severity="error",
        message="#% of the numbers that a tanh puts out are saturated before the first step: almost no gradient passes "
        "through them.",
        threshold="FEWEST",
        changed_to=1e9,
    ),
    Row(
        code="OPT005",
        fires="recurrent weights of one",
        misses="recurrent weights of torch",
        severity="warning",
        message='The recurrent weights of layer "memory" make its state # times as long in each step of a sequence, '
        "and its gradient likewise on the way back.",
        threshold="LONGER",
        changed_to=1e9,
    ),
    Row(
        code="INI004",
        fires="table of deviation one",
        misses="table of a fiftieth",
        severity="warning",
        message="The untouched network's loss is #, but a network that knows nothing starts at #.",
        threshold="TOLERANCE",
        changed_to=1e9,
    ),
    Row(
        code="INI004",
        fires="table of deviation one, by hand",
        misses="table of a fiftieth, by hand",
        severity="warning",
        message="The untouched network's loss is #, but # with embeddings of deviation #; from there, # steps come to "
        "# in place of #.",
        threshold="LOUD",
        changed_to=1e9,
    ),
    Row(
        code="DAT003",
        fires="against each other, in thousands",
        misses="against each other",
        severity="warning",
        message="The input's features have deviations of up to #; weights are drawn for numbers around #.",
        threshold="CERTAIN",
        changed_to=1e9,
    ),
    Row(
        code="ACT005",
        fires="linear maker",
        misses="against each other",
        severity="warning",
        message='Layers "#" and "#" are linear and stand one behind the other with nothing between: their # weights '
        "can do no more than the # of one. The whole network is linear.",
        threshold="LEAST",
        changed_to=10,
    ),
    Row(
        code="OPT002",
        fires="maker at a rate of one",
        misses="against each other",
        severity="warning",
        message='Each of the first # steps moves the weights of the network with layer "#" by # of their size; around '
        "# is usual.",
        threshold="THROWN",
        changed_to=1e9,
    ),
    Row(
        code="INI003",
        fires="judge of unit weights",
        misses="against each other",
        severity="warning",
        message='The signal explodes: the outputs\' standard deviation grows from # at layer "#" to # at layer "#".',
        threshold="SHALLOW",
        changed_to=1e9,
    ),
    Row(
        code="OPT004",
        fires="judge of no weights",
        misses="against each other",
        severity="warning",
        message='The gradient vanishes: at layer "#" it is #, at layer "#" #; the first layers hardly learn.',
        threshold="VANISHED",
        changed_to=0.0,
    ),
    Row(
        code="TRF001",
        fires="statistics of other numbers",
        misses="statistics of such numbers",
        severity="warning",
        message='The network was trained before, and batch norm "#" is given numbers whose mean lies # of its running '
        "deviations away, and whose deviation is # times the running one.",
        threshold="SURE",
        changed_to=1e9,
    ),
)
