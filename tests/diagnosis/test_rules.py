"""Each rule on a real small training or network: a case that fires it, a near miss, its message, its thresholds."""

import importlib
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rows import Row, heard, loop
from torch import nn

from trainwell.activations import ACTIVATIONS
from trainwell.capture.interventions import changed
from trainwell.core.records.curve import Curve
from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import SmallSample
from trainwell.core.records.finding import Finding
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.hyperparameters import Architecture, Hyperparameters
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.changes import apply_change
from trainwell.diagnosis.curve_shapes import read_curves
from trainwell.diagnosis.diagnose import diagnose
from trainwell.diagnosis.rules.table import RULES
from trainwell.initialization import SCHEMES
from trainwell.pictures.observed import observed
from trainwell.pictures.svg import to_svg
from trainwell.schedules import SCHEDULES


def _numbers_away(message: str) -> str:
    """A message with every number replaced, so that a snapshot holds on every processor."""
    return re.sub(r"\d[\d,]*(\.\d+)?(e[-+]?\d+)?", "#", message)


def _trained(lab: Any, model: nn.Module, split: Any, *, look: bool = False, **options: Any) -> Observation:
    curves = lab.train(model, split, **options)
    return Observation(data=lab.record(split), look=lab.look(split) if look else None, curves=curves)


def _started(lab: Any, model: nn.Module, split: Any) -> Observation:
    return Observation(data=lab.record(split), initial_loss=lab.initial_loss(model, split))


def _constant(model: nn.Sequential, value: float) -> nn.Sequential:
    for weights in model.parameters():
        nn.init.constant_(weights, value)
    return model


def _biased(model: nn.Sequential, value: float) -> nn.Sequential:
    for layer in list(model)[:-1]:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, value)
    return model


def _zero_output(model: nn.Sequential) -> nn.Sequential:
    last = model[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    return model


def _spread_output(model: nn.Sequential, std: float) -> nn.Sequential:
    last = model[-1]
    assert isinstance(last, nn.Linear)
    nn.init.normal_(last.weight, std=std, generator=torch.Generator().manual_seed(0))
    return model


def _with_class(split: Any, label: int, *, keep: int) -> Any:
    """At most `keep` training samples of one class."""
    mine = split.y == label
    kept = ~mine | (mine.cumsum(0) <= keep)
    return replace(split, x=split.x[kept], y=split.y[kept])


def _overlapping(lab: Any, copies: int) -> Observation:
    split = lab.digits()
    split = replace(split, x=torch.cat([split.x, split.xv[:copies]]), y=torch.cat([split.y, split.yv[:copies]]))
    seen = {row.tobytes() for row in split.x.numpy()}
    overlap = sum(row.tobytes() in seen for row in split.xv.numpy())
    return Observation(data=lab.record(split), look=lab.look(split, overlap=overlap))


def _swept(lab: Any, *, low: float, high: float, train_at: float | None = None, epochs: int = 12) -> Observation:
    split = lab.digits()
    sweep = lab.sweep(lab.mlp(64, 64, 64, 10), split, low=low, high=high)
    curves = None if train_at is None else lab.train(lab.mlp(64, 64, 64, 10), split, lr=train_at, epochs=epochs)
    return Observation(lr_sweep=sweep, curves=curves)


def _small(lab: Any, *, lr: float, steps: int = 100, sgd: bool = False, width: int = 64) -> Observation:
    split = lab.digits()
    return Observation(small_sample=lab.small_sample(lab.mlp(64, width, 10), split, lr=lr, steps=steps, sgd=sgd))


def early_step(progress: float) -> float:
    return 1.0 if progress < 0.2 else 0.02


def late_step(progress: float) -> float:
    return 1.0 if progress < 0.8 else 0.02


def late_burst(progress: float) -> float:
    return 1.0 if progress < 0.5 else 100.0


def _forked(lab: Any, *, lr: float = 0.3, scales: float = 1.0) -> Observation:
    """The first steps on digits, their features of scales apart, and the same with one thing changed."""
    split = lab.digits()
    inputs = split.x[:8] * torch.logspace(0, math.log10(scales), split.x.shape[1]) if scales > 1 else split.x[:8]

    def steps() -> Callable[[], None]:
        model = lab.mlp(64, 32, 10)
        return loop(
            model,
            lambda out: F.cross_entropy(out, split.y[:8]),
            inputs=inputs.repeat(4, 1),
            lr=lr,
            steps=15,
        )

    plain = heard(steps())
    tried = []
    for fork in (Fork(changed="learning rate", factor=0.1), Fork(changed="standardized input")):
        with changed(fork):
            again = heard(steps())
        assert again.steps is not None
        tried.append(replace(fork, values=again.steps.values))
    assert plain.steps is not None
    return replace(plain, forks=Forks(unchanged=plain.steps.values, changed=tuple(tried)))


def _cross_entropy(lab: Any, *last: nn.Module, zero_every: int = 1) -> Observation:
    split = lab.digits()
    labels = split.y[:8]
    model = nn.Sequential(*lab.mlp(64, 16, 10), *last)
    return heard(loop(model, lambda out: F.cross_entropy(out, labels), inputs=split.x, zero_every=zero_every))


def _squared(lab: Any, targets: torch.Tensor, *, lr: float = 0.05) -> Observation:
    split = lab.digits()
    with warnings.catch_warnings():
        # torch warns of shapes that differ, and of what is no fault likewise.
        warnings.simplefilter("ignore", UserWarning)
        return heard(loop(lab.mlp(64, 16, 1), lambda out: F.mse_loss(out, targets), inputs=split.x, lr=lr))


def _nll(lab: Any) -> Observation:
    split = lab.digits()
    model = lab.mlp(64, 16, 10)
    return heard(loop(model, lambda out: F.nll_loss(F.log_softmax(out, dim=1), split.y[:8]), inputs=split.x))


class _Deep(nn.Module):
    """Two hidden layers, in what they are given to stand in."""

    def __init__(self, container: Callable[[list[nn.Module]], Any]) -> None:
        super().__init__()
        self.first = nn.Linear(64, 16)
        self.hidden = container([nn.Linear(16, 16), nn.Linear(16, 16)])
        self.last = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        for layer in self.hidden:
            x = layer(x).relu()
        found: torch.Tensor = self.last(x)
        return found


class _Cut(nn.Module):
    """Features that nothing goes back through, and that may be frozen."""

    def __init__(self, *, meant: bool) -> None:
        super().__init__()
        self.features, self.last = nn.Linear(64, 16), nn.Linear(16, 10)
        self.features.requires_grad_(not meant)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.features(x).relu().detach())
        return found


class _Rows(nn.Module):
    """Digits read two rows at a time."""

    def __init__(self, *, view: bool) -> None:
        super().__init__()
        self.view, self.rows, self.last = view, nn.GRU(16, 12), nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(4, -1, 16) if self.view else x.transpose(0, 1)
        found: torch.Tensor = self.last(self.rows(rows)[1][0])
        return found


def _classifier(lab: Any, model: nn.Module, *shape: int) -> Observation:
    torch.manual_seed(0)
    split = lab.digits()
    inputs = split.x.unflatten(1, shape) if shape else split.x
    return heard(loop(model, lambda out: F.cross_entropy(out, split.y[:8]), inputs=inputs))


def _speller(*, causal: bool) -> Observation:
    """The next of sixteen numbers, by attention to all or to those before."""

    class Speller(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.number = nn.Embedding(5, 16)
            self.body = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
            self.last = nn.Linear(16, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if causal else None
            found: torch.Tensor = self.last(self.body(self.number(x), src_mask=mask))
            return found

    torch.manual_seed(0)
    text = torch.randint(5, (20, 17))
    model = Speller()
    following = text[:8, 1:].flatten()
    return heard(
        loop(model, lambda out: F.cross_entropy(out.flatten(0, 1), following), inputs=text[:8, :16].repeat(3, 1))
    )


ROOMS: tuple[str, ...] = (
    "rows_network",
    "rows_ranks",
    "rows_data",
    "rows_regularizing",
    "rows_loop",
    "rows_longer",
    "rows_forked",
)
"""Files beside this one that have ROWS and CASES of their own."""

CASES: dict[str, Callable[[Any], Observation]] = {
    # The first steps, as a script takes them.
    "rate far too high": lambda lab: _forked(lab, lr=3.0),
    "rate as it should be": lambda lab: _forked(lab),
    "features of many scales": lambda lab: _forked(lab, scales=3000.0),
    "layers in a list": lambda lab: _classifier(lab, _Deep(list)),
    "layers in a ModuleList": lambda lab: _classifier(lab, _Deep(nn.ModuleList)),
    "features detached": lambda lab: _classifier(lab, _Cut(meant=False)),
    "features meant to stay": lambda lab: _classifier(lab, _Cut(meant=True)),
    "view for transpose": lambda lab: _classifier(lab, _Rows(view=True), 4, 16),
    "transpose": lambda lab: _classifier(lab, _Rows(view=False), 4, 16),
    "attention to all": lambda lab: _speller(causal=False),
    "attention to those before": lambda lab: _speller(causal=True),
    "softmax before cross-entropy": lambda lab: _cross_entropy(lab, nn.Softmax(dim=1)),
    "logarithm and its loss": _nll,
    "gradients never cleared": lambda lab: _cross_entropy(lab, zero_every=0),
    "gradients gathered over two": lambda lab: _cross_entropy(lab, zero_every=2),
    "column against row": lambda lab: _squared(lab, torch.arange(8.0)),
    "one target for all": lambda lab: _squared(lab, torch.ones(1)),
    "steps too large": lambda lab: _squared(lab, torch.ones(8, 1), lr=1e20),
    "NaN in a batch": lambda lab: heard(
        loop(lab.mlp(64, 16, 1), lambda out: out.square().mean(), inputs=lab.digits().x / 0.0)
    ),
    # Step 0.
    "digits": lambda lab: Observation(data=lab.record(lab.digits()), look=lab.look(lab.digits())),
    "class never shown": lambda lab: Observation(data=lab.record(_with_class(lab.digits(), 3, keep=0))),
    "class shown once": lambda lab: Observation(data=lab.record(_with_class(lab.digits(), 3, keep=1))),
    "class rare": lambda lab: Observation(data=lab.record(_with_class(lab.digits(), 3, keep=5))),
    "class less frequent": lambda lab: Observation(data=lab.record(_with_class(lab.digits(), 3, keep=20))),
    "copies on both sides": lambda lab: _overlapping(lab, 20),
    # Step 1.
    "torch's start": lambda lab: _started(lab, lab.mlp(64, 64, 64, 10), lab.digits()),
    "Kaiming's start": lambda lab: _started(lab, lab.mlp(64, 64, 64, 10, std=math.sqrt(2)), lab.digits()),
    "zero output layer": lambda lab: _started(lab, _zero_output(lab.mlp(64, 64, 64, 10)), lab.digits()),
    "all zero": lambda lab: _started(lab, lab.mlp(64, 64, 64, 10, std=0.0), lab.digits()),
    "all constant": lambda lab: _started(
        lab, _constant(lab.mlp(64, 64, 64, 10, activation=nn.Tanh), 0.05), lab.digits()
    ),
    "deep, small weights": lambda lab: _started(lab, lab.mlp(64, *[64] * 8, 10, std=0.3), lab.digits()),
    "deep, Kaiming's": lambda lab: _started(lab, lab.mlp(64, *[64] * 8, 10, std=math.sqrt(2)), lab.digits()),
    "deep, small weights, norms": lambda lab: _started(
        lab, lab.mlp(64, *[64] * 8, 10, std=0.3, norm=True), lab.digits()
    ),
    "deep, large weights": lambda lab: _started(lab, lab.mlp(64, *[64] * 6, 10, std=4.0), lab.digits()),
    "large output layer": lambda lab: _started(lab, _spread_output(lab.mlp(64, 64, 64, 10), 2.0), lab.digits()),
    "tanh, large weights": lambda lab: _started(
        lab, lab.mlp(64, 64, 64, 10, activation=nn.Tanh, std=6.0), lab.digits()
    ),
    "tanh, Xavier's": lambda lab: _started(lab, lab.mlp(64, 64, 64, 10, activation=nn.Tanh, std=1.0), lab.digits()),
    "deep tanh, large weights": lambda lab: _started(
        lab, lab.mlp(64, *[64] * 10, 10, activation=nn.Tanh, std=5.0), lab.digits()
    ),
    "negative biases": lambda lab: _started(
        lab, _biased(lab.mlp(64, 64, 64, 10, std=math.sqrt(2)), -3.0), lab.digits()
    ),
    "slightly negative biases": lambda lab: _started(
        lab, _biased(lab.mlp(64, 64, 64, 10, std=math.sqrt(2)), -0.5), lab.digits()
    ),
    "deep sigmoid": lambda lab: _started(lab, lab.mlp(64, *[64] * 6, 10, activation=nn.Sigmoid), lab.digits()),
    "sigmoid": lambda lab: _started(lab, lab.mlp(64, 64, 64, 10, activation=nn.Sigmoid), lab.digits()),
    "NaN in the input": lambda lab: _started(
        lab, lab.mlp(64, 64, 10), replace(lab.digits(), x=lab.digits().x.index_fill(1, torch.tensor([7]), math.nan))
    ),
    "input far from zero": lambda lab: _started(lab, lab.mlp(64, 64, 10), replace(lab.digits(), x=lab.digits().x + 5)),
    # Step 2.
    "small sample": lambda lab: _small(lab, lr=1e-2),
    "small sample, low rate": lambda lab: _small(lab, lr=1e-5),
    "small sample, huge rate": lambda lab: _small(lab, lr=1e12, sgd=True),
    "small sample, narrow": lambda lab: _small(lab, lr=1e-2, width=1, steps=300),
    # Step 3.
    "sweep": lambda lab: _swept(lab, low=1e-6, high=10.0, train_at=3e-3),
    "sweep too low": lambda lab: _swept(lab, low=1e-9, high=1e-6),
    "sweep too high": lambda lab: _swept(lab, low=30.0, high=1e4),
    "rate below the sweep": lambda lab: _swept(lab, low=1e-6, high=10.0, train_at=1e-6),
    "rate above the sweep": lambda lab: _swept(lab, low=1e-6, high=10.0, train_at=1.0, epochs=16),
    # Step 6.
    "good training": lambda lab: _trained(
        lab, lab.mlp(64, 64, 64, 10), lab.digits(), lr=3e-3, epochs=16, rate=lab.linear_tail, look=True
    ),
    "shuffled labels": lambda lab: _trained(
        lab, lab.mlp(64, 128, 10), lab.digits(shuffle_labels=True), lr=3e-3, epochs=25, look=True
    ),
    "noisy labels": lambda lab: _trained(
        lab, lab.mlp(64, 128, 128, 10), lab.digits(noise=0.3), lr=3e-3, epochs=25, look=True
    ),
    "few samples": lambda lab: _trained(
        lab, lab.mlp(64, 128, 128, 10), lab.digits(train=60), lr=3e-3, epochs=60, batch=20
    ),
    "table by heart": lambda lab: _trained(
        lab, lab.mlp(8, 128, 128, 1), lab.table(rows=100, noise=1.0), lr=3e-3, epochs=60, batch=20, look=True
    ),
    "two units": lambda lab: _trained(
        lab, lab.mlp(64, 2, 10), lab.digits(), lr=1e-2, epochs=30, rate=lab.linear_tail, look=True
    ),
    "tiny rate": lambda lab: _trained(lab, lab.mlp(64, 64, 10), lab.digits(), lr=1e-5, epochs=10, look=True),
    "low rate": lambda lab: _trained(lab, lab.mlp(64, 64, 10), lab.digits(), lr=2e-4, epochs=12, look=True),
    "high rate": lambda lab: _trained(lab, lab.mlp(64, 64, 64, 10), lab.digits(), lr=1.0, epochs=16),
    "late burst": lambda lab: _trained(lab, lab.mlp(64, 64, 64, 10), lab.digits(), lr=3e-3, epochs=16, rate=late_burst),
    "lost": lambda lab: _trained(lab, lab.mlp(64, 64, 64, 10), lab.digits(), lr=1e3, epochs=5, sgd=True),
    "early step": lambda lab: _trained(lab, lab.mlp(64, 128, 10), lab.digits(), lr=1e-3, epochs=20, rate=early_step),
    "late step": lambda lab: _trained(lab, lab.mlp(64, 128, 10), lab.digits(), lr=1e-3, epochs=20, rate=late_step),
    "bouncing": lambda lab: _trained(lab, lab.mlp(64, 10), lab.digits(noise=0.5), lr=0.1, epochs=40),
    "bouncing, then a tail": lambda lab: _trained(
        lab, lab.mlp(64, 10), lab.digits(noise=0.5), lr=0.1, epochs=40, rate=lab.linear_tail
    ),
    "deep, small weights, trained": lambda lab: _trained(
        lab, lab.mlp(64, *[64] * 8, 10, std=0.25), lab.digits(), lr=3e-4, epochs=24
    ),
}


OWN_ROWS = (
    Row(
        code="ACT006",
        fires="softmax before cross-entropy",
        misses="logarithm and its loss",
        severity="error",
        message="The outputs pass a softmax before the cross-entropy, which takes the softmax itself. With # classes "
        "it cannot fall below #.",
        threshold="ALLOWED",
        changed_to=1,
    ),
    Row(
        code="OPT006",
        fires="layers in a list",
        misses="layers in a ModuleList",
        severity="error",
        message="The Linear that is called here, and # layer more, gets gradients, but no optimizer has its weights: "
        "# numbers stay as they were.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT007",
        fires="features detached",
        misses="features meant to stay",
        severity="error",
        message='No gradient reaches layer "features" in # steps, though "last" after it has one: # numbers that the '
        "optimizer has stay as they were.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="DEP001",
        fires="view for transpose",
        misses="transpose",
        severity="error",
        message="In test mode the outputs of # of # samples change when only other samples of the batch are exchanged, "
        "by up to #% of the outputs' standard deviation.",
        threshold="CHANGED",
        changed_to=1e6,
    ),
    Row(
        code="DEP002",
        fires="attention to all",
        misses="attention to those before",
        severity="error",
        message="The targets are the inputs one position on, and the network sees them: outputs at # of # positions "
        "change when only later positions are exchanged, by up to #% of the outputs' standard deviation.",
        threshold="CHANGED",
        changed_to=1e6,
    ),
    Row(
        code="OPT008",
        fires="gradients never cleared",
        misses="gradients gathered over two",
        severity="error",
        message="At all # steps that can tell, the gradient still held the one of the step before: it made up #% of "
        "the length.",
        threshold="LEAST",
        changed_to=100,
    ),
    Row(
        code="OPT016",
        fires="column against row",
        misses="one target for all",
        severity="error",
        message="The squared error compares outputs of shape (# #) with targets of shape (#) as (# #): each output "
        "with the targets of all samples.",
        threshold="DIFFERENCES",
        changed_to=8,
    ),
    Row(
        code="DAT001",
        fires="NaN in a batch",
        misses="one target for all",
        severity="error",
        message="#% of the numbers in a batch that the network receives are NaN or infinite.",
        threshold="ALLOWED",
        changed_to=1.0,
    ),
    Row(
        code="OPT014",
        fires="steps too large",
        misses="one target for all",
        severity="error",
        message="The loss is infinite at step # (it was # before).",
        threshold="LOWER",
        changed_to=0.5,
    ),
    Row(
        code="DAT001",
        fires="NaN in the input",
        misses="torch's start",
        severity="error",
        message="#% of the numbers that the network receives are NaN or infinite.",
        threshold="ALLOWED",
        changed_to=1.0,
    ),
    Row(
        code="DAT002",
        fires="input far from zero",
        misses="torch's start",
        severity="info",
        message="The input is not centred: its features lie # standard deviations from zero on average.",
        threshold="OFFSET",
        changed_to=1000.0,
    ),
    Row(
        code="DAT004",
        fires="class never shown",
        misses="class shown once",
        severity="error",
        message='Class "#" of validation and test has no training sample: # samples cannot be answered.',
        threshold="LEAST",
        changed_to=0,
    ),
    Row(
        code="DAT005",
        fires="class rare",
        misses="class less frequent",
        severity="info",
        message=(
            'The classes are unequal: "#" has # training samples, "#" #; always answering "#" would be right for #%.'
        ),
        threshold="RATIO",
        changed_to=1000.0,
    ),
    Row(
        code="DAT006",
        fires="copies on both sides",
        misses="digits",
        severity="warning",
        message="# samples of validation and test (#%) stand in the training part too: the score is too good.",
        threshold="ALLOWED",
        changed_to=1000000.0,
    ),
    Row(
        code="DAT009",
        fires="shuffled labels",
        misses="noisy labels",
        severity="warning",
        message=(
            "The network learnt its training samples (accuracy #%), but on # new samples it scores #% at "
            "best, no better than the best constant answer (#%), and no simple model does better (logistic "
            "regression: #%): the labels seem unrelated to the inputs."
        ),
        threshold="FITTED",
        changed_to=2.0,
    ),
    Row(
        code="INI001",
        fires="all zero",
        misses="zero output layer",
        severity="error",
        message=(
            'In layer "#" (and in # more), #% of the units have the same weights as another unit and keep '
            "them when trained: the layer is as good as a single unit."
        ),
        threshold="IDENTICAL",
        changed_to=1.0,
    ),
    Row(
        code="INI001",
        fires="all constant",
        misses="torch's start",
        severity="error",
        message=(
            'In layer "#" (and in # more), #% of the units have the same weights as another unit and keep '
            "them when trained: the layer is as good as a single unit."
        ),
        threshold="IDENTICAL",
        changed_to=1.0,
    ),
    Row(
        code="INI002",
        fires="deep, small weights",
        misses="deep, Kaiming's",
        severity="warning",
        message=(
            'The signal fades: from layer "#" to layer "#", what differs from sample to sample shrinks from # to #.'
        ),
        threshold="SHRUNK",
        changed_to=0.0,
    ),
    Row(
        code="INI002",
        fires="deep sigmoid",
        misses="deep, small weights, norms",
        severity="warning",
        message=(
            'The signal fades: from layer "#" to layer "#", what differs from sample to sample shrinks from # to #.'
        ),
        threshold="SHRUNK",
        changed_to=0.0,
    ),
    Row(
        code="INI003",
        fires="deep, large weights",
        misses="deep, Kaiming's",
        severity="warning",
        message=('The signal explodes: the outputs\' standard deviation grows from # at layer "#" to # at layer "#".'),
        threshold="GREW",
        changed_to=1000000000.0,
    ),
    Row(
        code="INI004",
        fires="large output layer",
        misses="Kaiming's start",
        severity="warning",
        message="The untouched network's loss is #, but a network that knows nothing starts at #.",
        threshold="TOLERANCE",
        changed_to=1000000000.0,
    ),
    Row(
        code="ACT001",
        fires="tanh, large weights",
        misses="tanh, Xavier's",
        severity="warning",
        message=(
            'Behind layer "#" (and in # more layer), #% of the tanh outputs are saturated: almost no gradient'
            " passes through them."
        ),
        threshold="SATURATED",
        changed_to=1.0,
    ),
    Row(
        code="ACT002",
        fires="negative biases",
        misses="slightly negative biases",
        severity="warning",
        message=(
            'Behind layer "#", #% of the ReLU units are # for every sample: they get no gradient and cannot learn.'
        ),
        threshold="DEAD",
        changed_to=1.0,
    ),
    Row(
        code="OPT001",
        fires="late burst",
        misses="good training",
        severity="error",
        message=(
            "The training loss grows at learning rate #: # at the start, # at its lowest (epoch #), # at the end."
        ),
        threshold="CLIMBED",
        changed_to=10.0,
    ),
    Row(
        code="OPT002",
        fires="rate far too high",
        misses="rate as it should be",
        severity="warning",
        message="In # steps the loss goes from # to #; the same steps at # times the learning rate bring it to #.",
        threshold="BELOW",
        changed_to=1e9,
    ),
    Row(
        code="DAT003",
        fires="features of many scales",
        misses="rate as it should be",
        severity="warning",
        message="The input's features have scales of # to # and the loss goes from # to infinite in # steps; the same "
        "steps with standardized inputs bring it to #.",
        threshold="GAIN",
        changed_to=1e9,
    ),
    Row(
        code="OPT002",
        fires="sweep too high",
        misses="sweep",
        severity="warning",
        message=(
            "Between learning rates # and # the loss never falls, and at the upper end it blows up: even the "
            "lowest rate tried may be too high."
        ),
        threshold="NARROW",
        changed_to=0.5,
    ),
    Row(
        code="OPT002",
        fires="rate above the sweep",
        misses="sweep",
        severity="warning",
        message=(
            "The training ran at learning rate # above the # at which the loss stops falling, and its loss "
            "jumps by # from epoch to epoch."
        ),
        threshold="NOISY",
        changed_to=1000000000.0,
    ),
    Row(
        code="OPT003",
        fires="sweep too low",
        misses="sweep",
        severity="warning",
        message="The loss fell at no learning rate up to #, and blew up at none: all are too low.",
        threshold="WIDEN",
        changed_to=5.0,
    ),
    Row(
        code="OPT003",
        fires="rate below the sweep",
        misses="sweep",
        severity="warning",
        message=(
            "The training ran at learning rate #, but the loss falls only from # on, and it was still falling"
            " when the training ended."
        ),
        threshold="BELOW",
        changed_to=0.0,
    ),
    Row(
        code="OPT004",
        fires="deep sigmoid",
        misses="sigmoid",
        severity="warning",
        message='The gradient vanishes: at layer "#" it is #, at layer "#" #; the first layers hardly learn.',
        threshold="VANISHED",
        changed_to=0.0,
    ),
    Row(
        code="OPT005",
        fires="deep tanh, large weights",
        misses="tanh, large weights",
        severity="warning",
        message='The gradient explodes: at layer "#" it is #, but # at layer "#" before it.',
        threshold="GREW",
        changed_to=1000000000.0,
    ),
    Row(
        code="OPT010",
        fires="small sample, low rate",
        misses="small sample",
        severity="error",
        message=(
            "Learning # samples by heart failed at learning rate #: the loss does not fall (# at the start, #"
            " at its lowest)."
        ),
        threshold="FALLS",
        changed_to=-1000000000.0,
    ),
    Row(
        code="OPT010",
        fires="small sample, huge rate",
        misses="small sample",
        severity="error",
        message="Learning # samples by heart failed at learning rate #: the loss became NaN or infinite.",
        threshold="SLOWER",
        changed_to=0.5,
    ),
    Row(
        code="OPT010",
        fires="small sample, narrow",
        misses="small sample",
        severity="warning",
        message=(
            "Of # samples, the network learnt only #% by heart at learning rate #: the loss fell from # to # "
            "and was still falling."
        ),
        threshold="FITTED",
        changed_to=0.0,
    ),
    Row(
        code="OPT013",
        fires="high rate",
        misses="good training",
        severity="warning",
        message=(
            "The training loss jumps by # from epoch to epoch at learning rate # #% of all that it came down:"
            " it cannot settle."
        ),
        threshold="JUMPS",
        changed_to=1000000000.0,
    ),
    Row(
        code="OPT014",
        fires="lost",
        misses="late burst",
        severity="error",
        message="The training loss is NaN from epoch # on at learning rate #.",
        threshold="LOWER",
        changed_to=0.5,
    ),
    Row(
        code="REG001",
        fires="noisy labels",
        misses="good training",
        severity="warning",
        message=(
            "Validation loss rises from epoch # (# to #) while training loss falls and training accuracy is #"
            " points above validation accuracy (#% interval # to #): overfitting."
        ),
        threshold="RISE_NOISES",
        changed_to=1000000000.0,
    ),
    Row(
        code="REG001",
        fires="few samples",
        misses="good training",
        severity="warning",
        message="Validation loss rises from epoch # (# to #) while training loss falls: overfitting.",
        threshold="RISE_NOISES",
        changed_to=1000000000.0,
    ),
    Row(
        code="REG001",
        fires="table by heart",
        misses="good training",
        severity="warning",
        message=(
            "Validation loss rises from epoch # (# to #) while training loss falls and training R² is # above"
            " validation R² (#% interval # to #): overfitting."
        ),
        threshold="LOST",
        changed_to=1000000000.0,
    ),
    Row(
        code="REG002",
        fires="two units",
        misses="good training",
        severity="warning",
        message=(
            "Training and validation loss end close together (# and #) and hardly fall any more, and logistic"
            " regression scores # on validation where the network scores #: underfitting."
        ),
        threshold="CLOSE",
        changed_to=-1.0,
    ),
    Row(
        code="REG002",
        fires="tiny rate",
        misses="noisy labels",
        severity="warning",
        message=(
            "Training loss hardly moved from its start (# to #), and logistic regression scores # on "
            "validation where the network scores #: the network has learnt nothing."
        ),
        threshold="LEARNT",
        changed_to=0.0,
    ),
    Row(
        code="SCH001",
        fires="bouncing",
        misses="bouncing, then a tail",
        severity="warning",
        message=(
            "Validation loss is flat over the last # epochs at the constant rate #, and the training loss "
            "jumps by #% of its level: a lower rate is wanted."
        ),
        threshold="JUMPS",
        changed_to=1000000000.0,
    ),
    Row(
        code="SCH002",
        fires="early step",
        misses="late step",
        severity="warning",
        message=(
            "Both losses fell until the rate was lowered after epoch # (from # to #), and stand still at # "
            "since: decayed too early."
        ),
        threshold="REST",
        changed_to=2.0,
    ),
    Row(
        code="SCH003",
        fires="low rate",
        misses="good training",
        severity="warning",
        message="Both losses still fall at the end (validation by #% over the last # epochs): stopped too early.",
        threshold="FALLS",
        changed_to=1000000000.0,
    ),
    Row(
        code="SCH004",
        fires="deep, small weights, trained",
        misses="low rate",
        severity="warning",
        message=(
            "Training loss is flat at the start for # epochs (# to #), then falls to #: bad initialization is"
            " the suspect."
        ),
        threshold="EPOCHS",
        changed_to=1000,
    ),
)


MORE = [importlib.import_module(name) for name in ROOMS]
ROWS: tuple[Row, ...] = (*OWN_ROWS, *(row for room in MORE for row in room.ROWS))
ALL_CASES = CASES | {name: made for room in MORE for name, made in room.CASES.items()}


@pytest.fixture(scope="session")
def case(lab: Any) -> Callable[[str], Observation]:
    done: dict[str, Observation] = {}

    def run(name: str) -> Observation:
        if name not in done:
            done[name] = ALL_CASES[name](lab)
        return done[name]

    return run


Case = Callable[[str], Observation]


def only(code: str, observation: Observation) -> Finding | None:
    found = RULES[code](observation)
    assert len(found) <= 1
    return found[0] if found else None


def test_every_rule_has_a_row() -> None:
    assert {row.code for row in ROWS} == set(RULES)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_fires_and_says(row: Row, case: Case) -> None:
    finding = only(row.code, case(row.fires))
    assert finding is not None
    assert (finding.code, finding.name) == (row.code, RULES[row.code].name)
    assert finding.severity == row.severity
    assert _numbers_away(finding.message) == row.message
    assert finding.evidence
    assert finding.cause


def test_each_page_has_its_picture(case: Case, drawn_to: Path | None) -> None:
    """With `--draw FOLDER` they are drawn anew, of the rows' own trainings."""
    folder = drawn_to or Path(__file__).parents[2] / "docs" / "img" / "rules"
    if drawn_to is not None:
        for code in RULES:
            _draw(code, case, folder)
    missing = sorted(set(RULES) - {file.stem for file in folder.glob("*.svg")})
    assert set(missing) <= WORDS


WORDS = frozenset({"DAT001", "DAT002", "DAT010", "DAT011", "REG003"})
"""Rules whose evidence is words or single numbers."""


def _draw(code: str, case: Case, folder: Path) -> None:
    """Of the first row that can be drawn; of those with a training beside it, if there are any."""
    found = [(case(row.fires), row) for row in ROWS if row.code == code]
    found.sort(key=lambda each: each[0].forks is None and each[0].curves is None)
    for observation, row in found:
        finding = only(code, observation)
        figure = None if finding is None else observed(observation, finding, near_miss=case(row.misses))
        if finding is not None and figure is not None:
            label = f"{row.fires.replace('_', ' ').replace('-', ' ').capitalize()}: {finding.message}"
            (folder / f"{code}.svg").write_text(to_svg(figure, key=code, label=label), "utf-8")
            return


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_near_miss_is_silent(row: Row, case: Case) -> None:
    observation = case(row.misses)
    assert RULES[row.code].missing(observation) == ()
    assert only(row.code, observation) is None


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_its_threshold_decides(row: Row, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    before = only(row.code, case(row.fires))
    module = importlib.import_module(RULES[row.code].find.__module__)
    assert hasattr(module, row.threshold)
    monkeypatch.setattr(module, row.threshold, row.changed_to)
    after = only(row.code, case(row.fires))
    assert after != before
    # The recipe and `check` ask through `diagnose`: one definition.
    told = list(diagnose(case(row.fires), select=[row.code]).findings)
    assert told == ([] if after is None else [after])


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_remedies_can_be_applied(row: Row, case: Case) -> None:
    finding = only(row.code, case(row.fires))
    assert finding is not None
    point = Hyperparameters(architecture=Architecture(name="mlp"), activation="tanh")
    for remedy in finding.remedies:
        assert remedy.text.endswith((".", "?"))
        if remedy.change:
            apply_change(remedy.change, point, total_steps=1000)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("good training", "healthy"),
        ("late step", "healthy"),
        ("noisy labels", "overfitting"),
        ("few samples", "overfitting"),
        ("table by heart", "overfitting"),
        ("two units", "underfitting"),
        ("low rate", "stopped too early"),
        ("high rate", "oscillating"),
        ("late burst", "diverged"),
        ("lost", "lost"),
        ("early step", "decayed too early"),
        ("bouncing", "plateau"),
        ("deep, small weights, trained", "flat start"),
    ],
)
def test_curves_are_named(name: str, shape: str, case: Case) -> None:
    observation = case(name)
    assert observation.curves is not None
    reading = read_curves(observation.curves, look=observation.look, data=observation.data)
    assert reading.shape == shape
    assert all(character.isprintable() for character in reading.sentence)
    if reading.findings:
        assert reading.sentence == reading.findings[0].message


def test_reading_follows_the_rules_threshold(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = case("low rate").curves
    assert curves is not None
    module = importlib.import_module(RULES["SCH003"].find.__module__)
    monkeypatch.setattr(module, "FALLS", 10.0)
    assert read_curves(curves).shape != "stopped too early"


def test_untouched_network_without_a_finite_loss(case: Case) -> None:
    finding = only("OPT014", case("NaN in the input"))
    assert finding is not None
    assert finding.severity == "error"
    assert finding.message == "The untouched network's loss is NaN."
    follows = diagnose(case("NaN in the input")).findings
    assert [finding.code for finding in follows][:1] == ["DAT001"]


def test_initial_loss_explains_the_excess_by_the_spread(case: Case) -> None:
    finding = only("INI004", case("large output layer"))
    assert finding is not None
    seen = finding.evidence
    assert seen["explained"] == pytest.approx(seen["logit_std"] ** 2 / 2)
    assert seen["excess"] == pytest.approx(seen["measured"] - math.log(10), rel=1e-3)
    assert "that is enough to explain it" in finding.cause


def test_initial_loss_says_when_the_spread_does_not_explain_it(case: Case) -> None:
    seen = case("large output layer").initial_loss
    assert seen is not None
    finding = only("INI004", Observation(initial_loss=replace(seen, logit_std=0.3)))
    assert finding is not None
    assert _numbers_away(finding.cause) == (
        "The outputs' spread (standard deviation #) explains only about # of it: look at the loss and at the targets."
    )


def test_trained_network_starts_below_chance(lab: Any) -> None:
    model, split = lab.mlp(64, 64, 10), lab.digits()
    lab.train(model, split, lr=3e-3, epochs=8)
    finding = only("INI004", _started(lab, model, split))
    assert finding is not None
    assert finding.severity == "info"
    assert _numbers_away(finding.message) == (
        "The untouched network's loss is #, below the # that the best constant answer reaches: "
        "it knows something before it was trained."
    )


def test_copies_on_one_side_are_an_info(lab: Any) -> None:
    finding = only("DAT006", Observation(data=lab.record(lab.digits(), duplicates=3)))
    assert finding is not None
    assert finding.severity == "info"
    assert finding.message == (
        "3 samples of 1,300 repeat another one; all copies of a sample lie on one side of the split."
    )


def test_constant_target_is_an_error(lab: Any) -> None:
    data: DataRecord = lab.record(lab.table())
    flat = replace(data, output=replace(data.output, stds=(0.0,)))
    finding = only("DAT004", Observation(data=flat))
    assert finding is not None
    assert finding.message == ('Target "y" is constant or not finite on the training part: there is nothing to learn.')
    assert only("DAT004", Observation(data=data)) is None


def test_one_fault_one_headline(case: Case) -> None:
    diagnosis = diagnose(case("tanh, large weights"))
    assert diagnosis.headline is not None
    assert diagnosis.headline.code == "ACT001"
    excess = next(finding for finding in diagnosis.findings if finding.code == "INI004")
    assert excess.severity == "info"
    assert excess.cause.startswith("Follows from ACT001. ")


def test_shuffled_labels_come_before_overfitting(case: Case) -> None:
    codes = [finding.code for finding in diagnose(case("shuffled labels")).findings]
    assert codes.index("DAT009") < codes.index("REG001")
    assert not diagnose(case("shuffled labels")).passed


def test_labels_are_related_where_a_simple_model_finds_it(case: Case) -> None:
    seen = case("shuffled labels")
    assert seen.look is not None
    constant, model = seen.look.yardsticks
    good = replace(seen.look, yardsticks=(constant, replace(model, metric=0.3)))
    assert only("DAT009", replace(seen, look=good)) is None


def test_overfitting_gap_has_wilson_like_interval(case: Case) -> None:
    finding = only("REG001", case("noisy labels"))
    assert finding is not None
    seen = finding.evidence
    assert seen["low"] < seen["gap"] < seen["high"]
    assert seen["gap"] == pytest.approx(seen["train"] - seen["validation"])
    assert (seen["high"] - seen["low"]) / 2 == pytest.approx(0.04, abs=0.01)


def test_rise_counts_sooner_where_many_samples_make_it_certain(case: Case) -> None:
    seen = case("good training").curves
    assert seen is not None
    bottom = min(seen.validation_loss.y)
    rising = tuple(bottom * (1 + 0.03 * max(0, i - 6)) for i in range(16))
    curve = replace(seen.validation_loss, y=(2 * bottom, *rising[1:]))
    few = replace(seen, validation_loss=curve, samples=100)
    many = replace(seen, validation_loss=curve, samples=10_000)
    assert only("REG001", Observation(curves=few)) is None
    assert only("REG001", Observation(curves=many)) is not None


def test_small_sample_names_earlier_attempts(case: Case) -> None:
    seen = case("small sample, low rate").small_sample
    assert seen is not None
    finding = only("OPT010", Observation(small_sample=replace(seen, attempts=(seen.loss, seen.loss))))
    assert finding is not None
    assert "(2 other rates were tried before)" in finding.message
    assert finding.remedies[0].change == {"optimization.lr*": 3.0}


@pytest.mark.parametrize(
    ("left", "falls", "severity", "end", "cause"),
    [
        (0.02, True, "info", "and was still falling when the steps ran out.", "Nothing has to be changed"),
        (0.2, True, "warning", "and was still falling.", "too few steps, or too low a rate"),
        (0.05, False, "warning", "and stopped there.", "too small to learn noise in the targets"),
    ],
)
def test_noisy_targets_learnt_slowly_are_no_fault(
    left: float, falls: bool, severity: str, end: str, cause: str
) -> None:
    steps = torch.arange(600, dtype=torch.float64)
    noise = 0.002 * torch.randn(600, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = left + (1 - left) * (1 - steps / (620 if falls else 300)).clamp(min=0) + noise
    seen = SmallSample(
        samples=160,
        lr=0.01,
        loss=Curve(name="lr 0.01", x=tuple(steps.tolist()), y=tuple(loss.tolist())),
        metric=Curve(name="lr 0.01", x=(600.0,), y=(1.0 - left,), y_label="R²"),
    )
    finding = only("OPT010", Observation(small_sample=seen))
    assert finding is not None
    assert finding.severity == severity
    reached = "reached" if severity == "info" else "reached only"
    assert finding.message.startswith(f"On 160 samples to learn by heart, the network {reached} R² ")
    assert finding.message.endswith(end)
    assert cause in finding.cause
    assert (finding.remedies == ()) == (severity == "info")


def test_sweep_that_still_falls_at_its_end(lab: Any) -> None:
    sweep = lab.sweep(lab.mlp(64, 64, 64, 10), lab.digits(), low=1e-5, high=3e-3)
    assert sweep.usable
    finding = only("OPT003", Observation(lr_sweep=sweep))
    assert finding is not None
    assert _numbers_away(finding.message) == (
        "The loss still falls at the highest learning rate tried, #: the best rate lies above."
    )


@pytest.mark.parametrize("code", ["OPT004", "OPT005"])
def test_gradient_that_was_not_measured_is_no_finding(code: str, case: Case) -> None:
    seen = case("torch's start").initial_loss
    assert seen is not None
    for i in range(len(seen.layers)):
        layers = list(seen.layers)
        layers[i] = replace(layers[i], gradient_std=math.nan)
        assert only(code, Observation(initial_loss=replace(seen, layers=tuple(layers)))) is None


def test_infinite_gradient_is_named(case: Case) -> None:
    seen = case("torch's start").initial_loss
    assert seen is not None
    broken = (replace(seen.layers[0], gradient_std=math.inf), *seen.layers[1:])
    finding = only("OPT005", Observation(initial_loss=replace(seen, layers=broken)))
    assert finding is not None
    assert finding.message == 'The gradient explodes: at layer "0" it is infinite.'
    assert finding.where.layer == "0"


def test_layers_below_a_zero_output_layer_have_not_vanished(case: Case) -> None:
    seen = case("zero output layer").initial_loss
    assert seen is not None
    assert [layer.gradient_std for layer in seen.layers[:-1]] == [0.0, 0.0]
    assert only("OPT004", Observation(initial_loss=seen)) is None


def test_remedies_name_what_exists(case: Case) -> None:
    known = {
        "activation": set(ACTIVATIONS),
        "initialization.scheme": set(SCHEMES),
        "schedule.decay": set(SCHEDULES),
    }
    named = set()
    for row in ROWS:
        for finding in RULES[row.code](case(row.fires)):
            for remedy in finding.remedies:
                for path in known.keys() & remedy.change.keys():
                    assert remedy.change[path] in known[path]
                    named.add(path)
    assert named == set(known)


def test_yardstick_makes_underfitting_a_warning(case: Case) -> None:
    seen = case("two units")
    finding = only("REG002", replace(seen, look=None))
    assert finding is not None
    assert finding.severity == "info"
    assert finding.message.endswith("underfitting, unless the target cannot be known better.")
