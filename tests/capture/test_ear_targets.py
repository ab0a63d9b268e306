"""capture/ears/targets.py: what outputs are compared with."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.listener import Listener
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.losses import PaddingSeen
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.diagnose import diagnose

LENGTHS = (3, 8, 5, 6, 2)


def rows() -> tuple[Tensor, Tensor]:
    """Words from 1 on and classes from 1 on, filled up with 0."""
    words, labels = torch.zeros(5, 8, dtype=torch.long), torch.zeros(5, 8, dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        words[row, :length] = 1 + torch.arange(length) % 4
        labels[row, :length] = 1 + torch.arange(length) % 2
    return words, labels


class Net(nn.Module):
    """Reads words or frames, and may take its own loss."""

    def __init__(self, *, frames: bool = False, shifts: bool = False) -> None:
        super().__init__()
        self.shifts = shifts
        self.first = nn.Linear(2, 6) if frames else nn.Embedding(5, 6)
        self.last = nn.Linear(6, 5)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        out: Tensor = self.last(self.first(x))
        if self.shifts:
            out = out[:, :-1]
        return out if labels is None else F.cross_entropy(out.flatten(0, 1), labels.flatten())


def heard(model: nn.Module, loss: Any) -> Steps:
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    listener = Listener(lambda _: None)
    with listener.listening():
        for _ in range(3):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()
    assert listener.troubles == []
    return listener.heard()


def padding(model: nn.Module, loss: Any) -> PaddingSeen:
    [seen] = heard(model, loss).padding
    assert seen.batches == seen.looked == 3
    return seen


def test_words() -> None:
    words, labels = rows()
    seen = padding(Net(), lambda model: F.cross_entropy(model(words).flatten(0, 1), labels.flatten()))
    assert (seen.targets, seen.padded, seen.counted) == (120, 3 * (40 - sum(LENGTHS)), 3 * (40 - sum(LENGTHS)))
    assert (seen.value, seen.shortest, seen.longest) == (0, 0, 6)
    assert seen.where.line is not None


def test_classes_in_the_second_dimension_and_words_in_the_first() -> None:
    words, labels = rows()
    other = padding(Net(), lambda model: F.cross_entropy(model(words).transpose(1, 2), labels))
    sideways = padding(Net(), lambda model: F.cross_entropy(model(words.t()).flatten(0, 1), labels.t().flatten()))
    assert other.padded == sideways.padded == 3 * 16


def test_frames() -> None:
    words, labels = rows()
    frames = torch.stack([words, words.square()], dim=2).float()
    seen = padding(Net(frames=True), lambda model: F.cross_entropy(model(frames).flatten(0, 1), labels.flatten()))
    assert seen.padded == 3 * 16


def test_a_loss_of_the_networks_own() -> None:
    words, labels = rows()
    seen = padding(Net(), lambda model: model(words, labels=labels))
    assert seen.padded == 3 * 16


def test_the_next_word_predicted_inside() -> None:
    words, _ = rows()
    seen = padding(Net(shifts=True), lambda model: model(words, labels=words[:, 1:]))
    assert seen.targets == 3 * 35
    assert seen.padded == 3 * 16


@pytest.mark.parametrize("options", [{"ignore_index": 0}, {"weight": torch.tensor([0.0, 1, 1, 1, 1])}])
def test_what_is_passed_over_does_not_count(options: dict[str, Any]) -> None:
    words, labels = rows()
    seen = padding(Net(), lambda model: F.cross_entropy(model(words).flatten(0, 1), labels.flatten(), **options))
    assert (seen.padded, seen.counted) == (3 * 16, 0)


def test_the_next_word_begins_to_be_filling_a_position_earlier() -> None:
    """A decoder is given the mark of the beginning and all words but the last."""
    words, _ = rows()
    # What is to be predicted ends with a mark.
    targets = torch.cat([words, torch.zeros(5, 1, dtype=torch.long)], dim=1)
    inputs = torch.cat([torch.full((5, 1), 4), words], dim=1)
    seen = padding(Net(), lambda model: F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()))
    assert seen.padded == 3 * int((targets == 0).sum())


def test_words_that_end_a_row_twice_do_not_hide_the_filling() -> None:
    words, labels = rows()
    words[1, 4:] = 3
    seen = padding(Net(), lambda model: F.cross_entropy(model(words).flatten(0, 1), labels.flatten()))
    assert seen.padded == 3 * 16


def test_numbers_that_are_filled_up() -> None:
    words, _ = rows()
    series = torch.where(words > 0, torch.randn(5, 8), -3.5)
    seen = padding(Net(frames=True), lambda model: F.mse_loss(model(_pairs(series[:, :-1]))[..., 0], series[:, 1:]))
    assert (seen.function, seen.value) == ("squared error", -3.5)
    assert (seen.padded, seen.counted) == (3 * 16, 3 * 16)


def _pairs(series: Tensor) -> Tensor:
    return torch.stack([series, series], dim=2)


def test_classes_that_have_no_output() -> None:
    words, labels = rows()
    listener = Listener(lambda _: None)
    with listener.listening(), pytest.raises(IndexError, match="out of bounds"):
        F.cross_entropy(Net()(words).flatten(0, 1), labels.flatten() + 3, ignore_index=3)
    [seen] = listener.heard().targets
    assert (seen.function, seen.classes, seen.lowest, seen.highest) == ("cross-entropy", 5, 4, 5)
    # Those that are passed over may be what they are.
    assert seen.numbers == sum(LENGTHS)
    assert 0 < seen.outside < 1
    assert listener.troubles == []


@pytest.mark.parametrize("end", [2, -1])
def test_targets_that_go_on_are_no_padding(end: int) -> None:
    words, labels = rows()
    if end > 0:
        # The inputs end, and the targets do not.
        labels = torch.arange(40).view(5, 8) % 5
    else:
        # A row that holds nothing else.
        words[0], labels[0] = 0, 0
    steps = heard(Net(), lambda model: F.cross_entropy(model(words).flatten(0, 1), labels.flatten()))
    assert steps.padding == ()


def test_ranges() -> None:
    words, _ = rows()
    targets = torch.linspace(-0.5, 2.0, 200).view(5, 8, 5)
    [seen] = heard(Net(), lambda model: F.binary_cross_entropy_with_logits(model(words), targets)).targets
    assert (seen.function, seen.numbers) == ("binary cross-entropy", 600)
    assert (seen.lowest, seen.highest) == (-0.5, 2.0)
    assert seen.outside == pytest.approx(((targets < 0) | (targets > 1)).double().mean().item())
    assert seen.not_finite == 0
    assert heard(Net(), lambda model: F.mse_loss(model(words), targets)).targets == ()


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y: -(y * F.logsigmoid(x) + (1 - y) * F.logsigmoid(-x)).mean(),
        lambda x, y: -torch.mean((1 - y) * torch.log(1 - x.sigmoid()) + torch.log(x.sigmoid()) * y),
    ],
    ids=["of logits", "of probabilities"],
)
def test_a_binary_cross_entropy_that_is_written_out(loss: Any) -> None:
    words, _ = rows()
    targets = torch.linspace(-1, 1, 200).view(5, 8, 5)
    [seen] = heard(Net(), lambda model: loss(model(words), targets)).targets
    assert (seen.function, seen.lowest, seen.highest) == ("binary cross-entropy", -1, 1)
    assert seen.where.line is not None


def test_a_graph_that_is_used_twice_is_no_trouble() -> None:
    words, _ = rows()
    targets = torch.linspace(0, 1, 200).view(5, 8, 5)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    listener = Listener(lambda _: None)
    with listener.listening():
        logarithms = F.logsigmoid(model(words))
        (-0.5 * targets * logarithms).mean().backward(retain_graph=True)
        shared = targets * logarithms
        shared.sum().backward()
        with pytest.raises(RuntimeError, match="second time"):
            (2 * shared.sum() + logarithms.sum()).backward()
        optimizer.step()
    assert listener.troubles == []


def test_weights_of_logarithms_are_no_targets() -> None:
    words, _ = rows()
    weights = torch.linspace(0, 4, 200).view(5, 8, 5)

    def loss(model: nn.Module) -> Tensor:
        out = model(words)
        return -(weights * F.logsigmoid(out)).mean() - (weights * F.logsigmoid(-out)).mean()

    assert heard(Net(), loss).targets == ()


def test_an_embedding_may_be_made_while_it_is_listened_to() -> None:
    listener = Listener(lambda _: None)
    with listener.listening():
        # It fills a view of its weights without gradients, of which autograd is not to be asked.
        embedding = nn.Embedding(5, 3, padding_idx=0)
        assert not embedding(torch.zeros(2, dtype=torch.long)).any()
    assert listener.troubles == []


@pytest.mark.parametrize(
    ("compare", "why"),
    [
        (lambda out: F.cross_entropy(out, torch.ones(4)), "type"),
        (lambda out: F.cross_entropy(out, torch.ones(4, dtype=torch.int32)), "type"),
        (lambda out: F.cross_entropy(out, torch.ones(4, 1, dtype=torch.long)), "shape"),
        (lambda out: F.cross_entropy(out, torch.ones(4, dtype=torch.long), weight=torch.ones(2)), "weights"),
        (lambda out: F.binary_cross_entropy_with_logits(out, torch.ones(4)), "shape"),
        (lambda out: F.binary_cross_entropy(out.sigmoid(), torch.ones(4, 3, dtype=torch.long)), "type"),
    ],
)
def test_what_torch_refuses_is_told_with_its_reason(compare: Any, why: str) -> None:
    model = nn.Linear(5, 3)
    listener = Listener(lambda _: None)
    with listener.listening(), pytest.raises((RuntimeError, ValueError)):
        compare(model(torch.randn(4, 5)))
    assert listener.troubles == []
    [seen] = listener.heard().refused
    assert (seen.why, seen.outputs) == (why, (4, 3))
    assert seen.where.line is not None
    told = diagnose(Observation(steps=listener.heard()), select=["DAT004", "ACT007"]).findings
    assert [(each.code, each.severity) for each in told] == [("ACT007" if why == "weights" else "DAT004", "error")]


def test_a_class_that_has_no_output_is_no_question_of_weights() -> None:
    model = nn.Linear(5, 3)
    listener = Listener(lambda _: None)
    with listener.listening(), pytest.raises(RuntimeError):
        F.cross_entropy(model(torch.randn(4, 5)), torch.tensor([1, 2, 3, 3]), weight=torch.ones(4))
    steps = listener.heard()
    assert (steps.refused, [each.classes for each in steps.targets]) == ((), [3])
