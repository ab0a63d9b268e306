"""Trainings that look like a fault of the network, its start or its loss, and are none: the rules stay silent."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rows import heard
from rows_network import batches, numbers, ring, stack
from torch import Tensor, nn
from torch.optim import SGD, Adam

from trainwell.core.records.finding import Finding
from trainwell.diagnosis.diagnose import diagnose

CODES = (
    *("ACT003", "ACT004", "ACT005", "ACT006", "ACT007", "INI004", "INI005"),
    *("OPT006", "OPT007", "OPT011", "OPT012", "OPT016"),
)
STEPS = 6


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def classes(count: int, *shape: int) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(1))


def steps_of(model: nn.Module, loss: Callable[[int], Tensor], *, lr: float = 0.01, steps: int = STEPS) -> None:
    optimizer = SGD(model.parameters(), lr=lr)
    for number in range(steps):
        optimizer.zero_grad()
        loss(number).backward()
        optimizer.step()


class Made(nn.Module):
    """A network from a function, over layers of its own."""

    def __init__(self, read: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.read, self.layers = read, nn.ModuleDict(layers)

    def forward(self, *given: Any) -> Any:
        return self.read(self.layers, *given)


X, Y = drawn(32, 8), classes(4, 32)


def least_squares_gan() -> None:
    maker, judge = stack(4, 16, 8, last=[nn.Tanh()]), stack(8, 16, 1, last=[nn.Sigmoid()])
    mine, others = Adam(maker.parameters(), lr=1e-3), Adam(judge.parameters(), lr=1e-3)
    for number in range(STEPS):
        made = maker(drawn(32, 4, seed=number))
        others.zero_grad()
        (F.mse_loss(judge(X), torch.ones(32, 1)) + F.mse_loss(judge(made.detach()), torch.zeros(32, 1))).backward()
        others.step()
        mine.zero_grad()
        F.mse_loss(judge(made), torch.ones(32, 1)).backward()
        mine.step()


def gan_without_activation() -> None:
    """The last layer of one network stands right before the first of the other."""
    maker, judge = stack(4, 16, 8), stack(8, 8, 1)
    mine = SGD(maker.parameters(), lr=0.01)
    for number in range(STEPS):
        mine.zero_grad()
        F.binary_cross_entropy_with_logits(judge(maker(drawn(32, 4, seed=number))), torch.ones(32, 1)).backward()
        mine.step()


def variational() -> None:
    def read(layers: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = layers["first"](x).relu()
        mean, log = layers["mean"](hidden), layers["log"](hidden)
        code = mean + drawn(*mean.shape) * (0.5 * log).exp()
        return layers["last"](layers["third"](code).relu()).sigmoid(), mean, log

    model = Made(
        read,
        first=nn.Linear(8, 16),
        mean=nn.Linear(16, 3),
        log=nn.Linear(16, 3),
        third=nn.Linear(3, 16),
        last=nn.Linear(16, 8),
    )

    def loss(_: int) -> Tensor:
        made, mean, log = model(X.sigmoid())
        divergence = -0.5 * (1 + log - mean.square() - log.exp()).sum()
        found: Tensor = F.binary_cross_entropy(made, X.sigmoid(), reduction="sum") + divergence
        return found

    steps_of(model, loss, lr=1e-4)


def value_network() -> None:
    """Q-learning with a target network, and the loss written by hand."""
    model = stack(8, 16, 4)
    target = copy.deepcopy(model)
    taken = classes(4, 32)

    def loss(number: int) -> Tensor:
        with torch.no_grad():
            wanted = drawn(32, seed=number) + 0.9 * target(X).max(dim=1).values
        chosen = model(X).gather(1, taken.unsqueeze(1)).squeeze(1)
        found: Tensor = (chosen - wanted).square().mean()
        return found

    steps_of(model, loss)


def policy_gradient() -> None:
    model = stack(8, 16, 4)
    taken = classes(4, 32)

    def loss(number: int) -> Tensor:
        chosen = F.log_softmax(model(X), dim=1).gather(1, taken.unsqueeze(1)).squeeze(1)
        found: Tensor = -(chosen * drawn(32, seed=number)).mean()
        return found

    steps_of(model, loss)


def policy_by_nll() -> None:
    """The negative log-likelihood as a way to pick a number, weighted and turned."""
    model = stack(8, 16, 4)
    steps_of(model, lambda number: -(F.nll_loss(model(X), Y, reduction="none") * drawn(32, seed=number)).mean())


def contrastive() -> None:
    model = stack(8, 16, 6)

    def loss(number: int) -> Tensor:
        one, two = (F.normalize(model(X + 0.1 * drawn(32, 8, seed=2 * number + side)), dim=1) for side in (0, 1))
        return F.cross_entropy(one @ two.T / 0.1, torch.arange(32))

    steps_of(model, loss)


def prototypes() -> None:
    model = stack(8, 16, 6)
    places = drawn(4, 6)

    def loss(_: int) -> Tensor:
        distances = (model(X).unsqueeze(1) - places.unsqueeze(0)).square().sum(dim=2)
        return F.cross_entropy(-distances, Y)

    steps_of(model, loss)


def quantiles() -> None:
    """Every quantile against every sample of the target: as many of one as of the other."""
    model = stack(8, 16, 32)
    wanted = drawn(32, 32)
    steps_of(model, lambda _: (model(X).unsqueeze(2) - wanted.unsqueeze(1)).abs().mean())


def ranking() -> None:
    """All pairs of the scores of a batch, with axes put in for it."""
    model = stack(8, 16, 1)

    def loss(_: int) -> Tensor:
        scores = model(X).squeeze(1)
        return F.softplus(-(scores[:, None] - scores)).mean() + F.softplus(scores[:, None] * drawn(32)).mean()

    steps_of(model, loss)


def listwise() -> None:
    """One list of candidates, and shares of it that add up to 1."""
    model = stack(8, 16, 1)
    shares = drawn(32).softmax(dim=0)
    steps_of(model, lambda _: F.cross_entropy(model(X).squeeze(1), shares))


def words() -> None:
    model = nn.Sequential(nn.Embedding(1000, 16), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1000))
    text = classes(10, 32, 9)
    steps_of(model, lambda _: F.cross_entropy(model(text[:, :8]).flatten(0, 1), text[:, 1:].flatten()))


def twice_logarithm() -> None:
    model = stack(8, 16, 4, last=[nn.LogSoftmax(dim=1)])
    steps_of(model, lambda _: F.cross_entropy(model(X), Y))


def logarithm_of_softmax() -> None:
    """As skorch does it."""
    model = stack(8, 16, 4, last=[nn.Softmax(dim=-1)])
    steps_of(model, lambda _: F.nll_loss((model(X) + 1e-7).log(), Y))


def segmentation() -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1))
    pictures, labels = drawn(6, 1, 8, 8), classes(3, 6, 8, 8)
    steps_of(model, lambda _: F.nll_loss(F.log_softmax(model(pictures), dim=1), labels))


def distilled() -> None:
    teacher, model = stack(8, 16, 4), stack(8, 16, 4)

    def loss(_: int) -> Tensor:
        with torch.no_grad():
            said = teacher(X)
        soft = F.kl_div(F.log_softmax(model(X) / 2, dim=1), F.softmax(said / 2, dim=1), reduction="batchmean")
        return 4 * soft + F.cross_entropy(model(X), Y, label_smoothing=0.1)

    steps_of(model, loss)


def few_wide_rewards() -> None:
    """A target or two beyond what the activation gives, as noise brings it."""
    model = stack(8, 16, 1, last=[nn.ReLU()])
    wanted = (drawn(32, 1) + 3).where(torch.arange(32)[:, None] > 0, torch.tensor(-0.01))
    steps_of(model, lambda _: F.mse_loss(model(X), wanted))


def low_rank() -> None:
    """A map of low rank beside a frozen one, as LoRA puts it."""

    def read(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        hidden = (layers["whole"](x) + layers["up"](layers["down"](x))).relu()
        found: Tensor = layers["last"](hidden)
        return found

    model = Made(
        read,
        whole=nn.Linear(8, 16).requires_grad_(False),
        down=nn.Linear(8, 2, bias=False),
        up=nn.Linear(2, 16, bias=False),
        last=nn.Linear(16, 4),
    )
    steps_of(model, lambda _: F.cross_entropy(model(X), Y))


def code_without_activation() -> None:
    model = nn.Sequential(*stack(8, 16, 3), *stack(3, 16, 8))
    steps_of(model, lambda _: F.mse_loss(model(X), X))


def inverted_residuals() -> None:
    def block(wide: int, narrow: int) -> list[nn.Module]:
        return [
            nn.Conv2d(narrow, wide, 1),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, narrow, 1),
            nn.BatchNorm2d(narrow),
        ]

    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), *block(16, 4), *block(16, 4))
    model.extend([nn.Flatten(), nn.Linear(4 * 64, 4)])
    pictures = drawn(32, 1, 8, 8)
    steps_of(model, lambda _: F.cross_entropy(model(pictures), Y))


def separable() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(2, 8, 1),
        nn.ReLU(),
        nn.Conv2d(8, 8, (1, 3)),
        nn.Conv2d(8, 8, (3, 1)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 4),
    )
    pictures = drawn(32, 2, 8, 8)
    steps_of(model, lambda _: F.cross_entropy(model(pictures), Y))


def attention() -> None:
    """A projection of the inputs right before queries, keys and values, a residual sum, and a linear output."""

    def read(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        tokens = layers["inputs"](x.unflatten(1, (4, 2)))
        query, key, value = layers["all"](tokens).chunk(3, dim=2)
        mixed = F.scaled_dot_product_attention(query, key, value)
        tokens = layers["norm"](tokens + layers["out"](mixed))
        found: Tensor = layers["last"](tokens.mean(dim=1))
        return found

    model = Made(
        read,
        inputs=nn.Linear(2, 8),
        all=nn.Linear(8, 24),
        out=nn.Linear(8, 8),
        norm=nn.LayerNorm(8),
        last=nn.Linear(8, 4),
    )
    steps_of(model, lambda _: F.cross_entropy(model(X), Y))


def encoder_layer() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = Made(
        lambda layers, x: layers["last"](layers["body"](layers["inputs"](x.unflatten(1, (4, 2)))).mean(dim=1)),
        inputs=nn.Linear(2, 8),
        body=layer,
        last=nn.Linear(8, 4),
    )
    steps_of(model, lambda _: F.cross_entropy(model(X), Y))


def projected_recurrence() -> None:
    model = Made(
        lambda layers, x: layers["last"](layers["body"](layers["inputs"](x.unflatten(1, (4, 2))))[0][:, -1]),
        inputs=nn.Linear(2, 8),
        body=nn.LSTM(8, 8, batch_first=True),
        last=nn.Linear(8, 4),
    )
    steps_of(model, lambda _: F.cross_entropy(model(X), Y))


def linear_dynamics() -> None:
    """One map again and again: a linear system, and meant to be."""
    layer = nn.Linear(8, 8)
    model = Made(lambda layers, x: layers["step"](layers["step"](layers["step"](x))), step=layer)
    steps_of(model, lambda _: F.mse_loss(model(X), X.roll(1, 1)))


def factors() -> None:
    model = Made(
        lambda layers, who, what: (layers["who"](who) * layers["what"](what)).sum(dim=1),
        who=nn.Embedding(20, 4),
        what=nn.Embedding(20, 4),
    )
    who, what, stars = classes(20, 32), classes(20, 32).roll(5), 1 + classes(5, 32).float()
    steps_of(model, lambda _: F.mse_loss(model(who, what), stars))


def several_heads() -> None:
    """A trunk without an activation at its end, whose numbers two heads are given."""

    def read(layers: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        trunk = layers["trunk"](x)
        return layers["one"](trunk), layers["two"](trunk)

    model = Made(read, trunk=nn.Linear(8, 16), one=nn.Linear(16, 4), two=nn.Linear(16, 1))

    def loss(_: int) -> Tensor:
        one, two = model(X)
        return F.cross_entropy(one, Y) + F.mse_loss(two, X[:, :1])

    steps_of(model, loss)


def quantized() -> None:
    """Straight through the nearest entry of a codebook that a moving mean keeps."""

    def read(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        code = layers["first"](x)
        with torch.no_grad():
            nearest = layers["book"](torch.cdist(code, entries).argmin(dim=1))
        found: Tensor = layers["last"]((code + (nearest - code).detach()).relu())
        return found

    book = nn.Embedding(6, 4).requires_grad_(False)
    entries = book.weight
    model = Made(read, first=nn.Linear(8, 4), book=book, last=nn.Linear(4, 8))
    steps_of(model, lambda _: F.mse_loss(model(X), X))


def momentum_encoder() -> None:
    """A copy that follows slowly, called first and without gradients, and handed to the optimizer with all the rest."""

    def read(layers: nn.ModuleDict, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            slow = layers["slow"](x)
        return layers["head"](layers["fast"](x).relu()), slow

    fast = nn.Linear(8, 8)
    model = Made(read, slow=copy.deepcopy(fast), fast=fast, head=nn.Linear(8, 8))

    def loss(_: int) -> Tensor:
        made, slow = model(X)
        return F.mse_loss(made, slow)

    steps_of(model, loss)


def experts() -> None:
    """Some are never asked."""

    def read(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        found: Tensor = layers["last"]((layers["one"](x) if x.numel() else layers["two"](x)).relu())
        return found

    model = Made(read, one=nn.Linear(8, 8), two=nn.Linear(8, 8), last=nn.Linear(8, 4))
    steps_of(model, lambda _: F.cross_entropy(model(X), Y))


def checkpointed() -> None:
    """Run without gradients first, and once more, with them, on the way back."""

    def read(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        from torch.utils.checkpoint import checkpoint

        found: Tensor = layers["last"](checkpoint(layers["first"], x.requires_grad_(), use_reentrant=True).relu())
        return found

    model = Made(read, first=nn.Linear(8, 16), last=nn.Linear(16, 4))
    steps_of(model, lambda _: F.cross_entropy(model(X.clone()), Y))


class Perturbed(nn.Module):
    """Adds to its inputs what the script moves by hand against the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.body = stack(8, 16, 4)
        self.change = torch.zeros(8, requires_grad=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.body(x + self.change)
        return found


def adversarial_change() -> None:
    model = Perturbed()
    optimizer = SGD(model.parameters(), lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(model(X), Y).backward()
        optimizer.step()
        assert model.change.grad is not None
        model.change.data += 0.01 * model.change.grad.sign()
        model.change.grad = None


def slopes_of_inputs() -> None:
    """An equation's residual: the inputs want gradients too."""
    model = stack(1, 16, 1, activation=nn.Tanh)
    places = drawn(32, 1)

    def loss(_: int) -> Tensor:
        at = places.clone().requires_grad_()
        made = model(at)
        [slope] = torch.autograd.grad(made.sum(), at, create_graph=True)
        found: Tensor = (slope - made.detach()).square().mean() + (made - at.cos()).square().mean()
        return found

    steps_of(model, loss)


def gated() -> None:
    def read(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        hidden = layers["first"](x).relu()
        for name in ("one", "two", "three"):
            hidden = hidden * layers[name](hidden).sigmoid()
        found: Tensor = layers["last"](hidden)
        return found

    names = ("one", "two", "three")
    model = Made(read, first=nn.Linear(8, 8), last=nn.Linear(8, 4), **{name: nn.Linear(8, 8) for name in names})
    steps_of(model, lambda _: F.cross_entropy(model(X), Y))


def by_closure() -> None:
    model = stack(8, 16, 4)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), Y)
        loss.backward()
        return loss.item()

    for _ in range(STEPS):
        optimizer.step(closure)


def stars() -> None:
    """Ratings from 1 to 5, as numbers."""
    model = stack(8, 16, 1)
    steps_of(model, lambda _: F.mse_loss(model(X).squeeze(1), 1 + classes(5, 32).float()))


SILENT = (
    least_squares_gan,
    gan_without_activation,
    variational,
    value_network,
    policy_gradient,
    policy_by_nll,
    contrastive,
    prototypes,
    quantiles,
    ranking,
    listwise,
    words,
    twice_logarithm,
    logarithm_of_softmax,
    segmentation,
    distilled,
    few_wide_rewards,
    low_rank,
    code_without_activation,
    inverted_residuals,
    separable,
    attention,
    encoder_layer,
    projected_recurrence,
    linear_dynamics,
    factors,
    several_heads,
    quantized,
    momentum_encoder,
    experts,
    checkpointed,
    adversarial_change,
    slopes_of_inputs,
    gated,
    by_closure,
    stars,
)
CONVENTIONS = ("ACT003", "ACT004", "INI004", "OPT011")
"""Infos that fit many a healthy network."""


def told(train: Callable[[], None]) -> list[Finding]:
    torch.manual_seed(0)
    return list(diagnose(heard(train), select=CODES).findings)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
@pytest.mark.parametrize("train", SILENT, ids=lambda each: each.__name__)
def test_nothing_is_said_of(train: Callable[[], None]) -> None:
    found = [each for each in told(train) if each.code not in CONVENTIONS or each.severity != "info"]
    assert [(each.code, each.severity, each.message) for each in found] == []


def one(train: Callable[[], None], code: str) -> Finding:
    [found] = [each for each in told(train) if each.code == code]
    return found


@pytest.mark.parametrize(
    ("last", "loss", "said"),
    [
        (nn.Sigmoid(), F.cross_entropy, "cannot fall below 0.744"),
        (nn.Softmax(dim=1), lambda out, y: F.cross_entropy(out, F.one_hot(y, 4).float()), "cannot fall below 0.744"),
        (nn.ReLU(), lambda out, y: F.binary_cross_entropy_with_logits(out, F.one_hot(y, 4).float()), "one half"),
        (nn.Softmax(dim=0), lambda out, y: F.mse_loss(out, F.one_hot(y, 4).float()), "over the samples"),
        (nn.Softmax(dim=0), lambda out, y: F.nll_loss(out.log(), y), "over the samples"),
        (nn.Tanh(), lambda out, y: F.l1_loss(out, 2.0 * y.unsqueeze(1) - 3 + X[:, :4]), "lie outside"),
        (nn.ReLU(), lambda out, y: ((X[:, :4] - out) ** 2).mean(), "lie outside"),
        (nn.ReLU(), lambda out, y: F.smooth_l1_loss(X[:, :4], out), "lie outside"),
    ],
)
def test_activations_that_do_not_go_with_the_loss(
    last: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], said: str
) -> None:
    model = stack(8, 16, 4, last=[last])
    finding = one(lambda: steps_of(model, lambda _: loss(model(X), Y)), "ACT006")
    assert finding.severity == "error"
    assert said in finding.message
    assert finding.where.line is not None


@pytest.mark.parametrize(
    ("loss", "operation"),
    [
        (lambda out: F.l1_loss(out, X[:, 0]), "absolute error"),
        (lambda out: F.smooth_l1_loss(out, X[:, 0]), "Huber loss"),
        (lambda out: F.mse_loss(X[:, 0], out), "squared error"),
        (lambda out: F.mse_loss(out.squeeze(1), X[:, :1]), "squared error"),
        (lambda out: F.poisson_nll_loss(out, X[:, 0].abs()), "Poisson likelihood"),
        (lambda out: F.gaussian_nll_loss(out, X[:, 0], torch.ones(32, 1)), "Gaussian likelihood"),
        (lambda out: (X[:, 0] - out).pow(2).sum() / 32, "difference"),
        (lambda out: (out - X[:, 0]).abs().mean().sqrt(), "difference"),
        (lambda out: (1 - X[:, 0].sign() * out).clamp(min=0).mean(), "product"),
        (lambda out: -(X[:, 0] * out.sigmoid().log()).mean(), "product"),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
def test_shapes_that_are_spread_to_each_other(loss: Callable[[Tensor], Tensor], operation: str) -> None:
    model = stack(8, 16, 1)
    finding = one(lambda: steps_of(model, lambda _: loss(model(X))), "OPT016")
    assert finding.severity == "error"
    assert f"The {operation}" in finding.message
    assert finding.where.line is not None
    assert "squeeze(-1)" in finding.remedies[0].text


class Cut(nn.Module):
    """Features, cut off by one means or another."""

    def __init__(self, cut: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.cut = cut
        self.features, self.last = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.cut(self.features(x).relu()))
        return found


@pytest.mark.parametrize(
    ("cut", "cause"),
    [
        (lambda x: x.detach(), "`detach`"),
        (lambda x: x.data, "`.data`"),
        (lambda x: torch.from_numpy(x.detach().numpy()), "`detach`"),
        (lambda x: torch.tensor(x.tolist()), "a new tensor"),
        (lambda x: F.one_hot(x.argmax(dim=1), 16).float(), "`argmax`"),
        (lambda x: (x > 0.5).float(), "the graph is cut"),
        (lambda x: x.round(), "`round`"),
        (lambda x: x.sign(), "`sign`"),
    ],
)
def test_whatever_cuts_the_graph_is_found(cut: Callable[[Tensor], Tensor], cause: str) -> None:
    model = Cut(cut)
    finding = one(lambda: steps_of(model, lambda _: F.cross_entropy(model(X), Y)), "OPT007")
    assert finding.severity == "error"
    assert finding.where.layer == "features"
    assert cause in finding.cause


def test_an_encoder_that_is_cut_off_in_the_loop_is_found() -> None:
    first, last = nn.Sequential(nn.Linear(8, 16), nn.ReLU()), nn.Linear(16, 4)

    def train() -> None:
        optimizer = SGD([*first.parameters(), *last.parameters()], lr=0.01)
        for _ in range(12):
            optimizer.zero_grad()
            F.cross_entropy(last(first(X).detach()), Y).backward()
            optimizer.step()

    finding = one(train, "OPT007")
    assert "`detach`" in finding.cause


class Listed(nn.Module):
    """Weights in places where nobody looks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(16, 4)
        self.weights = [nn.Parameter(0.1 * drawn(8, 16)), nn.Parameter(torch.zeros(16))]

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last((x @ self.weights[0] + self.weights[1]).relu())
        return found


class New(nn.Module):
    """A layer that is made anew at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(nn.Linear(8, 16)(x).relu())
        return found


@pytest.mark.parametrize(("model", "cause"), [(Listed(), "nn.Parameter"), (New(), "made anew at each call")])
def test_weights_that_no_optimizer_can_have(model: nn.Module, cause: str) -> None:
    finding = one(lambda: steps_of(model, lambda _: F.cross_entropy(model(X), Y)), "OPT006")
    assert finding.severity == "error"
    assert cause in finding.cause


def test_a_layer_put_in_after_the_optimizer_was_made() -> None:
    def train() -> None:
        model = stack(8, 16, 4)
        optimizer = SGD(model.parameters(), lr=0.01)
        model[2] = nn.Linear(16, 4)
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(model(X), Y).backward()
            optimizer.step()

    assert one(train, "OPT006").where.layer == "2"


def test_a_linear_network_of_linear_data_is_told_and_not_warned_of() -> None:
    inputs = drawn(400, 8)
    targets = inputs @ drawn(8, 1, seed=3) + 0.1 * drawn(400, 1, seed=4)
    train = batches(lambda: stack(8, 16, 1, activation=None), F.mse_loss, inputs, targets, steps=12)
    assert one(train, "ACT005").severity == "info"


def test_one_missing_activation_of_two_is_told() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.Dropout(0.1), nn.Linear(16, 4))
    finding = one(lambda: steps_of(model, lambda _: F.cross_entropy(model(X), Y)), "ACT005")
    assert finding.severity == "info"
    assert (finding.where.layer, finding.where.line is not None) == ("2", True)
    assert "with dropout between" in finding.message
    assert "The whole network" not in finding.message


def test_yes_or_no_as_a_number_is_no_class_number() -> None:
    inputs, labels = ring()
    train = batches(lambda: stack(2, 16, 1), numbers(F.mse_loss), inputs, labels)
    assert [each.code for each in told(train) if each.code == "OPT012"] == []


@pytest.mark.parametrize("loss", [F.mse_loss, F.binary_cross_entropy_with_logits])
def test_one_hot_targets_are_an_info(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = stack(8, 16, 4)
    finding = one(lambda: steps_of(model, lambda _: loss(model(X), F.one_hot(Y, 4).float())), "OPT012")
    assert finding.severity == "info"


def test_classes_that_have_not_come_yet_are_an_info() -> None:
    """As where the classes are learnt one task after another."""
    model = stack(8, 16, 20)
    finding = one(lambda: steps_of(model, lambda _: F.cross_entropy(model(X), Y.clamp(max=1))), "ACT007")
    assert finding.severity == "info"
