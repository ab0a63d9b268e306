"""Claims about ELU, SELU and GELU, and about the last tenth of a percent."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainwell.activations import gelu, gelu_sample
from trainwell.anatomy import capture
from trainwell.core.records.trial import Score
from trainwell.core.seeds import generator
from trainwell.lecture.claims.experiment import best_lr, fit, inner, mean, measure, network, points
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import Split, digits

WIDTHS = (64, 128, 128, 10)
LRS = (0.01, 0.03, 0.1)


def elu_is_centred_and_robust(
    *, seeds: int = 10, steps: int = 300, lr: float = 0.03, noise: float = 1.0, activation: str = "elu"
) -> ClaimResult:
    """The mean of hidden outputs, and the accuracy lost to noise on the inputs, ELU beside ReLU.

    Args:
        seeds: >= 2.
        steps: of each training.
        lr: learning rate.
        noise: standard deviation of the noise, in standard deviations of each input.
        activation: what stands for ELU.
    """
    nearer, robust = [], []
    means: dict[str, list[float]] = {}
    for seed in range(seeds):
        split = digits(seed=seed)
        noisy = _with_noise(split, noise, seed)
        off, lost = {}, {}
        for name in (activation, "relu"):
            model = network(WIDTHS, name, seed=seed)
            fit(model, split, lr=lr, steps=steps, seed=seed)
            outputs = capture(model, split.inputs[split.test], ["1", "3"])
            off[name] = mean([float(found[0].mean(dim=0).abs().mean()) for found in outputs.values()])
            lost[name] = points(measure(model, split), measure(model, noisy))
            means.setdefault(name, []).append(off[name])
        nearer.append(off["relu"] - off[activation])
        robust.append(lost["relu"] - lost[activation])
    return judged(
        "elu_is_centred_and_robust",
        chapter="activations",
        statement="ELU: closer to zero mean outputs; its negative saturation adds some robustness to noise.",
        measured=f"Digits, two hidden layers of 128, {steps} steps of SGD: |mean| of each hidden unit on the test "
        f"part; test accuracy lost when noise of {noise:g} standard deviations is added to every input.",
        conditions=[
            condition("|mean output| of ReLU less ELU's, no unit", nearer, above=0.0),
            condition("accuracy ReLU loses to noise more than ELU, points", robust, above=0.0),
        ],
        numbers={f"|mean output| of {name}": mean(values) for name, values in means.items()},
        seeds=range(seeds),
    )


def _with_noise(split: Split, noise: float, seed: int) -> Split:
    drawn = torch.randn(split.inputs.shape, generator=generator(seed, "noise"))
    return Split(inputs=split.inputs + noise * drawn, targets=split.targets, train=split.train, test=split.test)


def selu_trains_deep(
    *,
    seeds: int = 6,
    steps: int = 300,
    depth: int = 20,
    width: int = 64,
    scheme: str = "lecun",
    lrs: tuple[float, ...] = (0.003, 0.01),
) -> ClaimResult:
    """A deep network without batch norm: SELU beside ReLU with Kaiming's weights, each at its best rate.

    Args:
        seeds: >= 2.
        steps: of each training.
        depth: hidden layers.
        width: units of each.
        scheme: SELU's initialization.
        lrs: rates to choose from.
    """
    widths = (64, *[width] * depth, 10)
    arms = {"selu": ("selu", scheme, False), "relu": ("relu", "kaiming", False), "bn": ("relu", "kaiming", True)}
    scores: dict[str, list[Score]] = {}
    for arm, (activation, start, batch_norm) in arms.items():

        def trained(
            lr: float, seed: int, activation: str = activation, start: str = start, batch_norm: bool = batch_norm
        ) -> tuple[nn.Module, float]:
            model = network(widths, activation, seed=seed, scheme=start, batch_norm=batch_norm)
            return model, fit(model, digits(seed=seed), lr=lr, steps=steps, seed=seed)

        def lost(lr: float, seed: int, trained: Callable[..., tuple[nn.Module, float]] = trained) -> float:
            return trained(lr, seed)[1]

        lr = best_lr(lost, lrs)
        scores[arm] = [measure(trained(lr, seed)[0], digits(seed=seed)) for seed in range(seeds)]
    return judged(
        "selu_trains_deep",
        chapter="activations",
        statement="SELU works better for deep networks: they train without BatchNorm.",
        measured=f"Digits, {depth} hidden layers of {width} without batch norm, {steps} steps of SGD, SELU with "
        "LeCun's weights and ReLU with Kaiming's, each at the best of the rates.",
        conditions=[
            condition("test accuracy of SELU, %", [100.0 * one.metric for one in scores["selu"]], above=90.0),
            condition(
                "test accuracy gained over ReLU, points",
                [points(a, b) for a, b in zip(scores["selu"], scores["relu"])],
                above=0.0,
            ),
        ],
        numbers={
            "test accuracy of ReLU, %": mean([100.0 * one.metric for one in scores["relu"]]),
            "test accuracy of ReLU with batch norm, %": mean([100.0 * one.metric for one in scores["bn"]]),
        },
        seeds=range(seeds),
    )


def gelu_is_an_expectation(
    *, seeds: int = 10, draws: int = 400, function: Callable[[Tensor], Tensor] = gelu
) -> ClaimResult:
    """The mean of x·m, m ~ Bernoulli(Φ(x)), against the formula, in units of what chance explains.

    Args:
        seeds: >= 2.
        draws: of m for each x.
        function: what is said to be the expectation.
    """
    x = torch.linspace(-2.5, 2.5, 100, dtype=torch.float64)
    chance = 0.5 * torch.erfc(-x / math.sqrt(2.0))
    error = x.abs() * (chance * (1.0 - chance) / draws).sqrt()
    found, gaps = [], []
    for seed in range(seeds):
        source = generator(seed, "expectation")
        average = torch.stack([gelu_sample(x, generator=source) for _ in range(draws)]).mean(dim=0)
        gap = average - function(x)
        found.append(float((gap / error).square().mean()))
        gaps.append(float(gap.abs().max()))
    return judged(
        "gelu_is_an_expectation",
        chapter="activations",
        statement="GELU: multiply the input by 0 or 1 at random (data-dependent dropout), take the expectation.",
        measured=f"100 inputs from -2.5 to 2.5: squared gap between the mean of {draws} draws and the formula, in "
        "units of the draws' own variance (1: chance alone).",
        conditions=[condition("squared gap, times what chance explains", found, below=1.5)],
        numbers={"largest gap, no unit": mean(gaps)},
        seeds=range(seeds),
    )


def last_tenth_of_a_percent(
    *,
    seeds: int = 20,
    steps: int = 300,
    lrs: tuple[float, ...] = LRS,
    candidates: tuple[str, ...] = ("leaky_relu", "elu", "selu", "gelu"),
) -> ClaimResult:
    """Test accuracy of each other activation less ReLU's, each at its best rate.

    Args:
        seeds: >= 2.
        steps: of each training.
        lrs: rates to choose from, on a part of the training samples.
        candidates: names of `ACTIVATIONS`.
    """
    scores: dict[str, list[Score]] = {}
    for name in ("relu", *candidates):

        def validation_loss(lr: float, seed: int, name: str = name) -> float:
            part = inner(digits(seed=seed))
            model = network(WIDTHS, name, seed=seed)
            fit(model, part, lr=lr, steps=steps, seed=seed)
            return measure(model, part).loss

        lr = best_lr(validation_loss, lrs)
        scores[name] = []
        for seed in range(seeds):
            model = network(WIDTHS, name, seed=seed)
            fit(model, digits(seed=seed), lr=lr, steps=steps, seed=seed)
            scores[name].append(measure(model, digits(seed=seed)))
    return judged(
        "last_tenth_of_a_percent",
        chapter="activations",
        statement="Try out Leaky ReLU / ELU / SELU / GELU if you need to squeeze that last 0.1%.",
        measured=f"Digits, two hidden layers of 128, {steps} steps of SGD, each at the best of {len(lrs)} rates: test "
        f"accuracy less ReLU's on the same split and seed ({len(candidates)} comparisons share the 5% of error).",
        conditions=[
            condition(
                f"test accuracy gained by {name}, points",
                [points(ours, relu) for ours, relu in zip(scores[name], scores["relu"])],
                above=0.0,
                confidence=1.0 - 0.05 / len(candidates),
            )
            for name in candidates
        ],
        numbers={"test accuracy of ReLU, %": mean([100.0 * one.metric for one in scores["relu"]])},
        seeds=range(seeds),
    )
