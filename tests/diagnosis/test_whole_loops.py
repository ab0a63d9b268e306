"""Rules on loops as people write them: graphs given whole, states carried on, schedules by hand."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from rows import heard
from rows_forked import forked
from torch import Tensor, nn

from trainwell.core.records.finding import Finding
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.diagnose import forks_wanted
from trainwell.diagnosis.rules.table import RULES

NODES = 60


def said(code: str, train: Callable[[], None], *forks: Fork) -> tuple[Finding, ...]:
    """What a rule says of a training, above info."""
    plain = observed(train, *forks)
    return tuple(each for each in RULES[code](plain) if each.severity != "info")


def observed(train: Callable[[], None], *forks: Fork) -> Observation:
    return forked(train, *forks) if forks else heard(train)


class Graph(nn.Module):
    """Attention over the edges of a ring, its scores with weights of their own."""

    def __init__(self, *, detached: bool = False, activated: bool = False, always: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 3)
        self.score, self.bias = nn.Parameter(torch.randn(3)), nn.Parameter(torch.zeros(3))
        self.detached, self.activated, self.always = detached, activated, always

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(F.dropout(x, 0.3, training=self.training or self.always))
        score = (h * self.score).sum(dim=1)
        share = torch.sigmoid(score.detach() if self.detached else score).unsqueeze(1)
        out: Tensor = h + share * h.roll(1, 0) + self.bias
        return out.softmax(dim=1) if self.activated else out


def nodes(held_out: slice, **options: bool) -> Callable[[], None]:
    """A graph given whole, trained on its first nodes and evaluated twice after each tenth step."""

    def train() -> None:
        torch.manual_seed(0)
        x, y = torch.randn(NODES, 8), torch.randint(3, (NODES,))
        model = Graph(**options)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        trained, val_nodes = torch.arange(30), torch.arange(NODES)[held_out]
        for step in range(30):
            model.train()
            optimizer.zero_grad()
            F.cross_entropy(model(x)[trained], y[trained]).backward()
            optimizer.step()
            if step % 10 == 9:
                model.eval()
                with torch.no_grad():
                    for _ in range(2):
                        F.cross_entropy(model(x)[val_nodes], y[val_nodes])

    return train


@pytest.mark.parametrize(("held_out", "overlap"), [(slice(30, 60), 0), (slice(20, 50), 10)])
def test_nodes_of_a_graph_are_held_out_by_number(held_out: slice, overlap: int) -> None:
    found = said("DAT006", nodes(held_out))
    assert [each.evidence["overlap"] for each in found] == ([overlap] if overlap else [])
    assert all("of the 30 nodes" in each.message for each in found)


@pytest.mark.parametrize("activated", [False, True])
def test_outputs_may_be_picked_between_softmax_and_loss(activated: bool) -> None:
    assert len(said("ACT006", nodes(slice(30, 60), activated=activated))) == activated


@pytest.mark.parametrize("always", [False, True])
def test_a_graph_that_is_asked_twice_is_not_averaged_over(always: bool) -> None:
    assert len(said("REG006", nodes(slice(30, 60), always=always))) == always


@pytest.mark.parametrize("detached", [False, True])
def test_weights_whose_use_is_detached_are_named(detached: bool) -> None:
    found = said("OPT007", nodes(slice(30, 60), detached=detached))
    assert len(found) == detached
    if found:
        assert '"score"' in found[0].message
        assert found[0].evidence["weights"] == 3
        assert "detach" in found[0].message


def test_a_state_that_is_carried_with_its_graph_is_told_though_torch_raises() -> None:
    def train() -> None:
        model = nn.GRU(4, 8, batch_first=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        state = None
        for _ in range(3):
            out, state = model(torch.randn(5, 6, 4), state)
            optimizer.zero_grad()
            try:
                out.square().mean().backward()
            except RuntimeError:
                return
            optimizer.step()

    [finding] = said("OPT017", train)
    assert "Backward pass 2" in finding.message
    assert "detach" in finding.remedies[0].text


def scheduled(gamma: float) -> Callable[[], None]:
    def train() -> None:
        model = nn.Linear(4, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=gamma)
        x = torch.randn(640, 4)
        for rows in torch.arange(640).split(8):
            optimizer.zero_grad()
            F.mse_loss(model(x[rows]), x[rows][:, :1]).backward()
            optimizer.step()
            decay.step()

    return train


@pytest.mark.parametrize(("gamma", "spoken"), [(0.99, False), (0.75, True)])
def test_a_schedule_that_leaves_nothing_of_the_rate_is_told_without_a_loader(gamma: float, spoken: bool) -> None:
    found = said("SCH005", scheduled(gamma))
    assert len(found) == spoken
    assert all("millionth" in each.message for each in found)


@pytest.mark.parametrize(("every", "spoken"), [(1, False), (2, False), (20, True)])
def test_gradients_that_are_cleared_once_in_many_steps(every: int, spoken: bool) -> None:
    def train() -> None:
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(60):
            x = torch.randn(8, 4)
            if step % every == 0:
                optimizer.zero_grad()
            F.mse_loss(model(x), x[:, :1]).backward()
            optimizer.step()

    found = said("OPT008", train)
    assert len(found) == spoken
    assert all(" of the " in each.message for each in found)


def dropping(probability: float) -> Callable[[], None]:
    """Sixteen clouds of samples, learnt behind dropout, and evaluated."""

    def train() -> None:
        torch.manual_seed(0)
        centres = 2 * torch.randn(8, 16)
        y = torch.randint(8, (1200,))
        x = centres[y] + torch.randn(1200, 16)
        model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(probability), nn.Linear(64, 8))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        loss = nn.CrossEntropyLoss()
        for step in range(150):
            rows = torch.randint(0, 1000, (32,))
            model.train()
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
            if step % 30 == 29:
                model.eval()
                with torch.no_grad():
                    loss(model(x[1000:]), y[1000:])

    return train


@pytest.mark.parametrize(("probability", "spoken"), [(0.5, False), (0.95, True)])
def test_dropout_is_judged_by_evaluations_where_something_was_learnt(probability: float, spoken: bool) -> None:
    without = Fork(changed="no weight decay or dropout")
    found = said("REG004", dropping(probability), without)
    assert len(found) == spoken
    assert all("evaluations" in each.message for each in found)


def falling(rate: float) -> Callable[[], None]:
    def train() -> None:
        torch.manual_seed(0)
        x = torch.randn(2000, 16)
        y = (x[:, :1] * x[:, 1:2]).sign()
        model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(150):
            rows = torch.randint(0, 2000, (32,))
            optimizer.zero_grad()
            F.mse_loss(model(x[rows]), y[rows]).backward()
            optimizer.step()

    return train


@pytest.mark.parametrize(("rate", "spoken"), [(0.01, False), (0.3, True)])
def test_a_tenth_of_the_rate_is_tried_though_the_loss_comes_down(rate: float, spoken: bool) -> None:
    lower = Fork(changed="learning rate", factor=0.1)
    plain = observed(falling(rate), lower)
    assert forks_wanted(plain, select=["OPT002"])[0] == lower
    assert len([each for each in RULES["OPT002"](plain) if each.severity == "warning"]) == spoken


def test_early_in_a_long_training_a_lower_rate_must_halve_the_loss() -> None:
    plain = observed(falling(0.03), Fork(changed="learning rate", factor=0.1))
    heard_steps = plain.steps
    assert heard_steps is not None
    assert plain.forks is not None
    better = replace(plain.forks.changed[0], values=tuple(0.8 * each for each in heard_steps.values))
    forks = replace(plain.forks, changed=(better,))

    def spoken(planned: int) -> int:
        steps = replace(heard_steps, planned=planned)
        return len(RULES["OPT002"](replace(plain, steps=steps, forks=forks)))

    assert [spoken(150), spoken(450), spoken(451), spoken(0)] == [1, 1, 0, 0]
