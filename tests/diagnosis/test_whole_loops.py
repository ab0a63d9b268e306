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


def two_networks(kind: str) -> Callable[[], None]:
    """A network, and a second whose own loss no optimizer follows; or that is moved by hand, or given to one."""

    def train() -> None:
        torch.manual_seed(0)
        x, y = torch.randn(60, 8), torch.randn(60, 1)
        actor, critic = nn.Linear(8, 1), nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
        first = torch.optim.Adam(actor.parameters())
        second = torch.optim.Adam((critic if kind == "given" else actor).parameters())
        for _ in range(12):
            first.zero_grad()
            F.mse_loss(actor(x), y).backward()
            first.step()
            second.zero_grad()
            F.mse_loss(critic(x), y).backward()
            if kind == "by hand":
                with torch.no_grad():
                    for each in critic.parameters():
                        assert each.grad is not None
                        each.sub_(0.01 * each.grad)
                critic.zero_grad()
            else:
                second.step()

    return train


@pytest.mark.parametrize(("kind", "spoken"), [("nobody's", True), ("given", False), ("by hand", False)])
def test_a_loss_that_no_optimizer_follows(kind: str, spoken: bool) -> None:
    assert len(said("OPT006", two_networks(kind))) == spoken


def late(*, frozen: bool) -> Callable[[], None]:
    """A second network whose optimizer's turn comes rarely; or a frozen one, whose input is looked for."""

    def train() -> None:
        torch.manual_seed(0)
        x, y = torch.randn(60, 8), torch.randn(60, 1)
        model, other = nn.Linear(8, 1), nn.Linear(8, 1)
        first, second = torch.optim.Adam(model.parameters()), torch.optim.Adam(other.parameters())
        other.requires_grad_(not frozen)
        for step in range(30):
            first.zero_grad()
            F.mse_loss(model(x), y).backward()
            first.step()
            given = x.clone().requires_grad_(frozen)
            other(given).square().mean().backward()
            if step % 64 == 63 and not frozen:
                second.step()

    return train


@pytest.mark.parametrize("frozen", [False, True])
def test_an_optimizer_whose_turn_has_not_come_and_an_input_that_is_looked_for(frozen: bool) -> None:
    assert said("OPT006", late(frozen=frozen)) == ()


def with_a_constant(kind: str) -> Callable[[], None]:
    """A number that is learnt beside the network."""

    def train() -> None:
        torch.manual_seed(0)
        x, y = torch.randn(60, 8), torch.randn(60, 1)
        model, scale = nn.Linear(8, 1), nn.Parameter(torch.tensor(0.5))
        optimizer = torch.optim.Adam([*model.parameters(), *([scale] if kind == "given" else [])])
        scale.requires_grad_(kind != "frozen")
        for _ in range(12):
            optimizer.zero_grad()
            F.mse_loss(model(x) * scale.exp(), y).backward()
            if kind in ("by hand", "at a bound"):
                assert scale.grad is not None
                step = 0.01 * scale.grad if kind == "by hand" else 0 * scale.grad
                scale.data = (scale.data - step).clamp_max(0.5)
                scale.grad.zero_()
            optimizer.step()

    return train


@pytest.mark.parametrize(
    ("kind", "spoken"), [("nobody's", True), ("given", False), ("frozen", False), ("by hand", False)]
)
def test_a_parameter_beside_the_network(kind: str, spoken: bool) -> None:
    found = said("OPT006", with_a_constant(kind))
    assert [("`scale`" in each.message) for each in found] == [True] * spoken


def warming(*, by: str, accumulated: int = 1, warm: int = 20, epochs: int = 6) -> Callable[[], None]:
    """A warm-up of steps and a cosine by a function, stepped by the epoch, by the step or by the batch."""

    def train() -> None:
        torch.manual_seed(0)
        x, y = torch.randn(400, 4), torch.randn(400, 1)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

        def share(step: int) -> float:
            return (step + 1) / warm if step < warm else max(0.02, 1 - (step - warm) / 100)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        for _ in range(epochs):
            for _ in range(20):
                for _ in range(accumulated):
                    rows = torch.randint(0, 400, (16,))
                    F.mse_loss(model(x[rows]), y[rows]).backward()
                    if by == "batch":
                        schedule.step()
                optimizer.step()
                optimizer.zero_grad()
                if by == "step":
                    schedule.step()
            if by == "epoch":
                schedule.step()

    return train


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "step"}, []),
        ({"by": "step", "accumulated": 3}, []),
        ({"by": "epoch", "warm": 30}, ["in the whole training"]),
        # A warm-up of some epochs is meant.
        ({"by": "epoch", "warm": 4}, []),
        ({"by": "batch", "accumulated": 3}, ["3 times for each optimizer step"]),
    ],
)
def test_a_schedule_by_a_function_that_counts_something_else(options: dict[str, int], words: list[str]) -> None:
    found = said("SCH005", warming(**options))  # type: ignore[arg-type]
    assert len(found) == len(words)
    assert all(word in each.message for word, each in zip(words, found, strict=True))


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize("kind", ["by the batch, for batches", "squares by the epoch", "of the rarer optimizer"])
def test_a_schedule_that_counts_as_it_is_stepped(kind: str) -> None:
    def train() -> None:
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        schedules = torch.optim.lr_scheduler
        schedule: torch.optim.lr_scheduler.LRScheduler = schedules.LambdaLR(optimizer, lambda step: (1 - step / 6) ** 2)
        if kind == "by the batch, for batches":
            schedule = schedules.CosineAnnealingLR(optimizer, T_max=120)
        elif kind == "of the rarer optimizer":
            schedule = schedules.LambdaLR(optimizer, lambda step: 1 - step / 120)
        for _ in range(6):
            for batch in range(20):
                F.mse_loss(model(torch.randn(16, 4)), torch.randn(16, 1)).backward()
                if batch % 4 == 3:
                    optimizer.step()
                    optimizer.zero_grad()
                if "epoch" not in kind:
                    schedule.step()
            if "epoch" in kind:
                schedule.step()

    assert said("SCH005", train) == ()


def aligned(last: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    """Letters in a sequence, by CTC."""

    def train() -> None:
        torch.manual_seed(0)
        model = nn.Linear(6, 5)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(10):
            x, y = torch.randn(12, 4, 6), torch.randint(1, 5, (4, 3))
            optimizer.zero_grad()
            F.ctc_loss(last(model(x)), y, torch.full((4,), 12), torch.full((4,), 3)).backward()
            optimizer.step()

    return train


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (lambda out: out.log_softmax(dim=2), ""),
        (lambda out: out.softmax(dim=2), "pass a softmax"),
        (lambda out: out, "add up to"),
        (lambda out: out.log_softmax(dim=1), "along axis 1"),
    ],
)
def test_ctc_wants_logarithms_of_probabilities(last: Callable[[Tensor], Tensor], word: str) -> None:
    found = said("ACT006", aligned(last))
    assert [word in each.message for each in found] == [True] * bool(word)


def measured_in(scale: float, offset: float, *, loud: float = 1.0) -> Callable[[], None]:
    def train() -> None:
        torch.manual_seed(0)
        x = torch.randn(600, 8)
        y = offset + scale * (x[:, :1] + torch.sin(2 * x[:, 1:2]))
        first = nn.Linear(8, 32)
        with torch.no_grad():
            first.weight.mul_(loud)
        model = nn.Sequential(first, nn.ReLU(), nn.Linear(32, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
        for _ in range(150):
            rows = torch.randint(0, 600, (32,))
            optimizer.zero_grad()
            F.mse_loss(model(x[rows]), y[rows]).backward()
            optimizer.step()

    return train


@pytest.mark.parametrize(
    ("scale", "offset", "spoken"), [(1.0, 0.0, False), (1.0, 2.5, False), (50.0, 400.0, True), (200.0, 0.0, True)]
)
def test_targets_far_from_where_outputs_begin(scale: float, offset: float, spoken: bool) -> None:
    in_units = Fork(changed="outputs in the units of the targets")
    plain = observed(measured_in(scale, offset), in_units)
    assert (in_units in forks_wanted(plain, select=["INI004"])) == (spoken or offset > 2)
    found = [each for each in RULES["INI004"](plain) if each.severity == "warning"]
    assert len(found) == spoken
    assert all("targets' units" in each.message for each in found)


@pytest.mark.parametrize(("loud", "spoken"), [(1.0, False), (20.0, True)])
def test_one_hidden_layer_of_large_weights(loud: float, spoken: bool) -> None:
    redrawn = Fork(changed="redrawn weights")
    plain = observed(measured_in(1.0, 0.0, loud=loud), redrawn)
    found = [each for each in RULES["INI003"](plain) if each.severity == "warning"]
    assert len(found) == spoken
    assert all("times as large" in each.message for each in found)


def decaying(make: Callable[..., torch.optim.Optimizer], decay: float) -> Callable[[], None]:
    """A classifier under weight decay, and what it comes to on samples that it does not see."""

    def train() -> None:
        torch.manual_seed(0)
        centres = torch.randn(8, 16)
        y = torch.randint(0, 8, (1200,))
        x = centres[y] + 0.5 * torch.randn(1200, 16)
        model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 8))
        optimizer = make(model.parameters(), lr=0.003, weight_decay=decay)
        for step in range(150):
            rows = torch.randint(0, 1000, (32,))
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            if step % 30 == 29:
                with torch.no_grad():
                    val_x, val_y = x[1000:], y[1000:]
                    F.cross_entropy(model(val_x), val_y)

    return train


@pytest.mark.parametrize(
    ("make", "decay", "spoken"),
    [
        (torch.optim.Adam, 0.1, True),
        (torch.optim.AdamW, 0.1, False),
        (torch.optim.Adam, 1e-4, False),
    ],
)
def test_a_decay_that_an_adaptive_optimizer_divides(
    make: Callable[..., torch.optim.Optimizer], decay: float, spoken: bool
) -> None:
    without = Fork(changed="no weight decay or dropout")
    assert len(said("REG004", decaying(make, decay), without)) == spoken


def alike(*, divided: bool) -> Callable[[], None]:
    """Whole numbers that are divided without a remainder, and a loss that is written by hand."""

    def train() -> None:
        torch.manual_seed(0)
        x, y = torch.randint(0, 200, (120, 4)), torch.randn(120)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=30, shuffle=True)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(4):
            for rows, wanted in loader:
                mean, log_deviation = model((rows // 200 if divided else rows / 200).float()).unbind(1)
                optimizer.zero_grad()
                (log_deviation + 0.5 * ((wanted - mean) / log_deviation.exp()) ** 2).mean().backward()
                optimizer.step()

    return train


@pytest.mark.parametrize("divided", [False, True])
def test_samples_that_are_all_the_same(divided: bool) -> None:
    assert len(said("DEP003", alike(divided=divided))) == divided


@pytest.mark.parametrize("frozen", [False, True])
def test_a_layer_of_zeros_that_is_frozen_for_a_while_is_no_single_unit(frozen: bool) -> None:
    def train() -> None:
        torch.manual_seed(0)
        x, y = torch.randn(60, 8), torch.randn(60, 4)
        last = nn.Linear(16, 4)
        nn.init.zeros_(last.weight)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), last)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(30):
            last.weight.requires_grad_(not frozen or step > 15)
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()

    assert said("INI001", train) == ()
