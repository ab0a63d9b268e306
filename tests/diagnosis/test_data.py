"""Rules of the data on trainings that look like a fault and are none, and on faults in other clothes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rows import heard, loop
from rows_data import Tagger, by_class, evaluated, fed, raw, sentences, tagged
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset

from trainwell.core.records.finding import Finding
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.diagnose import diagnose
from trainwell.diagnosis.rules.table import RULES


def said(code: str, observation: Observation) -> tuple[Finding, ...]:
    assert RULES[code].missing(observation) == ()
    return RULES[code](observation)


# DAT008


class SomeOfEach(Sampler[list[int]]):
    """Batches of two classes, eight samples each, as metric learning draws them."""

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels

    def __iter__(self) -> Iterator[list[int]]:
        draw = torch.Generator().manual_seed(0)
        for _ in range(12):
            some = torch.randperm(10, generator=draw)[:2]
            yield [int(place) for label in some for place in (self.labels == label).nonzero()[:8, 0]]


class InTurn(IterableDataset[tuple[Tensor, Tensor]]):
    """A stream, one class after the other."""

    def __init__(self, data: TensorDataset) -> None:
        self.data = data

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for place in range(len(self.data)):
            yield self.data[place]


def adversarial(*, turns: int = 1) -> None:
    """One function compares all of a judge's answers: ones, zeros and ones again."""
    torch.manual_seed(0)
    maker, judge = nn.Linear(4, 6), nn.Linear(6, 1)
    one, other = torch.optim.SGD(maker.parameters(), lr=0.05), torch.optim.SGD(judge.parameters(), lr=0.05)

    def judged(samples: Tensor, real: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(judge(samples), torch.full((16, 1), real))

    for _ in range(12):
        made = maker(torch.randn(16, 4))
        for samples, real in ((torch.randn(16, 6), 1.0), (made.detach(), 0.0)):
            other.zero_grad()
            judged(samples, real).backward()
            other.step()
        for _ in range(turns):
            one.zero_grad()
            judged(maker(torch.randn(16, 4)), 1.0).backward()
            one.step()


def task_after_task(lab: Any) -> Callable[[], None]:
    """Continual learning: each task has a class of its own, shuffled, and that is meant."""
    data = by_class(lab)
    tasks = [TensorDataset(data.tensors[0][k : k + 40], data.tensors[1][k : k + 40]) for k in range(0, 400, 40)]
    model = lab.mlp(64, 16, 10)

    def train() -> None:
        for task in tasks:
            fed(model, DataLoader(task, batch_size=8, shuffle=True))()

    return train


def policy(lab: Any) -> Callable[[], None]:
    """Choices weighted by what came of them: the same one again and again, then another."""
    split = lab.digits()
    model = lab.mlp(64, 16, 2)

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for step in range(20):
            chosen = torch.full((16,), int(step > 9))
            optimizer.zero_grad()
            (F.cross_entropy(model(split.x[:16]), chosen, reduction="none") * torch.randn(16)).mean().backward()
            optimizer.step()

    return train


def words_in_sentences() -> None:
    """A tagger, sentence by sentence: nearly all words are of one class, the others stand together."""
    torch.manual_seed(0)
    model = Tagger(10, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(30):
        labels = torch.zeros(12, dtype=torch.long)
        labels[4:7] = int(step % 7 == 3)
        optimizer.zero_grad()
        F.cross_entropy(model(torch.randint(10, (12,))), labels).backward()
        optimizer.step()


def whole_batch(lab: Any) -> Callable[[], None]:
    """Everything at once, sorted: there is no order from batch to batch."""
    x, y = by_class(lab).tensors
    return fed(lab.mlp(64, 16, 10), [(x, y)] * 12)


def against_the_others(lab: Any) -> Callable[[], None]:
    """Contrastive: the first of each row is right, always."""
    split = lab.digits()
    return fed(
        lab.mlp(64, 16, 10), [(split.x[k : k + 16], torch.zeros(16, dtype=torch.long)) for k in range(0, 320, 16)]
    )


def unequal(lab: Any) -> Callable[[], None]:
    """Ninety-five of a hundred are of one class, shuffled, in small batches."""
    split = lab.digits()
    draw = torch.Generator().manual_seed(0)
    labels = (torch.rand(240, generator=draw) > 0.95).long()
    return fed(lab.mlp(64, 16, 2), [(split.x[k : k + 8], labels[k : k + 8]) for k in range(0, 240, 8)])


def real_and_made_up(lab: Any) -> Callable[[], None]:
    """Halves of each batch are of one class each, in the same order everywhere."""
    split = lab.digits()
    halves = torch.arange(2).repeat_interleave(8)
    return fed(lab.mlp(64, 16, 2), [(split.x[k : k + 16], halves) for k in range(0, 320, 16)])


@pytest.mark.parametrize(
    "train",
    [
        lambda lab: adversarial,
        lambda lab: lambda: adversarial(turns=2),
        task_after_task,
        policy,
        lambda lab: words_in_sentences,
        whole_batch,
        against_the_others,
        unequal,
        real_and_made_up,
        lambda lab: fed(
            lab.mlp(64, 16, 10), DataLoader(by_class(lab), batch_sampler=SomeOfEach(by_class(lab).tensors[1]))
        ),
        # As many steps as there are samples, one a step.
        lambda lab: fed(lab.mlp(64, 16, 10), DataLoader(by_class(lab, each=3), batch_size=1, shuffle=True)),
    ],
    ids=[
        "adversarial",
        "adversarial, two turns",
        "task after task",
        "policy",
        "words in sentences",
        "whole batch",
        "against the others",
        "unequal",
        "real and made up",
        "some of each",
        "one a step",
    ],
)
def test_other_orders_are_no_fault(train: Callable[[Any], Callable[[], None]], lab: Any) -> None:
    torch.manual_seed(0)
    assert said("DAT008", heard(train(lab))) == ()


def test_sorted_data_without_a_loader(lab: Any) -> None:
    x, y = by_class(lab).tensors
    # Three times through, in the same order: each order is counted once.
    found = heard(fed(lab.mlp(64, 16, 10), list(zip(x.split(20), y.split(20), strict=True)), epochs=3))
    [finding] = said("DAT008", found)
    assert finding.evidence["samples"] == 400
    assert finding.evidence["runs"] == 10
    assert "torch.randperm" in finding.remedies[0].text
    # The line that computed the loss: there is no better one.
    assert finding.where.file is not None
    assert finding.where.file.endswith("rows_data.py")


@pytest.mark.parametrize("batch", [30, 40, 64, 100])
def test_sorted_data_in_large_batches(batch: int, lab: Any) -> None:
    loader = DataLoader(by_class(lab, classes=3), batch_size=batch)
    [finding] = said("DAT008", heard(fed(lab.mlp(64, 16, 10), loader, epochs=2))) or [None]
    # Two batches of three classes each are no order of batches.
    assert (finding is None) == (batch > 40)


def test_a_sorted_stream(lab: Any) -> None:
    found = heard(fed(lab.mlp(64, 16, 10), DataLoader(InTurn(by_class(lab)), batch_size=16)))
    [finding] = said("DAT008", found)
    assert "buffer" in finding.remedies[0].text
    # It was made before anything was heard: the line that iterates it.
    assert finding.where.file is not None
    assert finding.where.file.endswith("rows_data.py")


def test_yes_and_no_one_after_the_other(lab: Any) -> None:
    split = lab.digits()
    model = lab.mlp(64, 16, 1)
    loader = DataLoader(TensorDataset(split.x[:200], torch.arange(200) // 100), batch_size=10)

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.binary_cross_entropy(model(inputs).sigmoid().squeeze(1), labels.float()).backward()
            optimizer.step()

    [finding] = said("DAT008", heard(train))
    assert "shuffle=True" in finding.remedies[0].text


# DAT010


class Counting(Dataset[tuple[Tensor, Tensor]]):
    """What it gives depends on how often it was asked, and on no random number."""

    def __init__(self, split: Any) -> None:
        self.x, self.y, self.asked = split.x[:64], split.y[:64], 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        self.asked += 1
        return self.x[place] * self.asked, self.y[place]


def test_counting_is_not_drawing(lab: Any) -> None:
    found = heard(fed(lab.mlp(64, 16, 10), DataLoader(Counting(lab.digits()), batch_size=16, num_workers=2)))
    assert found.workers is not None
    assert found.workers.random
    assert found.workers.alike
    assert said("DAT010", found) == ()


# DAT011


def test_rows_that_stand_in_the_columns() -> None:
    [finding] = said("DAT011", heard(tagged(sideways=True)))
    assert finding.remedies[0].text == "Give the loss function `ignore_index=0`."
    words, _ = sentences()
    assert finding.evidence["padded"] == int((words == 0).sum())
    assert finding.evidence["targets"] == words.numel()


def speller(*, fill: int, masked: bool = False, inside: bool = False, equal: bool = False) -> Callable[[], None]:
    """A network that predicts the next word of filled rows."""
    words, _ = sentences()
    if equal:
        words[:, 8:] = 0
        words[:, :8] = torch.randint(1, 10, (48, 8), generator=torch.Generator().manual_seed(1))
    if inside:
        words[::3, 1] = 0
    torch.manual_seed(0)
    model = Tagger(10, 10)

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for rows in words.split(12):
            following = rows[:, 1:].clone()
            following[following == 0] = fill
            optimizer.zero_grad()
            logits, targets = model(rows[:, :-1]).flatten(0, 1), following.flatten()
            if masked:
                each = F.cross_entropy(logits, targets, reduction="none")
                loss = (each * (targets > 0)).sum() / (targets > 0).sum()
            else:
                loss = F.cross_entropy(logits, targets)
            loss.backward()
            optimizer.step()

    return train


@pytest.mark.parametrize(
    "train",
    [
        speller(fill=-100),
        speller(fill=0, masked=True),
        # What fills up is a word like any other, as the background of a picture is a colour.
        speller(fill=0, inside=True),
        # All rows are of one length: an end may be a part of the task.
        speller(fill=0, equal=True),
    ],
    ids=["ignored by default", "masked", "inside as well", "of one length"],
)
def test_ends_that_are_no_counted_padding(train: Callable[[], None]) -> None:
    assert said("DAT011", heard(train)) == ()


def test_the_next_word_of_filled_rows() -> None:
    [finding] = said("DAT011", heard(speller(fill=0)))
    assert finding.where.line is not None
    assert 0.2 < finding.evidence["share"] < 0.6


# DAT004


def test_missing_targets_explain_a_lost_loss(lab: Any) -> None:
    targets = torch.tensor([0.0, float("nan")] * 4)
    found = heard(loop(lab.mlp(64, 16, 1), lambda out: F.mse_loss(out.squeeze(1), targets), inputs=lab.digits().x))
    first, *others = diagnose(found, select=["DAT004", "OPT014"]).findings
    assert first.code == "DAT004"
    assert [each.follows_from for each in others] == ["DAT004"]


@pytest.mark.parametrize("late", [False, True])
def test_missing_targets_that_are_masked(late: bool, lab: Any) -> None:
    targets = torch.tensor([0.0, float("nan")] * 4)
    there = ~targets.isnan()

    def loss(out: Tensor) -> Tensor:
        if late:
            # The loss is finite, and its gradient is not: zero times NaN.
            return torch.where(there, F.mse_loss(out.squeeze(1), targets, reduction="none"), 0.0).sum()
        return F.mse_loss(out.squeeze(1)[there], targets[there])

    found = said("DAT004", heard(loop(lab.mlp(64, 16, 1), loss, inputs=lab.digits().x)))
    assert [each.evidence for each in found] == ([{"not_finite": 0.5, "step": 1.0}] if late else [])


def test_pictures_that_a_yes_or_no_is_asked_of(lab: Any) -> None:
    split = lab.digits()
    model = lab.mlp(64, 16, 64)

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for x in split.x[:64].split(8):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(x), x).backward()
            optimizer.step()

    [finding] = said("DAT004", heard(train))
    assert finding.evidence["lowest"] < -1


# DAT007


@pytest.mark.parametrize(
    ("scale", "noise"),
    [
        (lambda x: x, 1.0),
        (lambda x: x, 0.5),
        # A quarter of what is tested is cut out, or moved.
        (lambda x: torch.where(torch.arange(64) < 16, 0.0, x), 0.0),
        (lambda x: x + 0.3, 0.0),
    ],
    ids=["noise as large as the signal", "noise", "erased", "moved a little"],
)
def test_noise_is_no_shift(scale: Callable[[Tensor], Tensor], noise: float, lab: Any) -> None:
    assert said("DAT007", heard(evaluated(lab, scale, noise=noise))) == ()


def test_a_level_that_rises_is_no_fault_of_the_preprocessing() -> None:
    """A time series is evaluated on later times, where both inputs and targets are higher."""
    torch.manual_seed(0)
    level = torch.arange(400.0) / 100 + 0.1 * torch.randn(400)
    windows = level.unfold(0, 9, 1)
    inputs, targets = windows[:, :8], windows[:, 8:]
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))

    def train() -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(8):
            model.train()
            for chosen in torch.randperm(256).split(64):
                optimizer.zero_grad()
                F.mse_loss(model(inputs[chosen]), targets[chosen]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                F.mse_loss(model(inputs[256:]), targets[256:])

    assert [each.severity for each in said("DAT007", heard(train))] in ([], ["info"])


def test_what_is_compared_with_nothing_is_an_info(lab: Any) -> None:
    """Samples are made from noise of another size, as a sampler begins."""
    split = lab.digits()
    model = lab.mlp(64, 16, 64)

    def train() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for x in split.x[:256].split(32):
            optimizer.zero_grad()
            F.mse_loss(model(x), x).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            model(5 * torch.randn(64, 64))

    [finding] = said("DAT007", heard(train))
    assert finding.severity == "info"


def test_answers_counted_without_a_loss(lab: Any) -> None:
    split = lab.digits()
    torch.manual_seed(0)
    model = lab.mlp(64, 32, 10)

    def train() -> None:
        right = 0
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(3):
            model.train()
            for x, y in zip(split.x[:512].split(64), split.y[:512].split(64), strict=True):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                right += int((model(raw(split.xv[:128])).argmax(dim=1) == split.yv[:128]).sum())

    [finding] = said("DAT007", heard(train))
    assert finding.severity == "warning"
    assert finding.confirmed_by is not None
    assert finding.confirmed_by.loss_with < finding.confirmed_by.loss_without
