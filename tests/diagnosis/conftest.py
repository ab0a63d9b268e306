"""A laboratory: real small trainings in plain torch that fill the records."""

import copy
import itertools
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import Tensor, nn

from trainwell.core.records.curve import Curve
from trainwell.core.records.data import DataRecord
from trainwell.core.records.evidence import (
    InitialLoss,
    LayerStatistic,
    LearningCurves,
    Look,
    LrSweep,
    SmallSample,
    Yardstick,
)
from trainwell.core.records.layout import InputLayout, OutputLayout

sys.path.insert(0, str(Path(__file__).parent / "trainings"))

Rate = Callable[[float], float]


def constant(progress: float) -> float:
    return 1.0


def linear_tail(progress: float) -> float:
    return min(1.0, 2 * (1 - progress)) if progress < 1 else 0.0


@dataclass(frozen=True)
class Split:
    x: Tensor
    y: Tensor
    xv: Tensor
    yv: Tensor

    @property
    def regression(self) -> bool:
        return self.y.is_floating_point()

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        return nn.functional.mse_loss(output, y) if self.regression else nn.functional.cross_entropy(output, y)

    def metric(self, output: Tensor, y: Tensor) -> float:
        if self.regression:
            return 1 - float(((output - y) ** 2).mean() / y.var(unbiased=False))
        return float((output.argmax(1) == y).float().mean())


class Lab:
    """Every method is deterministic: its seed is its argument."""

    linear_tail = staticmethod(linear_tail)
    split = Split

    def digits(self, *, train: int = 800, noise: float = 0.0, seed: int = 0, shuffle_labels: bool = False) -> Split:
        """8x8 pictures, standardized; a share `noise` of the training labels is drawn anew."""
        raw, labels = load_digits(return_X_y=True)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        x = torch.tensor(raw, dtype=torch.float32)[order]
        y = torch.tensor(labels)[order]
        if shuffle_labels:
            y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed + 1))]
        kept, held = slice(0, train), slice(1297, 1797)
        mean, std = x[kept].mean(0), x[kept].std(0) + 0.1
        x = (x - mean) / std
        if noise:
            draw = torch.Generator().manual_seed(seed + 2)
            wrong = torch.rand(len(y), generator=draw) < noise
            wrong[1297:] = False
            y = torch.where(wrong, torch.randint(0, 10, (len(y),), generator=draw), y)
        return Split(x[kept], y[kept], x[held], y[held])

    def table(self, *, rows: int = 600, noise: float = 0.3, seed: int = 0) -> Split:
        """A made regression: a smooth function of 8 columns with noise, standardized."""
        draw = torch.Generator().manual_seed(seed)
        x = torch.randn(rows + 300, 8, generator=draw)
        y = torch.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3] + noise * torch.randn(rows + 300, 1, generator=draw)
        y = (y - y[:rows].mean()) / y[:rows].std()
        return Split(x[:rows], y[:rows], x[rows:], y[rows:])

    def mlp(
        self,
        *widths: int,
        activation: type[nn.Module] = nn.ReLU,
        std: float | None = None,
        norm: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> nn.Sequential:
        """A multilayer perceptron; `std` is a weight's standard deviation times sqrt(fan_in); None is torch's."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers: list[nn.Module] = []
            for fan_in, fan_out in itertools.pairwise(widths):
                linear = nn.Linear(fan_in, fan_out)
                if std is not None:
                    nn.init.normal_(linear.weight, std=std / math.sqrt(fan_in))
                    nn.init.zeros_(linear.bias)
                layers += [linear, *([nn.BatchNorm1d(fan_out)] if norm else []), activation()]
                layers += [nn.Dropout(dropout)] if dropout else []
            while not isinstance(layers[-1], nn.Linear):
                layers.pop()
            return nn.Sequential(*layers)

    def convnet(self, *, seed: int = 0, norm: bool = True, width: int = 16) -> nn.Sequential:
        """For the digits as vectors of 64."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return nn.Sequential(
                nn.Unflatten(1, (1, 8, 8)),
                nn.Conv2d(1, width, 3, padding=1),
                *([nn.BatchNorm2d(width)] if norm else []),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(width, 2 * width, 3, padding=1),
                *([nn.BatchNorm2d(2 * width)] if norm else []),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(2),
                nn.Flatten(),
                nn.Linear(8 * width, 10),
            )

    def optimizer(
        self, model: nn.Module, *, lr: float, sgd: bool = False, weight_decay: float = 0.0
    ) -> torch.optim.Optimizer:
        if sgd:
            return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
        return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)

    def train(
        self,
        model: nn.Module,
        split: Split,
        *,
        lr: float,
        epochs: int,
        batch: int = 64,
        sgd: bool = False,
        weight_decay: float = 0.0,
        rate: Rate = constant,
        seed: int = 0,
    ) -> LearningCurves:
        """Train a model in place; losses and metrics in test mode after every epoch."""
        optimizer = self.optimizer(model, lr=lr, sgd=sgd, weight_decay=weight_decay)
        draw = torch.Generator().manual_seed(seed)
        count = len(split.xv)
        start = self._score(model, split, split.x[:count], split.y[:count])[0]
        rows: list[tuple[float, ...]] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for epoch in range(1, epochs + 1):
                model.train()
                for group in optimizer.param_groups:
                    group["lr"] = lr * rate((epoch - 1) / epochs)
                for chosen in torch.split(torch.randperm(len(split.x), generator=draw), batch):
                    optimizer.zero_grad()
                    torch.autograd.backward(split.loss(model(split.x[chosen]), split.y[chosen]))
                    optimizer.step()
                train = self._score(model, split, split.x[:count], split.y[:count])
                validation = self._score(model, split, split.xv, split.yv)
                rows.append((*train, *validation, optimizer.param_groups[0]["lr"]))
        at = tuple(float(epoch) for epoch in range(1, epochs + 1))

        def curve(name: str, column: int, label: str) -> Curve:
            return Curve(name=name, x=at, y=tuple(row[column] for row in rows), x_label="epoch", y_label=label)

        score = "R²" if split.regression else "accuracy"
        return LearningCurves(
            trial=0,
            shape="",
            train_loss=curve("training loss", 0, "loss"),
            train_metric=curve("training score", 1, score),
            validation_loss=curve("validation loss", 2, "loss"),
            validation_metric=curve("validation score", 3, score),
            lr=curve("learning rate", 4, "learning rate"),
            start=start,
            samples=min(count, len(split.x)),
        )

    def _score(self, model: nn.Module, split: Split, x: Tensor, y: Tensor) -> tuple[float, float]:
        model.eval()
        with torch.no_grad():
            output = model(x)
        return float(split.loss(output, y)), split.metric(output, y)

    def initial_loss(self, model: nn.Module, split: Split, *, batch: int = 256) -> InitialLoss:
        """What step 1 measures, for a Sequential."""
        x, y = split.x[:batch], split.y[:batch]
        model = copy.deepcopy(model).train()
        outputs: dict[nn.Module, Tensor] = {}
        inputs: dict[nn.Module, Tensor] = {}

        def keep(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            inputs[module], outputs[module] = given[0].detach(), made.detach()

        modules = list(model.named_modules())[1:]
        hooks = [module.register_forward_hook(keep) for _, module in modules]
        made = model(x)
        loss = split.loss(made, y)
        torch.autograd.backward(loss)
        for hook in hooks:
            hook.remove()
        identical = self._identical_units(model, split, x, y)
        layers = []
        weighted = [i for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear | nn.Conv2d)]
        for i, after in zip(weighted, [*weighted[1:], len(modules)]):
            name, module = modules[i]
            assert isinstance(module, nn.Linear | nn.Conv2d)
            assert module.weight.grad is not None
            following = [other for _, other in modules[i + 1 : after]]
            act = next((m for m in following if isinstance(m, nn.ReLU | nn.Tanh | nn.Sigmoid | nn.GELU)), None)
            dead = saturated = 0.0
            if isinstance(act, nn.ReLU):
                flat = outputs[act].transpose(0, 1).flatten(1)
                dead = float((flat == 0).all(1).float().mean())
            elif isinstance(act, nn.Tanh):
                saturated = float((1 - outputs[act] ** 2 < 0.1).float().mean())
            elif isinstance(act, nn.Sigmoid):
                saturated = float((outputs[act] * (1 - outputs[act]) < 0.025).float().mean())
            layers.append(
                LayerStatistic(
                    name=name,
                    kind=type(module).__name__,
                    activation=type(act).__name__.lower() if act else "",
                    mean=float(outputs[module].mean()),
                    std=float(outputs[module].std()),
                    dead=dead,
                    saturated=saturated,
                    gradient_std=float(module.weight.grad.std()) if module.weight.numel() > 1 else 0.0,
                    weight_std=float((module.weight.detach() ** 2).mean().sqrt()),
                    identical_units=identical[name],
                    normalized=any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in following),
                    sample_std=float(outputs[module].var(0).mean().sqrt()),
                )
            )
        first = inputs[modules[weighted[0]][1]].flatten(1)
        each = nn.functional.mse_loss(made, y, reduction="none") if split.regression else None
        each = nn.functional.cross_entropy(made, y, reduction="none") if each is None else each.mean(1)
        zero = split.loss(torch.zeros_like(made), y)
        if split.regression:
            constant_loss = float(y.var(unbiased=False))
        else:
            shares = torch.tensor([count / len(y) for count in Counter(y.tolist()).values()])
            constant_loss = float(-(shares * shares.log()).sum())
        finite = first[torch.isfinite(first).all(1)]
        return InitialLoss(
            measured=float(loss.detach()),
            zero_output=float(zero.detach()),
            best_constant=constant_loss,
            logit_std=float(made.detach().std()),
            layers=tuple(layers),
            standard_error=float(each.detach().std() / math.sqrt(len(each))),
            input_not_finite=float((~torch.isfinite(first)).float().mean()),
            input_offset=float(finite.mean(0).square().mean().sqrt() / finite.var(0).mean().sqrt())
            if len(finite) > 1
            else math.nan,
        )

    def _identical_units(self, model: nn.Module, split: Split, x: Tensor, y: Tensor) -> dict[str, float]:
        """Units whose weights equal another's to a hundred-thousandth, before and after three steps of a copy."""
        model = copy.deepcopy(model)
        before = self._twins(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            torch.autograd.backward(split.loss(model(x), y))
            optimizer.step()
        after = self._twins(model)
        return {name: sum(map(all, zip(before[name], after[name]))) / len(before[name]) for name in before}

    def _twins(self, model: nn.Module) -> dict[str, list[bool]]:
        found = {}
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                units = module.weight.detach().flatten(1)
                scale = float(units.abs().max()) or 1.0
                rounded = [tuple(row) for row in (units / scale * 1e5).round().tolist()]
                counts = Counter(rounded)
                found[name] = [counts[row] > 1 for row in rounded]
        return found

    def small_sample(
        self,
        model: nn.Module,
        split: Split,
        *,
        lr: float,
        steps: int,
        samples: int = 128,
        sgd: bool = False,
        attempts: tuple[Curve, ...] = (),
    ) -> SmallSample:
        x, y = split.x[:samples], split.y[:samples]
        optimizer = self.optimizer(model, lr=lr, sgd=sgd)
        losses, metrics = [], []
        model.train()
        for _ in range(steps):
            optimizer.zero_grad()
            output = model(x)
            loss = split.loss(output, y)
            torch.autograd.backward(loss)
            losses.append(float(loss.detach()))
            metrics.append(split.metric(output, y))
            optimizer.step()
        at = tuple(float(step) for step in range(steps))
        return SmallSample(
            samples=samples,
            lr=lr,
            loss=Curve(name="training loss", x=at, y=tuple(losses)),
            metric=Curve(
                name="training accuracy", x=at, y=tuple(metrics), y_label="R²" if split.regression else "accuracy"
            ),
            attempts=attempts,
        )

    def sweep(
        self, model: nn.Module, split: Split, *, low: float, high: float, steps: int = 80, sgd: bool = False
    ) -> LrSweep:
        """One step a rate, geometrically; the rates between which the smoothed loss falls."""
        optimizer = self.optimizer(model, lr=low, sgd=sgd)
        rates = [low * (high / low) ** (i / (steps - 1)) for i in range(steps)]
        draw = torch.Generator().manual_seed(0)
        losses = []
        for rate in rates:
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = torch.randint(0, len(split.x), (256,), generator=draw)
            optimizer.zero_grad()
            loss = split.loss(model(split.x[chosen]), split.y[chosen])
            torch.autograd.backward(loss)
            losses.append(float(loss.detach()))
            optimizer.step()
        smooth, kept = [], losses[0]
        for value in losses:
            kept = 0.7 * kept + 0.3 * value
            smooth.append(kept)
        finite = [value if math.isfinite(value) else math.inf for value in smooth]
        bottom = finite.index(min(finite))
        begin = next((i for i, value in enumerate(finite) if value < 0.95 * finite[0]), bottom)
        usable = min(finite) < 0.8 * finite[0]
        return LrSweep(
            curve=Curve(name="loss", x=tuple(rates), y=tuple(losses), x_label="learning rate"),
            smoothed=Curve(name="smoothed loss", x=tuple(rates), y=tuple(smooth), x_label="learning rate"),
            lr=rates[max(0, bottom - steps // 10)] if bottom < steps - 1 else rates[-1],
            interval=(rates[min(begin, bottom)], rates[bottom]),
            usable=usable,
        )

    def record(self, split: Split, *, duplicates: int = 0, image: bool = True) -> DataRecord:
        if split.regression:
            output = OutputLayout(task="regression", size=1, names=("y",), means=(0.0,), stds=(1.0,))
            counts: dict[str, tuple[int, ...]] = {}
        else:
            classes = 1 + int(torch.cat([split.y, split.yv]).max())
            names = tuple(str(i) for i in range(classes))
            output = OutputLayout(task="classification", size=classes, names=names)
            counts = {
                part: tuple(torch.bincount(y, minlength=classes).tolist())
                for part, y in (("train", split.y), ("validation", split.yv))
            }
        layout = (
            InputLayout(kind="image", height=8, width=8, channels=1)
            if image
            else InputLayout(kind="table", numbers=split.x.shape[1])
        )
        return DataRecord(
            source="digits",
            fingerprint="",
            task=output.task,
            input=layout,
            output=output,
            samples=len(split.x) + len(split.xv),
            sizes={"train": len(split.x), "validation": len(split.xv), "test": 0},
            class_counts=counts,
            duplicates=duplicates,
        )

    def look(self, split: Split, *, overlap: int = 0) -> Look:
        x, y, xv, yv = (part.numpy() for part in (split.x, split.y, split.xv, split.yv))
        if split.regression:
            linear = LinearRegression().fit(x, y)
            score = float(linear.score(xv, yv))
            constant_score = 1 - float(((yv - y.mean()) ** 2).mean() / yv.var())
            marks: Sequence[Yardstick] = (
                Yardstick(name="best constant", metric=constant_score, loss=1.0, seconds=0.0),
                Yardstick(name="linear regression", metric=score, loss=1 - score, seconds=0.0),
            )
        else:
            model = LogisticRegression(max_iter=1000).fit(x, y)
            most = Counter(y.tolist()).most_common(1)[0][0]
            marks = (
                Yardstick(name="best constant", metric=float((yv == most).mean()), loss=math.log(10), seconds=0.0),
                Yardstick(name="logistic regression", metric=float(model.score(xv, yv)), loss=0.2, seconds=0.0),
            )
        return Look(yardsticks=tuple(marks), overlap=overlap)


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="session")
def drawn_to(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures of rules are to be drawn; None: nowhere."""
    folder = request.config.getoption("--draw")
    return Path(folder) if folder else None
