"""capture/listener.py: it hears what happens, and what happens is what would happen without it."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from trainwell.capture.listener import Listener
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.diagnose import diagnose

Train = Callable[[nn.Module, Tensor, Tensor], None]


def made() -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(16, 3)
    )
    return model, torch.randn(40, 6), torch.randint(0, 3, (40,))


def plain(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    optimizer = AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for chosen in torch.randperm(40).split(8):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        schedule.step()


def accumulated(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    for number, chosen in enumerate(torch.arange(40).split(4)):
        (F.cross_entropy(model(inputs[chosen]), labels[chosen]) / 2).backward()
        if number % 2:
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)


def by_closure(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        return loss.item()

    for _ in range(4):
        optimizer.step(closure)


def adversarial(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    judge = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(), nn.Linear(8, 1))
    mine, others = SGD(model.parameters(), lr=0.05), SGD(judge.parameters(), lr=0.05)
    ones, zeros = torch.ones(8, 1), torch.zeros(8, 1)
    for chosen in torch.arange(40).split(8):
        made_up = model(inputs[chosen])
        others.zero_grad()
        real = F.one_hot(labels[chosen], 3).float()
        said = F.binary_cross_entropy_with_logits(judge(real), ones)
        (said + F.binary_cross_entropy_with_logits(judge(made_up.detach()), zeros)).backward()
        others.step()
        # The other network gets a gradient here that nobody uses.
        mine.zero_grad()
        F.binary_cross_entropy_with_logits(judge(made_up), ones).backward()
        mine.step()


def in_half_precision(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    optimizer = AdamW(model.parameters(), lr=1e-2)
    for chosen in torch.arange(40).split(8):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(inputs[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()


TRAININGS = (plain, accumulated, by_closure, adversarial, in_half_precision)


def heard(train: Train) -> tuple[Steps, dict[str, Tensor]]:
    model, inputs, labels = made()
    listener = Listener(lambda _: None)
    with listener.listening():
        train(model, inputs, labels)
    assert listener.troubles == []
    return listener.heard(), model.state_dict()


@pytest.mark.parametrize("train", TRAININGS, ids=lambda each: each.__name__)
def test_nothing_is_disturbed(train: Train) -> None:
    model, inputs, labels = made()
    train(model, inputs, labels)
    alone = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"]
    _, weights = heard(train)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), alone[0])
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], alone[1])


def test_nothing_is_left_behind() -> None:
    from torch.nn.modules import module
    from torch.optim import optimizer

    before = torch.autograd.backward
    places: tuple[Any, ...] = (
        module._global_forward_hooks,
        module._global_forward_pre_hooks,
        optimizer._global_optimizer_pre_hooks,
        optimizer._global_optimizer_post_hooks,
    )
    counts = [len(each) for each in places]
    model, inputs, labels = made()

    def stop(_: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Listener(stop).listening():
        plain(model, inputs, labels)
    assert torch.autograd.backward is before
    assert [len(each) for each in places] == counts
    assert all(not parameter._backward_hooks for parameter in model.parameters())


@pytest.mark.parametrize("train", TRAININGS, ids=lambda each: each.__name__)
def test_gradients_that_are_cleared_are_not_said_to_be_kept(train: Train) -> None:
    steps, _ = heard(train)
    assert [each.kept for each in steps.gradients] == [0] * len(steps.gradients)
    assert steps.input_not_finite == 0.0
    assert all(np.isfinite(steps.values))


def without_clearing(optimizer: type[Optimizer], *, clip: float, batches: int) -> Train:
    def train(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
        made_one = optimizer(model.parameters(), lr=1e-2)  # type: ignore[call-arg]  # all take a rate
        for number, chosen in enumerate(torch.arange(40).split(4)):
            F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            if number % batches == 0:
                if clip:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                made_one.step()

    return train


@pytest.mark.parametrize("optimizer", [SGD, AdamW])
@pytest.mark.parametrize("clip", [0.0, 0.5])
@pytest.mark.parametrize("batches", [1, 2])
def test_gradients_that_are_not_cleared_are_told(optimizer: type[Optimizer], clip: float, batches: int) -> None:
    steps, _ = heard(without_clearing(optimizer, clip=clip, batches=batches))
    [seen] = steps.gradients
    assert seen.kept == seen.steps >= 3
    assert 0.0 < seen.share < 1.5
    assert seen.where.file is not None
    assert seen.where.file.endswith("test_listener.py")


def test_the_layer_and_the_line_are_named() -> None:
    model, inputs, labels = made()
    assert isinstance(model, nn.Sequential)
    model.append(nn.Softmax(dim=1))
    listener = Listener(lambda _: None)
    with listener.listening():
        plain(model, inputs, labels)
    [loss] = listener.heard().losses
    assert loss.activated_at.layer == "5"
    assert loss.where.file is not None
    assert loss.where.file.endswith("test_listener.py")
    assert loss.where.line == plain.__code__.co_firstlineno + 5
    assert loss.activated_at.line == loss.where.line


def test_the_first_batch_that_is_not_finite_is_told() -> None:
    model, inputs, labels = made()
    inputs[20, :3] = torch.nan

    def train(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
        optimizer = SGD(model.parameters(), lr=0.1)
        for chosen in torch.arange(40).split(8):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()

    listener = Listener(lambda _: None)
    with listener.listening():
        train(model, inputs, labels)
    steps = listener.heard()
    assert steps.input_not_finite == pytest.approx(3 / 48)
    assert steps.input_step == 2
    assert np.isfinite(steps.values[:2]).all()
    assert np.isnan(steps.values[2])
    assert steps.not_finite_at.line is not None


def test_trouble_of_ours_is_told_and_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no graph")

    monkeypatch.setattr("trainwell.capture.ears.values.losses_of", broken)
    model, inputs, labels = made()
    before = copy.deepcopy(model.state_dict())
    listener = Listener(lambda _: None)
    with listener.listening():
        plain(model, inputs, labels)
    assert listener.scene.taken == 5
    assert listener.troubles == ["Values.backward: RuntimeError: no graph"]
    assert not torch.equal(before["0.weight"], model.state_dict()["0.weight"])


def layers_of(train: Callable[[], None]) -> list[tuple[str, bool, bool, bool]]:
    listener = Listener(lambda _: None)
    with listener.listening():
        train()
    assert listener.troubles == []
    return [(each.name, each.given, each.trainable, each.reached) for each in listener.heard().layers]


def test_layers_are_seen_with_what_became_of_them() -> None:
    def train() -> None:
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 3))
        model[0].requires_grad_(False)
        optimizer = SGD(model[3].parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(4, 6)), torch.tensor([0, 1, 2, 0])).backward()
            optimizer.step()

    assert layers_of(train) == [
        ("0", False, False, False),
        ("2", False, True, True),
        ("3", True, True, True),
    ]


def test_what_is_called_without_gradients_is_not_asked_about() -> None:
    def train() -> None:
        features, head = nn.Linear(6, 8), nn.Linear(8, 3)
        optimizer = SGD([*features.parameters(), *head.parameters()], lr=0.1)
        with torch.no_grad():
            found = features(torch.randn(4, 6))
        F.cross_entropy(head(found), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()

    assert layers_of(train) == [("", True, True, True)]


def test_a_network_that_measures_is_another_network_than_the_one_that_learns() -> None:
    """As in a perceptual loss: its layers get gradients, and no optimizer is to have them."""

    def train() -> None:
        model, judge = nn.Linear(6, 6), nn.Sequential(nn.Linear(6, 4), nn.Tanh())
        optimizer = SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            F.mse_loss(judge(model(torch.randn(8, 6))), torch.zeros(8, 4)).backward()
            optimizer.step()

    listener = Listener(lambda _: None)
    with listener.listening():
        train()
    steps = listener.heard()
    assert [(each.network, each.given, each.reached) for each in steps.layers] == [(0, True, True), (1, False, True)]
    assert steps.networks == 2
    assert diagnose(Observation(steps=steps), select=["OPT006", "OPT007"]).findings == ()


@pytest.mark.parametrize(("given", "severity"), [("head", "info"), ("ends", "error")])
def test_features_that_are_left_as_they_are_may_be_meant(given: str, severity: str) -> None:
    def train() -> None:
        model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3))
        parts = [model[2]] if given == "head" else [model[0], model[2]]
        optimizer = SGD([each for part in parts for each in part.parameters()], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(4, 6)), torch.tensor([0, 1, 2, 0])).backward()
            optimizer.step()

    listener = Listener(lambda _: None)
    with listener.listening():
        train()
    [finding] = diagnose(Observation(steps=listener.heard()), select=["OPT006"]).findings
    assert finding.severity == severity


def test_inputs_are_measured_feature_by_feature() -> None:
    def train() -> None:
        model = nn.Linear(2, 1)
        optimizer = SGD(model.parameters(), lr=0.0)
        F.mse_loss(model(torch.tensor([[1.0, 100.0], [3.0, 100.0]])), torch.zeros(2, 1)).backward()
        optimizer.step()

    listener = Listener(lambda _: None)
    with listener.listening():
        train()
    seen = listener.heard().input
    assert seen is not None
    assert (seen.features, seen.smallest, seen.largest) == (2, 1.0, 100.0)
