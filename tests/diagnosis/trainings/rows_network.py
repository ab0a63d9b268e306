"""Rows and cases of what rules say of a network's layers, its start, and the loss that it is given to."""

import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from rows import Row, heard, loop
from torch import Tensor, nn

from trainwell.capture.interventions import changed
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation

Loss = Callable[[Tensor, Tensor], Tensor]


def batches(
    model: Callable[[], nn.Module],
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    *,
    lr: float = 0.05,
    steps: int = 24,
    size: int = 32,
    kind: type[torch.optim.Adam] | type[torch.optim.SGD] = torch.optim.Adam,
) -> Callable[[], None]:
    """A training from the beginning, batch after batch."""

    def train() -> None:
        torch.manual_seed(0)
        made = model()
        optimizer = kind(made.parameters(), lr=lr)
        for number in range(steps):
            chosen = torch.arange(number * size, (number + 1) * size) % len(inputs)
            optimizer.zero_grad()
            loss(made(inputs[chosen]), targets[chosen]).backward()
            optimizer.step()

    return train


def forked(train: Callable[[], None], *forks: Fork) -> Observation:
    """A training, and the same with one thing changed."""
    plain = heard(train)
    assert plain.steps is not None
    tried = []
    for fork in forks:
        with changed(fork):
            again = heard(train)
        assert again.steps is not None
        tried.append(replace(fork, values=again.steps.values))
    return replace(plain, forks=Forks(unchanged=plain.steps.values, changed=tuple(tried)))


def stack(*widths: int, activation: type[nn.Module] | None = nn.ReLU, last: Sequence[nn.Module] = ()) -> nn.Sequential:
    """Linear layers with an activation between, or none."""
    layers: list[nn.Module] = []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        if number and activation is not None:
            layers.append(activation())
        layers.append(nn.Linear(fan_in, fan_out))
    return nn.Sequential(*layers, *last)


def drawn(model: nn.Sequential, std: float) -> nn.Sequential:
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
    return model


def _drawn_stack(std: float) -> nn.Module:
    return drawn(stack(64, 64, 64, 64, 10), std)


def digits(lab: Any, model: Callable[[], nn.Module], loss: Loss = F.cross_entropy, **options: Any) -> Observation:
    split = lab.digits()
    return heard(batches(model, loss, split.x, split.y, **options))


def ring(count: int = 800) -> tuple[Tensor, Tensor]:
    """Points inside and outside of a circle: no line parts them."""
    points = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    return points, (points.norm(dim=1) > 1.2).long()


def ratings(count: int = 800) -> tuple[Tensor, Tensor]:
    """Whole numbers that are a scale: 0 to 6, with noise."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 8, generator=draw)
    noise = 0.5 * torch.randn(count, generator=draw)
    return inputs, (3 + inputs[:, 0] + inputs[:, 1] * inputs[:, 2] + noise).round().clamp(0, 6)


def numbers(loss: Loss) -> Loss:
    """The only output of each sample against the target as a number."""
    return lambda outputs, targets: loss(outputs.squeeze(1), targets.float())


def without_warnings(train: Callable[[], None]) -> Callable[[], None]:
    """torch itself warns of some shapes that differ."""

    def quietly() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            train()

    return quietly


def deep(activation: type[nn.Module]) -> Callable[[Any], Observation]:
    def run(lab: Any) -> Observation:
        split = lab.digits()
        train = batches(
            lambda: stack(64, 32, 32, 32, 32, 32, 10, activation=activation), F.cross_entropy, split.x, split.y, lr=0.01
        )
        return forked(train, Fork(changed="ReLU"), Fork(changed="redrawn weights"))

    return run


def linear_ring(activation: type[nn.Module] | None) -> Callable[[Any], Observation]:
    inputs, labels = ring()
    return lambda _: heard(batches(lambda: stack(2, 16, 2, activation=activation), F.cross_entropy, inputs, labels))


def between(lab: Any) -> Observation:
    """A ring again, in steps enough to learn it where it can be."""
    inputs, labels = ring()
    train = batches(
        lambda: stack(2, 32, 2, activation=None), F.cross_entropy, inputs, labels, lr=0.1, steps=30, size=64
    )
    return forked(train, Fork(changed="ReLU between", layers=("0",)))


def small_weights(std: float) -> Callable[[Any], Observation]:
    def run(lab: Any) -> Observation:
        split = lab.digits()

        made = functools.partial(_drawn_stack, std)
        train = batches(made, F.cross_entropy, split.x, split.y, lr=0.1, kind=torch.optim.SGD)
        return forked(train, Fork(changed="redrawn weights"))

    return run


def thousand(lab: Any) -> Observation:
    """A last layer that was made for other classes."""
    split = lab.digits()
    train = batches(lambda: stack(64, 32, 1000), F.cross_entropy, split.x, split.y, lr=0.003)
    return forked(train, Fork(changed="fewer outputs", factor=10.0))


def loud(std: float) -> Callable[[Any], Observation]:
    """A last layer whose weights are drawn so large; all else as torch draws it."""

    def made() -> nn.Sequential:
        model = stack(64, 32, 10)
        assert isinstance(model[-1], nn.Linear)
        nn.init.normal_(model[-1].weight, std=std)
        return model

    def run(lab: Any) -> Observation:
        split = lab.digits()
        return forked(batches(made, F.cross_entropy, split.x, split.y, lr=0.003), Fork(changed="redrawn weights"))

    return run


def paired(make: Callable[[Tensor, Tensor], Tensor], *, column: bool = True) -> Callable[[Any], Observation]:
    """Outputs (8, 1), or (8,), against targets (8,), in a loss that is written by hand."""

    def run(lab: Any) -> Observation:
        inputs, targets = lab.digits().x, torch.arange(8.0)
        outputs: Callable[[Tensor], Tensor] = (lambda out: out) if column else (lambda out: out.squeeze(1))
        return heard(loop(stack(64, 16, 1), lambda out: make(outputs(out), targets), inputs=inputs))

    return run


class Quiet(nn.Module):
    """Features without gradients inside the network, which may be frozen."""

    def __init__(self, *, frozen: bool) -> None:
        super().__init__()
        self.features, self.last = nn.Linear(64, 16), nn.Linear(16, 10)
        self.features.requires_grad_(not frozen)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.features(x).relu()
        found: Tensor = self.last(features)
        return found


class Rounded(nn.Module):
    """Features as whole numbers; straight through, they keep a slope."""

    def __init__(self, *, straight: bool) -> None:
        super().__init__()
        self.straight = straight
        self.features, self.last = nn.Linear(64, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        whole = features + (features.round() - features).detach() if self.straight else features.round()
        found: Tensor = self.last(whole)
        return found


class Scaled(nn.Module):
    """A tensor of its own that is a parameter, or is not."""

    def __init__(self, *, registered: bool) -> None:
        super().__init__()
        scale = torch.ones(16)
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)
        self.scale = nn.Parameter(scale) if registered else scale.requires_grad_()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.first(x).relu() * self.scale)
        return found


def replaced(lab: Any) -> Observation:
    """The network is made anew after the optimizer was made from the first."""
    split = lab.digits()

    def train() -> None:
        model = stack(64, 16, 10)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model = stack(64, 16, 10)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(split.x[:8]), split.y[:8]).backward()
            optimizer.step()

    return heard(train)


def at_rate(lr: float) -> Callable[[Any], Observation]:
    return lambda lab: digits(lab, lambda: stack(64, 32, 10), lr=lr, steps=6)


CASES: dict[str, Callable[[Any], Observation]] = {
    "deep in sigmoids": deep(nn.Sigmoid),
    "deep in ReLUs": deep(nn.ReLU),
    "sigmoids behind two layers": lambda lab: digits(lab, lambda: stack(64, 16, 16, 10, activation=nn.Sigmoid)),
    "tangents behind two layers": lambda lab: digits(lab, lambda: stack(64, 16, 16, 10, activation=nn.Tanh)),
    "linear in a ring": linear_ring(None),
    "curved in a ring": linear_ring(nn.ReLU),
    "a ReLU tried between": between,
    "linear digits": lambda lab: digits(lab, lambda: stack(64, 32, 10, activation=None), steps=3),
    "a code between": lambda lab: digits(lab, lambda: stack(64, 4, 10, activation=None), steps=3),
    "ReLU before cross-entropy": lambda lab: digits(lab, lambda: stack(64, 32, 10, last=[nn.ReLU()])),
    "tanh before cross-entropy": lambda lab: digits(lab, lambda: stack(64, 32, 10, last=[nn.Tanh()])),
    "plain cross-entropy": lambda lab: digits(lab, lambda: stack(64, 32, 10)),
    "sigmoid before standardized targets": lambda lab: heard(
        batches(lambda: stack(8, 16, 1, last=[nn.Sigmoid()]), F.mse_loss, lab.table().x, lab.table().y, steps=8)
    ),
    "sigmoid before targets within 0 and 1": lambda lab: heard(
        batches(
            lambda: stack(8, 16, 1, last=[nn.Sigmoid()]), F.mse_loss, lab.table().x, lab.table().y.sigmoid(), steps=8
        )
    ),
    "logarithms over the samples": lambda lab: digits(
        lab, lambda: stack(64, 32, 10), lambda out, y: F.nll_loss(F.log_softmax(out, dim=0), y)
    ),
    "logarithms over the classes": lambda lab: digits(
        lab, lambda: stack(64, 32, 10), lambda out, y: F.nll_loss(F.log_softmax(out, dim=1), y)
    ),
    "no logarithms": lambda lab: digits(lab, lambda: stack(64, 32, 10), F.nll_loss),
    "classes of one output": lambda lab: heard(
        batches(lambda: stack(8, 16, 1), F.cross_entropy, lab.table().x, lab.table().y, steps=6)
    ),
    "numbers of one output": lambda lab: heard(
        batches(lambda: stack(8, 16, 1), F.mse_loss, lab.table().x, lab.table().y, steps=6)
    ),
    "softmax of one output": lambda lab: digits(
        lab,
        lambda: stack(64, 16, 1, last=[nn.Softmax(dim=1)]),
        numbers(lambda out, y: F.binary_cross_entropy(out, y.clamp(max=1))),
    ),
    "sigmoid of one output": lambda lab: digits(
        lab,
        lambda: stack(64, 16, 1, last=[nn.Sigmoid()]),
        numbers(lambda out, y: F.binary_cross_entropy(out, y.clamp(max=1))),
    ),
    "samples for classes": lambda lab: digits(
        lab, lambda: stack(64, 16, 1), numbers(lambda out, y: F.cross_entropy(out, y.clamp(max=1)))
    ),
    "a thousand outputs": thousand,
    "class numbers of digits": lambda lab: digits(lab, lambda: stack(64, 32, 1), numbers(F.mse_loss)),
    "ratings as numbers": lambda lab: heard(
        batches(lambda: stack(8, 16, 1), numbers(F.mse_loss), *ratings(), steps=24)
    ),
    "a number for every output": lambda lab: heard(
        without_warnings(
            batches(
                lambda: stack(64, 32, 10),
                lambda out, y: F.mse_loss(out, y.unsqueeze(1).float()),
                lab.digits().x,
                lab.digits().y,
                steps=6,
            )
        )
    ),
    "numbers for shares": lambda lab: heard(
        batches(
            lambda: stack(64, 16, 4), lambda out, x: F.cross_entropy(out, x[:, 20:24]), lab.digits().x, lab.digits().x
        )
    ),
    "shares of classes": lambda lab: digits(
        lab, lambda: stack(64, 16, 10), lambda out, y: F.cross_entropy(out, 0.8 * F.one_hot(y, 10) + 0.02)
    ),
    "weights of a fiftieth": small_weights(0.02),
    "weights that suit": small_weights(0.18),
    "steps of a millionth": at_rate(1e-8),
    "steps of a hundredth": at_rate(1e-3),
    "steps of a whole": at_rate(3.0),
    "a loud last layer": loud(3.0),
    "a quiet last layer": loud(0.1),
    "differences by hand": paired(lambda out, y: (out - y).square().mean()),
    "products by hand": paired(lambda out, y: -(F.logsigmoid(out) * y).mean()),
    "differences by hand, one shape": paired(lambda out, y: (out - y).square().mean(), column=False),
    "features without gradients": lambda lab: digits(lab, lambda: Quiet(frozen=False), steps=4),
    "features frozen": lambda lab: digits(lab, lambda: Quiet(frozen=True), steps=4),
    "features rounded": lambda lab: digits(lab, lambda: Rounded(straight=False), steps=4),
    "features rounded, straight through": lambda lab: digits(lab, lambda: Rounded(straight=True), steps=4),
    "a tensor for a parameter": lambda lab: digits(lab, lambda: Scaled(registered=False), steps=4),
    "a parameter": lambda lab: digits(lab, lambda: Scaled(registered=True), steps=4),
    "another network's parameters": replaced,
}

ROWS: tuple[Row, ...] = (
    Row(
        code="ACT003",
        fires="deep in sigmoids",
        misses="deep in ReLUs",
        severity="warning",
        message="Behind # of # hidden layers stands sigmoid, and with ReLU in its place # steps bring the loss to # "
        "where it is # now.",
        threshold="DEEP",
        changed_to=6,
    ),
    Row(
        code="ACT003",
        fires="tangents behind two layers",
        misses="deep in ReLUs",
        severity="info",
        message="Behind # of # hidden layers stands tanh.",
        threshold="SHARE",
        changed_to=2.0,
    ),
    Row(
        code="ACT004",
        fires="sigmoids behind two layers",
        misses="tangents behind two layers",
        severity="info",
        message="Behind # hidden layers stands sigmoid, which gives nothing below # and no norm centres it.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="ACT005",
        fires="linear in a ring",
        misses="curved in a ring",
        severity="warning",
        message='Layers "#" and "#" are linear and stand one behind the other with nothing between: their # weights '
        "can do no more than the # of one. The whole network is linear. Of # other samples a linear model gets #% "
        "wrong, a curved one #%.",
        threshold="LOWER",
        changed_to=0.0,
    ),
    Row(
        code="ACT005",
        fires="a ReLU tried between",
        misses="a code between",
        severity="warning",
        message='Layers "#" and "#" are linear and stand one behind the other with nothing between: their # weights '
        "can do no more than the # of one. The whole network is linear. With a ReLU between, # steps bring the loss to "
        "# where it is # now.",
        threshold="LEAST",
        changed_to=2,
    ),
    Row(
        code="ACT005",
        fires="linear digits",
        misses="a code between",
        severity="info",
        message='Layers "#" and "#" are linear and stand one behind the other with nothing between: their # weights '
        "can do no more than the # of one. The whole network is linear.",
        threshold="LEAST",
        changed_to=2,
    ),
    Row(
        code="ACT006",
        fires="ReLU before cross-entropy",
        misses="plain cross-entropy",
        severity="error",
        message="The outputs pass a ReLU before the cross-entropy: for #% of the samples it cuts off the output of "
        "their own class, and with it the gradient that would raise it.",
        threshold="CUT",
        changed_to=1.0,
    ),
    Row(
        code="ACT006",
        fires="tanh before cross-entropy",
        misses="plain cross-entropy",
        severity="error",
        message="The outputs pass a tanh before the cross-entropy, which wants outputs of any size. With # classes it "
        "cannot fall below #.",
        threshold="ALLOWED",
        changed_to=1,
    ),
    Row(
        code="ACT006",
        fires="sigmoid before standardized targets",
        misses="sigmoid before targets within 0 and 1",
        severity="error",
        message="The outputs pass a sigmoid before the squared error and are # to # but #% of the targets lie "
        "outside, from -# to #: at least #% of their variance can never be learnt.",
        threshold="UNREACHABLE",
        changed_to=1e9,
    ),
    Row(
        code="ACT006",
        fires="logarithms over the samples",
        misses="logarithms over the classes",
        severity="error",
        message="The log-softmax before the negative log-likelihood is taken over the samples: outputs of shape (# #) "
        "are made to add up to # along axis # and the classes stand along axis #.",
        threshold="ALLOWED",
        changed_to=1,
    ),
    Row(
        code="ACT006",
        fires="no logarithms",
        misses="logarithms over the classes",
        severity="error",
        message="The negative log-likelihood is given the outputs of a layer, and wants the logarithms of "
        "probabilities: the exponentials of a sample's outputs add up to # and not to # so it falls without end as the "
        "outputs grow.",
        threshold="OFF",
        changed_to=1e9,
    ),
    Row(
        code="ACT007",
        fires="classes of one output",
        misses="numbers of one output",
        severity="error",
        message="The cross-entropy is taken over a single output (shape (# #)): the softmax of one number is # and the "
        "loss is # whatever the network does.",
        threshold="ONE",
        changed_to=0,
    ),
    Row(
        code="ACT007",
        fires="softmax of one output",
        misses="sigmoid of one output",
        severity="error",
        message="The softmax before the binary cross-entropy of probabilities is taken over a single number: it is "
        "always # whatever the network does.",
        threshold="ONE",
        changed_to=0,
    ),
    Row(
        code="ACT007",
        fires="samples for classes",
        misses="plain cross-entropy",
        severity="error",
        message="The cross-entropy takes outputs of shape (#) for one sample of # classes: the samples of a batch "
        "compete with each other, and their targets add up to # not #.",
        threshold="OFF",
        changed_to=1e9,
    ),
    Row(
        code="ACT007",
        fires="a thousand outputs",
        misses="plain cross-entropy",
        severity="warning",
        message="The network has # outputs, but no class above # occurs in # samples; without the others # steps "
        "bring the loss to # where it is # now.",
        threshold="MORE",
        changed_to=1e9,
    ),
    Row(
        code="INI004",
        fires="a loud last layer",
        misses="a quiet last layer",
        severity="warning",
        message="The untouched network's loss is #, but a network that knows nothing starts at #.",
        threshold="TOLERANCE",
        changed_to=1e9,
    ),
    Row(
        code="INI005",
        fires="weights of a fiftieth",
        misses="weights that suit",
        severity="warning",
        message='The weights of layer "#" have a standard deviation of #, where # keeps the signal\'s size with relu '
        "behind # inputs; in # steps the loss comes to #, with weights drawn anew to #.",
        threshold="TOGETHER",
        changed_to=1e12,
    ),
    Row(
        code="OPT006",
        fires="a tensor for a parameter",
        misses="a parameter",
        severity="error",
        message='Attribute "scale" gets gradients, but no optimizer has its weights: # numbers stay as they were.',
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT006",
        fires="another network's parameters",
        misses="a parameter",
        severity="error",
        message="None of the # parameters of the optimizer had a gradient in # steps: gradients came to # numbers of a "
        "network that it does not have.",
        threshold="STEPS",
        changed_to=100,
    ),
    Row(
        code="OPT007",
        fires="features without gradients",
        misses="features frozen",
        severity="error",
        message='No gradient reaches layer "features" in # steps, though "last" after it has one: # numbers that the '
        "optimizer has stay as they were.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT007",
        fires="features rounded",
        misses="features rounded, straight through",
        severity="error",
        message='No gradient but # reaches layer "features" in # steps, though "last" after it has one: # numbers that '
        "the optimizer has stay as they were.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT011",
        fires="steps of a millionth",
        misses="steps of a hundredth",
        severity="info",
        message="A step moves the weights by # of their size (median of # layers), less than trainings do; around # is "
        "usual.",
        threshold="SMALLEST",
        changed_to=0.0,
    ),
    Row(
        code="OPT011",
        fires="steps of a whole",
        misses="steps of a hundredth",
        severity="info",
        message="A step moves the weights by # of their size (median of # layers), more than trainings do; around # is "
        "usual.",
        threshold="LARGEST",
        changed_to=1e9,
    ),
    Row(
        code="OPT012",
        fires="class numbers of digits",
        misses="plain cross-entropy",
        severity="warning",
        message="The squared error takes the numbers of # classes, # to # for sizes, and they are none: of # other "
        "samples a simple fit of the numbers gets #% wrong, one of the classes #%.",
        threshold="CERTAIN",
        changed_to=1e9,
    ),
    Row(
        code="OPT012",
        fires="ratings as numbers",
        misses="numbers of one output",
        severity="info",
        message="The squared error takes the numbers of # classes, # to # for sizes; this is right only if they are a "
        "scale, as ratings are.",
        threshold="MOST_CLASSES",
        changed_to=3,
    ),
    Row(
        code="OPT012",
        fires="a number for every output",
        misses="shares of classes",
        severity="error",
        message="The squared error compares each of the # outputs with the number of the class, # to #: all of them "
        "learn the same.",
        threshold="MOST_CLASSES",
        changed_to=3,
    ),
    Row(
        code="OPT012",
        fires="numbers for shares",
        misses="shares of classes",
        severity="error",
        message="The cross-entropy is given targets from -# to # as shares of classes: what is below # makes it fall "
        "without end.",
        threshold="LOWEST",
        changed_to=-1e9,
    ),
    Row(
        code="OPT016",
        fires="differences by hand",
        misses="differences by hand, one shape",
        severity="error",
        message="The difference in the loss compares outputs of shape (# #) with targets of shape (#) as (# #): each "
        "output with the targets of all samples.",
        threshold="DIFFERENCES",
        changed_to=8,
    ),
    Row(
        code="OPT016",
        fires="products by hand",
        misses="differences by hand, one shape",
        severity="error",
        message="The product in the loss compares outputs of shape (# #) with targets of shape (#) as (# #): each "
        "output with the targets of all samples.",
        threshold="DIFFERENCES",
        changed_to=8,
    ),
)
