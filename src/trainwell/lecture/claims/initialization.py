"""Claims about the first weights."""

import math

import torch
from torch import Tensor, nn

from trainwell.anatomy import capture
from trainwell.initialization import kaiming_std
from trainwell.lecture.claims.experiment import fit, layout, mean, measure, network
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import Split, digits
from trainwell.lecture.figures.initialization import deep_network, layer_outputs
from trainwell.training.objective import Objective
from trainwell.training.observe import SATURATED_BELOW

LAYERS = 10
KEPT = math.log(1.1)
"""Within a tenth a layer: kept."""


def zero_weights_give_identical_gradients(*, seeds: int = 5, steps: int = 50, scheme: str = "zeros") -> ClaimResult:
    """How far the gradients of one layer's units differ, at the start and after some training.

    Args:
        seeds: >= 2.
        steps: of the training.
        scheme: of the initialization.
    """
    differences: dict[str, list[float]] = {"before": [], "after": []}
    accuracies = []
    for seed in range(seeds):
        split = digits(seed=seed)
        model = network((64, 32, 10), "sigmoid", seed=seed, scheme=scheme)
        differences["before"].append(_unit_difference(model, split))
        fit(model, split, lr=0.1, steps=steps, seed=seed)
        differences["after"].append(_unit_difference(model, split))
        accuracies.append(measure(model, split).metric)
    return judged(
        "zero_weights_give_identical_gradients",
        chapter="initialization",
        statement="With all weights 0, the outputs are 0 and all neurons have the same gradient.",
        measured=f"Digits, 32 sigmoid units: largest difference between the gradients of two units of the layer, "
        f"against the largest gradient, at the start and after {steps} steps.",
        conditions=[
            condition("difference at the start, share", differences["before"], below=1e-3),
            condition("difference after training, share", differences["after"], below=1e-3),
        ],
        numbers={"test accuracy after training, share": mean(accuracies)},
        seeds=range(seeds),
    )


def _unit_difference(model: nn.Sequential, split: Split) -> float:
    first = model[0]
    assert isinstance(first, nn.Linear)
    loss = Objective(output=layout(split.classes))(model(split.inputs[split.train]), split.targets[split.train])
    (gradient,) = torch.autograd.grad(loss, first.weight)
    largest = float(gradient.abs().max())
    return float((gradient.amax(dim=0) - gradient.amin(dim=0)).max()) / largest if largest > 0 else 0.0


def small_std_vanishes(*, seeds: int = 10, std: float = 0.01, width: int = 512) -> ClaimResult:
    """What is left of the activations after ten layers.

    Args:
        seeds: >= 2.
        std: of the weights.
        width: units of a layer.
    """
    ratios, first_ratios = [], []
    for seed in range(seeds):
        found = _tanh_layers(std=std, width=width, seed=seed)
        ratios.append(float(found[-1].std() / found[0].std()))
        first_ratios.append(float(found[1].std() / found[0].std()))
    return judged(
        "small_std_vanishes",
        chapter="initialization",
        statement="Small random weights (std 0.01): the activations vanish in a deep network.",
        measured=f"Ten tanh layers of {width} units, weights of std {std:g}, inputs of variance 1.",
        conditions=[condition("std of layer 10 against layer 1, ratio", ratios, below=0.01)],
        numbers={"std of layer 2 against layer 1, ratio": mean(first_ratios)},
        seeds=range(seeds),
    )


def large_std_saturates(*, seeds: int = 4, std: float = 0.05, width: int = 2048, narrow: int = 256) -> ClaimResult:
    """How many units of the tenth layer are saturated, and what gradient reaches the first layer.

    Args:
        seeds: >= 2.
        std: of the weights.
        width: units of a layer.
        narrow: units of a layer, in the second condition.
    """
    wide, slim, reach = [], [], []
    for seed in range(seeds):
        wide.append(_saturated(_tanh_layers(std=std, width=width, seed=seed)[-1]))
        slim.append(_saturated(_tanh_layers(std=std, width=narrow, seed=seed)[-1]))
        model, inputs = deep_network("tanh", "xavier", gain=std * math.sqrt(width), width=width, samples=16, seed=seed)
        first, last = model[0], model[2 * (LAYERS - 1)]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        gradients = torch.autograd.grad(model(inputs).sum(), [first.weight, last.weight])
        reach.append(float(gradients[0].std() / gradients[1].std()))
    return judged(
        "large_std_saturates",
        chapter="initialization",
        statement="A larger std drives units into saturation, where the local gradient is 0.",
        measured=f"Ten tanh layers, weights of std {std:g}: share of the last layer's outputs with a slope below "
        f"{SATURATED_BELOW:g}; and the first layer's gradient against the last's.",
        conditions=[
            condition(f"saturated at width {width}, share", wide, above=0.25),
            condition(f"saturated at width {narrow}, share", slim, above=0.25),
            condition(f"gradient of layer 1 against layer 10 at width {width}, ratio", reach, below=0.1),
        ],
        seeds=range(seeds),
    )


def _tanh_layers(*, std: float, width: int, seed: int) -> tuple[Tensor, ...]:
    return layer_outputs(*deep_network("tanh", "xavier", gain=std * math.sqrt(width), width=width, seed=seed))


def _saturated(outputs: Tensor) -> float:
    return float((1.0 - outputs.square() < SATURATED_BELOW).double().mean())


def xavier_keeps_the_variance(*, seeds: int = 10, width: int = 512, gain: float = 1.0) -> ClaimResult:
    """The variance of y = Wx against that of x behind tanh, and what ten ReLU layers leave.

    Args:
        seeds: >= 2.
        width: units of a layer.
        gain: of the weights; Xavier's is 1.
    """
    tanh, relu, tanh_depth = [], [], []
    for seed in range(seeds):
        model, inputs = deep_network("tanh", "xavier", gain=gain, width=width, seed=seed)
        tanh.append(abs(mean([math.log(ratio) for ratio in variance_ratios(model, inputs)])))
        tanh_depth.append(factor_a_layer(layer_outputs(model, inputs)))
        model, inputs = deep_network("relu", "xavier", gain=gain, width=width, seed=seed)
        relu.append(factor_a_layer(layer_outputs(model, inputs)))
    return judged(
        "xavier_keeps_the_variance",
        chapter="initialization",
        statement="Xavier: the variance of y = Wx is that of x; for activations that are not zero-centered, such as "
        "ReLU, it is not kept.",
        measured=f"Ten layers of {width} units, weights of std {gain:g}/sqrt(Din), inputs of variance 1.",
        conditions=[
            condition("behind tanh, |log of var(Wx) / var(x)|", tanh, below=KEPT),
            condition("with ReLU, mean square of a layer against the one before, ratio", relu, below=0.75),
        ],
        numbers={"with tanh, mean square of a layer against the one before, ratio": mean(tanh_depth)},
        seeds=range(seeds),
    )


def kaiming_keeps_the_variance(*, seeds: int = 10, width: int = 512, gain: float = math.sqrt(2.0)) -> ClaimResult:
    """The mean square of ReLU layers from one to the next.

    Args:
        seeds: >= 2.
        width: units of a layer.
        gain: of the weights; Kaiming's is sqrt(2).
    """
    kept, printed = [], []
    for seed in range(seeds):
        found = layer_outputs(*deep_network("relu", "kaiming", gain=gain, width=width, seed=seed))
        kept.append(abs(math.log(factor_a_layer(found))))
        # 2/sqrt(Din) is a gain of 2.
        found = layer_outputs(*deep_network("relu", "kaiming", gain=2.0, width=width, seed=seed))
        printed.append(factor_a_layer(found))
    return judged(
        "kaiming_keeps_the_variance",
        chapter="initialization",
        statement="Kaiming keeps the variance through ReLU (std sqrt(2/Din); the notes print 2/sqrt(Din)).",
        measured=f"Ten ReLU layers of {width} units, weights of std {kaiming_std(width, gain=gain):.3g}, inputs of "
        "variance 1.",
        conditions=[condition("|log of a layer's mean square against the one before|", kept, below=KEPT)],
        numbers={"with the printed 2/sqrt(Din), mean square against the layer before, ratio": mean(printed)},
        seeds=range(seeds),
    )


def properties_fade(*, seeds: int = 10, steps: int = 300, lr: float = 0.03) -> ClaimResult:
    """How far the mean squares of Kaiming's ReLU layers drift from one another, before and after training.

    Args:
        seeds: >= 2.
        steps: of the training.
        lr: learning rate.
    """
    drift, before, after = [], [], []
    for seed in range(seeds):
        split = digits(seed=seed)
        model = network((64, *[128] * 6, 10), "relu", seed=seed)
        inputs = split.inputs[split.train]
        before.append(abs(math.log(factor_a_layer(layer_outputs(model, inputs)))))
        fit(model, split, lr=lr, steps=steps, seed=seed)
        after.append(abs(math.log(factor_a_layer(layer_outputs(model, inputs)))))
        drift.append(after[-1] - before[-1])
    return judged(
        "properties_fade",
        chapter="initialization",
        statement="Initialization cares only for the start: after some training the weights no longer have these "
        "properties.",
        measured=f"Digits, six ReLU layers of 128 with Kaiming's weights: |log of a layer's mean square against the "
        f"one before|, after {steps} steps less before.",
        conditions=[
            condition("drift grown by training, no unit", drift, above=0.0),
            condition("drift after training, no unit", after, above=KEPT),
        ],
        numbers={"drift before training, no unit": mean(before)},
        seeds=range(seeds),
    )


def variance_ratios(model: nn.Sequential, inputs: Tensor) -> list[float]:
    """var(Wx) / var(x) of each hidden layer, x as it comes out of the activation before."""
    names = [str(place) for place in range(len(model) - 1)]
    seen = [inputs, *(outputs[0] for outputs in capture(model, inputs, names).values())]
    return [
        float(seen[place + 1].var(correction=0) / seen[place].var(correction=0)) for place in range(0, len(names), 2)
    ]


def factor_a_layer(outputs: tuple[Tensor, ...]) -> float:
    """By what a layer multiplies the mean square, in the geometric mean over the layers after the first."""
    ends = [float(found.double().square().mean()) for found in (outputs[0], outputs[-1])]
    return math.exp(math.log(max(ends[1], 1e-300) / ends[0]) / (len(outputs) - 1))
