"""Healthy trainings that look like faults of regularization, transfer or ignored inputs: nothing above info is said."""

import copy
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rows import heard
from rows_regularizing import (
    LOWER,
    Dropping,
    convnet,
    digits,
    fine_tuned,
    loaded,
    pictures,
    regularized,
    steps,
    trained_before,
    tried,
    upon_frozen,
)
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from trainwell.core.records.finding import Finding
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.diagnose import diagnose, forks_wanted
from trainwell.diagnosis.rules.table import RULES

OURS = ("REG003", "REG004", "REG005", "REG006", "DEP003", "TRF001", "TRF002", "TRF003")


def loud(observation: Observation) -> list[Finding]:
    """What our rules say above info."""
    return [each for each in diagnose(observation, select=OURS).findings if each.severity != "info"]


# Dropout in test mode.


def evaluated(lab: Any, evaluate: Callable[[nn.Module, Tensor], object], *, explicit: bool = False) -> Observation:
    def always(x: Tensor, _: bool) -> Tensor:
        return F.dropout(x, 0.3, training=True) if explicit else F.dropout(x, 0.3)

    def train() -> None:
        torch.manual_seed(0)
        model = Dropping(always)
        optimizer = AdamW(model.parameters(), lr=2e-3)
        for number, (x, y) in enumerate(digits(lab, count=6)()):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if number % 3 == 2:
                model.eval()
                with torch.no_grad():
                    evaluate(model, lab.digits().xv)
                model.train()

    return heard(train)


SEVERAL_TIMES: dict[str, Callable[[nn.Module, Tensor], object]] = {
    "one after the other": lambda model, x: [model(x) for _ in range(5)],
    "pass after pass": lambda model, x: [model(part) for _ in range(3) for part in x.split(100)],
    "as one batch": lambda model, x: model(x[:20].repeat(5, 1)),
    "sample by sample": lambda model, x: model(x[:20].repeat_interleave(5, 0)),
}


@pytest.mark.parametrize("explicit", [False, True])
@pytest.mark.parametrize("way", SEVERAL_TIMES)
def test_dropout_that_is_averaged_over_is_meant(lab: Any, way: str, explicit: bool) -> None:
    assert RULES["REG006"](evaluated(lab, SEVERAL_TIMES[way], explicit=explicit)) == ()


def test_each_epoch_evaluates_the_same_samples_and_that_is_no_average(lab: Any) -> None:
    observation = evaluated(lab, lambda model, x: [model(part) for part in x.split(100)])
    [finding] = RULES["REG006"](observation)
    assert finding.severity == "error"
    assert finding.evidence["calls"] == 10
    assert finding.where.line is not None


def test_dropout_that_is_said_to_be_always_on_is_an_info(lab: Any) -> None:
    observation = heard(steps(lambda: _dropping(lambda x, _: F.dropout(x, 0.3, training=True)), digits(lab, count=3)))
    [finding] = RULES["REG006"](observation)
    assert finding.severity == "info"


def _dropping(drop: Callable[[Tensor, bool], Tensor]) -> tuple[nn.Module, Optimizer]:
    model = Dropping(drop)
    return model, AdamW(model.parameters(), lr=2e-3)


class Attending(nn.Module):
    """Attention whose dropout heeds the mode, or does not."""

    def __init__(self, *, heeds: bool) -> None:
        super().__init__()
        self.heeds = heeds
        self.parts, self.last = nn.Linear(8, 24), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.parts(x.unflatten(1, (8, 8))).chunk(3, dim=2)
        share = 0.2 if self.training or not self.heeds else 0.0
        found: Tensor = self.last(F.scaled_dot_product_attention(query, key, value, dropout_p=share).mean(dim=1))
        return found


@pytest.mark.parametrize("heeds", [True, False])
def test_attention_that_leaves_out_in_any_mode(lab: Any, heeds: bool) -> None:
    def made() -> tuple[nn.Module, Optimizer]:
        model = Attending(heeds=heeds)
        return model, AdamW(model.parameters(), lr=2e-3)

    observation = heard(steps(made, digits(lab, count=3)))
    found = RULES["REG006"](observation)
    assert [each.severity for each in found] == ([] if heeds else ["error"])
    if found:
        assert "dropout_p" in found[0].remedies[0].text


def modules_that_heed_it() -> nn.Module:
    body = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    recurrent = nn.LSTM(8, 8, num_layers=2, dropout=0.3, batch_first=True)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.recurrent, self.last = body, recurrent, nn.Linear(8, 10)
            self.drop = nn.AlphaDropout(0.2)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.last(self.drop(self.recurrent(self.body(x.unflatten(1, (8, 8))))[0][:, -1]))
            return found

    return Net()


def test_modules_of_torch_heed_the_mode(lab: Any) -> None:
    def made() -> tuple[nn.Module, Optimizer]:
        model = modules_that_heed_it()
        return model, AdamW(model.parameters(), lr=2e-3)

    observation = heard(steps(made, digits(lab, count=3), evaluate=lab.digits().xv))
    assert observation.randomness is not None
    assert RULES["REG006"](observation) == ()


def test_noise_that_is_no_dropout_is_not_asked_about(lab: Any) -> None:
    def drawn(x: Tensor, _: bool) -> Tensor:
        return x + 0.1 * torch.randn_like(x)

    observation = heard(steps(lambda: _dropping(drawn), digits(lab, count=3)))
    assert loud(observation) == []


# Batches and inputs.


def test_one_batch_on_purpose(lab: Any) -> None:
    def once(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
        yield from repeat(next(iter(loader)), 12)

    def first_of_each(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(12):
            for x, y in loader:
                yield x, y
                break

    def and_looks_at_others(loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
        batch = next(iter(loader))
        for _ in range(12):
            yield batch
            for _x, _y in loader:
                pass

    for way in (once, first_of_each, and_looks_at_others):
        observation = loaded(lab, way)
        assert observation.steps is not None
        assert observation.steps.repeated is None


def test_a_full_batch_from_a_loader(lab: Any) -> None:
    split = lab.digits()
    loader = DataLoader(TensorDataset(split.x, split.y), batch_size=len(split.x))

    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 16, 10)
        return model, SGD(model.parameters(), lr=0.1)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(10):
            x, y = next(iter(loader))
            yield x, y

    assert loud(heard(steps(made, batches))) == []


def test_a_full_batch_in_parts(lab: Any) -> None:
    """Gathered over the parts: each step sees all of them, in the same order."""
    split = lab.digits()
    loader = DataLoader(TensorDataset(split.x[:128], split.y[:128]), batch_size=32)

    def train() -> None:
        model = lab.mlp(64, 16, 10)
        optimizer = SGD(model.parameters(), lr=0.1)
        for _ in range(10):
            optimizer.zero_grad()
            for x, y in loader:
                (F.cross_entropy(model(x), y) / 4).backward()
            optimizer.step()

    assert loud(heard(train)) == []


def test_a_graph_at_once_whose_nodes_come_from_a_loader(lab: Any) -> None:
    split = lab.digits()
    nodes, labels = split.x[:200], split.y[:200]
    near = torch.softmax(-torch.cdist(nodes, nodes), dim=1)
    loader = DataLoader(TensorDataset(torch.arange(200)), batch_size=20, shuffle=True)

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = near @ self.last((near @ self.first(x)).relu())
            return found

    def train() -> None:
        model = Graph()
        optimizer = AdamW(model.parameters(), lr=1e-2)
        for _ in range(2):
            for (chosen,) in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(nodes)[chosen], labels[chosen]).backward()
                optimizer.step()

    assert loud(heard(train)) == []


def test_a_generator_given_noise_and_a_judge_given_batches(lab: Any) -> None:
    split = lab.digits()
    loader = DataLoader(TensorDataset(split.x), batch_size=32, shuffle=True)
    fixed = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))

    def train() -> None:
        torch.manual_seed(0)
        maker = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 64))
        judge = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1))
        mine, others = AdamW(maker.parameters(), lr=1e-3), AdamW(judge.parameters(), lr=1e-3)
        ones, zeros = torch.ones(32, 1), torch.zeros(32, 1)
        for (real,) in loader:
            judge.requires_grad_(True)
            made = maker(fixed)
            others.zero_grad()
            said = F.binary_cross_entropy_with_logits(judge(real), ones)
            (said + F.binary_cross_entropy_with_logits(judge(made.detach()), zeros)).backward()
            others.step()
            judge.requires_grad_(False)
            mine.zero_grad()
            F.binary_cross_entropy_with_logits(judge(made), ones).backward()
            mine.step()

    assert loud(heard(train)) == []


def test_a_rate_of_zero_leaves_an_output_layer_of_zeros(lab: Any) -> None:
    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 16, 10)
        nn.init.zeros_(model[-1].weight)
        return model, SGD(model.parameters(), lr=0.0)

    observation = heard(steps(made, digits(lab, count=10)))
    assert observation.inputs is not None
    assert observation.inputs.changed == 0
    assert RULES["DEP003"](observation) == ()


def test_what_ignores_its_input_after_steps_that_killed_it_is_tried_at_lower_rates(lab: Any) -> None:
    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 32, 32, 10)
        return model, SGD(model.parameters(), lr=3.0, momentum=0.9)

    observation = tried(steps(made, digits(lab, count=20)), *LOWER)
    assert set(LOWER) <= set(forks_wanted(observation, select=["DEP003"]))
    [finding] = RULES["DEP003"](observation)
    assert finding.confirmed_by is not None
    assert "learning rate" in finding.remedies[0].text


# Regularization.


@pytest.mark.parametrize("rate", [1e-4, 1e-3, 0.01, 0.05])
@pytest.mark.parametrize("dropout", [0.2, 0.5, 0.7])
def test_dropout_that_slows_a_training_is_not_too_strong(lab: Any, rate: float, dropout: float) -> None:
    assert loud(regularized(lab, dropout=dropout, rate=rate)) == []


@pytest.mark.parametrize("decay", [1e-4, 0.01, 0.1])
def test_decay_that_a_training_bears(lab: Any, decay: float) -> None:
    assert loud(regularized(lab, decay=decay)) == []


def test_a_stuck_training_is_not_blamed_on_its_decay(lab: Any) -> None:
    observation = regularized(lab, decay=1e-3, rate=20.0)
    assert forks_wanted(observation, select=["REG004"])
    assert RULES["REG004"](observation) == ()


def test_a_last_batch_that_is_left_over_is_no_habit(lab: Any) -> None:
    split = lab.digits()

    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 16, 10, norm=True)
        return model, AdamW(model.parameters(), lr=1e-3)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(4):
            for size in (32, 32, 32, 2):
                yield split.x[:size], split.y[:size]

    observation = heard(steps(made, batches))
    assert observation.steps is not None
    assert observation.steps.norms[0].values == 32
    assert RULES["REG005"](observation) == ()


def test_few_pictures_are_many_numbers(lab: Any) -> None:
    split = lab.digits()

    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.convnet(width=8)
        return model, AdamW(model.parameters(), lr=1e-3)

    observation = heard(steps(made, lambda: ((split.x[i : i + 2], split.y[i : i + 2]) for i in range(8))))
    assert RULES["REG005"](observation) == ()


# Transfer.


def test_fine_tuning_as_it_should_be(lab: Any) -> None:
    for rate in (1e-3, 0.01, 0.05):
        assert loud(fine_tuned(lab, rate=rate)) == []
    for scale, shift in ((1.0, 0.0), (0.8, 0.1), (1.2, -0.2)):
        assert loud(upon_frozen(lab, in_test_mode=True, scale=scale, shift=shift)) == []


def test_a_mean_teacher_in_training_mode_moves_with_its_pupil(lab: Any) -> None:
    trained_before(lab)

    def train() -> None:
        torch.manual_seed(0)
        pupil = convnet(lab)
        teacher = copy.deepcopy(pupil).requires_grad_(False)
        optimizer = SGD(pupil.parameters(), lr=0.01)
        for x, y in pictures(lab, scale=2.0, shift=1.0)():
            out = pupil(x)
            with torch.no_grad():
                wanted = teacher(x + 0.1 * torch.randn_like(x))
            optimizer.zero_grad()
            (F.cross_entropy(out, y) + F.mse_loss(out, wanted)).backward()
            optimizer.step()
            for mine, other in zip(teacher.parameters(), pupil.parameters(), strict=True):
                mine.data.mul_(0.99).add_(other.data, alpha=0.01)

    observation = heard(train)
    assert observation.steps is not None
    assert max(each.moved for each in observation.steps.norms) > 0.15
    assert loud(observation) == []


def test_features_that_were_drawn_and_stay_estimate_their_statistics(lab: Any) -> None:
    def made() -> tuple[nn.Module, Optimizer]:
        model: nn.Sequential = lab.convnet(width=8)
        model[:-1].requires_grad_(False)
        return model, SGD(model[-1].parameters(), lr=0.1)

    assert loud(heard(steps(made, digits(lab, count=10)))) == []


def test_a_norm_without_weights_of_its_own_before_what_is_trained(lab: Any) -> None:
    def made() -> tuple[nn.Module, Optimizer]:
        norm = nn.BatchNorm1d(64, affine=False)
        norm.running_mean.fill_(2.0)  # type: ignore[union-attr]  # it has statistics
        model = nn.Sequential(norm, lab.mlp(64, 16, 10))
        return model, SGD(model.parameters(), lr=0.1)

    observation = heard(steps(made, digits(lab, count=10)))
    assert observation.steps is not None
    [seen] = observation.steps.norms
    assert seen.moved > 0.15
    assert RULES["TRF003"](observation) == ()


def test_frozen_norms_among_layers_that_learn_must_move(lab: Any) -> None:
    trained_before(lab)

    def made() -> tuple[nn.Module, Optimizer]:
        model = convnet(lab)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.requires_grad_(False)
        return model, SGD([each for each in model.parameters() if each.requires_grad], lr=0.01)

    assert RULES["TRF003"](heard(steps(made, pictures(lab, scale=2.0, shift=1.0)))) == ()


def test_a_rate_too_high_for_weights_that_were_drawn_is_not_one_of_transfer(lab: Any) -> None:
    """Its own first weights are put back into a network, which is no transfer."""

    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 32, 10)
        model.load_state_dict(copy.deepcopy(model.state_dict()))
        return model, SGD(model.parameters(), lr=20.0)

    observation = tried(steps(made, digits(lab, count=20)), *LOWER)
    assert observation.steps is not None
    assert observation.steps.loaded is None
    assert RULES["TRF002"](observation) == ()
    assert [each.code for each in RULES["OPT002"](observation)] == ["OPT002"]


@pytest.mark.parametrize("head", ["old", "new"])
def test_a_rate_too_high_for_weights_that_were_loaded_is_one_of_transfer(lab: Any, head: str) -> None:
    donor = lab.mlp(64, 32, 10)
    lab.train(donor, lab.digits(), lr=1e-2, epochs=3)
    state = {name: value for name, value in donor.state_dict().items() if head == "old" or name.startswith("0.")}

    def made() -> tuple[nn.Module, Optimizer]:
        model = lab.mlp(64, 32, 10, seed=1)
        model.load_state_dict(state, strict=False)
        return model, SGD(model.parameters(), lr=20.0)

    observation = tried(steps(made, digits(lab, count=20)), *LOWER)
    assert observation.steps is not None
    assert observation.steps.loaded is not None
    assert observation.steps.loaded.weights == sum(each.numel() for each in state.values())
    diagnosis = diagnose(observation, select=["OPT002", "TRF002"])
    assert diagnosis.headline is not None
    assert diagnosis.headline.code == "TRF002"
    assert diagnosis.headline.where.line is not None
    followed = [each.follows_from for each in diagnosis.findings if each.code == "OPT002"]
    # Where the loss begins near 0, there is nothing for it to come down by.
    assert followed == ([] if head == "old" else ["TRF002"])
