"""capture/ears/curves.py: the losses of a whole training, as its own evaluations say them."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainwell.capture.listener import Listener
from trainwell.core.records.evidence import LearningCurves
from trainwell.watching import Watch

made = torch.Generator().manual_seed(0)
X = torch.randn(260, 12, generator=made)
Y = (X[:, 0] + 0.8 * torch.randn(260, generator=made) > 0).long()
TRAINED, HELD_OUT = slice(0, 60), slice(60, 260)
EPOCHS = 60


class Training:
    """Sixty samples learnt by heart, evaluated after each epoch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(12, 128), nn.ReLU(), nn.Linear(128, 2))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        self.steps: list[float] = []
        self.validation: list[float] = []
        self.training: list[float] = []

    def epoch(self) -> None:
        for rows in torch.arange(60).split(20):
            loss = F.cross_entropy(self.model(X[rows]), Y[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.steps.append(loss.item())

    def validate(self) -> float:
        with torch.no_grad():
            # In two parts of unequal size.
            parts = [F.cross_entropy(self.model(X[rows]), Y[rows], reduction="sum") for rows in PARTS]
        return float(sum(parts)) / 200

    def evaluate_train(self) -> float:
        with torch.no_grad():
            return F.cross_entropy(self.model(X[TRAINED]), Y[TRAINED]).item()


PARTS = (slice(60, 130), slice(130, 260))


def curves_of(train: Callable[[Training], None]) -> tuple[Training, LearningCurves | None, str]:
    training = Training()
    listener = Listener(lambda _: None, wanted=lambda taken: taken < 5)
    with listener.listening():
        train(training)
    assert listener.troubles == []
    return training, *listener.curves()


def validated(training: Training) -> None:
    training.validate()
    for _ in range(EPOCHS):
        training.epoch()
        training.validation.append(training.validate())


def test_every_evaluation_is_a_point_though_few_steps_are_heard() -> None:
    training, curves, _ = curves_of(validated)
    assert curves is not None
    assert curves.validation_loss.x == tuple(3.0 * epoch for epoch in range(1, EPOCHS + 1))
    assert curves.validation_loss.y == pytest.approx(training.validation, rel=1e-5)
    means = [sum(training.steps[at : at + 3]) / 3 for at in range(0, 3 * EPOCHS, 3)]
    assert curves.train_loss.y == pytest.approx(means, rel=1e-4, abs=1e-5)
    assert (curves.unit, curves.samples, curves.of_batches) == ("step", 200, True)
    assert set(curves.lr.y) == {2e-3}
    with torch.no_grad():
        right = (training.model(X[HELD_OUT]).argmax(dim=1) == Y[HELD_OUT]).double().mean()
    assert curves.validation_metric.y[-1] == pytest.approx(right.item())
    assert curves.train_metric.y == ()


def test_what_is_said_to_be_trained_on_is_the_training_curve() -> None:
    def train(training: Training) -> None:
        for _ in range(EPOCHS):
            training.epoch()
            training.validation.append(training.validate())
            training.training.append(training.evaluate_train())

    training, curves, _ = curves_of(train)
    assert curves is not None
    assert curves.train_loss.y == pytest.approx(training.training, rel=1e-5)
    assert curves.train_metric.y[-1] == 1.0
    assert not curves.of_batches


def test_several_losses_make_no_curve() -> None:
    def train(training: Training) -> None:
        validated(training)
        F.mse_loss(training.model(X[:4]), torch.zeros(4, 2)).backward()

    _, curves, why = curves_of(train)
    assert curves is None
    assert "several lines" in why


def test_three_evaluations_have_no_shape() -> None:
    def train(training: Training) -> None:
        for _ in range(3):
            training.epoch()
            training.validate()

    _, curves, why = curves_of(train)
    assert curves is None
    assert "3 times" in why


def test_an_evaluation_that_says_nothing_of_its_data_is_no_curve() -> None:
    def ask(training: Training) -> Tensor:
        with torch.no_grad():
            return F.cross_entropy(training.model(X[:50]), Y[:50])

    def train(training: Training) -> None:
        for _ in range(5):
            training.epoch()
            ask(training)

    _, curves, why = curves_of(train)
    assert curves is None
    assert "0 times" in why


def test_overfitting_is_told_where_a_watch_ends() -> None:
    with Watch() as watched:
        training = Training()
        for _ in range(EPOCHS):
            training.epoch()
            training.validation.append(training.validate())
        assert [each.code for each in watched.findings if each.code == "REG001"] == []
    [finding] = [each for each in watched.findings if each.code == "REG001"]
    assert "step" in finding.message
    assert finding.evidence["lowest"] == pytest.approx(min(training.validation), rel=0.02)


def test_a_training_that_is_broken_off_has_no_end() -> None:
    def broken_off() -> None:
        with watched:
            validated(Training())
            raise RuntimeError

    watched = Watch()
    with pytest.raises(RuntimeError):
        broken_off()
    assert not {each.code for each in watched.findings} & {"REG001", "SCH003"}


def test_functions_are_torch_s_again_and_a_training_is_what_it_was() -> None:
    own = F.cross_entropy
    alone = Training()
    validated(alone)
    training, curves, _ = curves_of(validated)
    assert F.cross_entropy is own
    assert curves is not None
    assert training.steps == alone.steps
    assert all(map(torch.equal, training.model.parameters(), alone.model.parameters()))
    assert all(map(math.isfinite, curves.train_loss.y))


def test_trainings_one_after_the_other_make_no_curve() -> None:
    def train(training: Training) -> None:
        validated(training)
        validated(Training())

    _, curves, why = curves_of(train)
    assert curves is None
    assert "several optimizers" in why


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_loss_can_be_scripted_meanwhile() -> None:
    with Watch():
        scripted = torch.jit.script(nn.CrossEntropyLoss())
    outputs = torch.randn(4, 3)
    assert scripted(outputs, Y[:4]) == F.cross_entropy(outputs, Y[:4])
