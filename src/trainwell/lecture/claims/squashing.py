"""Claims about activations that squash: sigmoid and tanh."""

from collections.abc import Sequence

import torch
from torch import nn

from trainwell.activations import measure_cost
from trainwell.core.seeds import generator
from trainwell.lecture.claims.experiment import fit, layout, mean, measure, network, points
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.claims.timing import step_seconds
from trainwell.lecture.datasets import Split, digits
from trainwell.training.objective import Objective
from trainwell.training.observe import observe_layers

WIDTHS = (64, 128, 128, 10)
KILLED = 0.1
"""Under a tenth of the gradient is left: killed."""


def sigmoid_kills_gradients(*, seeds: int = 10, steps: int = 200, shift: float = 5.0) -> ClaimResult:
    """Push the first layer's units into saturation by their biases, and look at its gradient and at the training.

    Args:
        seeds: >= 2.
        steps: of each training.
        shift: of the pre-activations, up or down by a coin, in their standard deviations.
    """
    return _saturated(
        "sigmoid_kills_gradients",
        "sigmoid",
        "Saturated neurons kill the gradients (the worst problem in practice).",
        seeds=seeds,
        steps=steps,
        shift=shift,
    )


def tanh_still_saturates(*, seeds: int = 10, steps: int = 200, shift: float = 5.0) -> ClaimResult:
    """The same for tanh.

    Args:
        seeds: >= 2.
        steps: of each training.
        shift: of the pre-activations, up or down by a coin, in their standard deviations.
    """
    return _saturated(
        "tanh_still_saturates",
        "tanh",
        "Tanh still kills gradients when saturated.",
        seeds=seeds,
        steps=steps,
        shift=shift,
    )


def _saturated(name: str, activation: str, statement: str, *, seeds: int, steps: int, shift: float) -> ClaimResult:
    ratios, lost = [], []
    for seed in range(seeds):
        split = digits(seed=seed)
        scores, gradients = [], []
        for size in (0.0, shift):
            # With gain 1 the pre-activations of normalized inputs have standard deviation 1.
            model = network(WIDTHS, activation, seed=seed, gain=1.0)
            first = model[0]
            assert isinstance(first, nn.Linear)
            with torch.no_grad():
                coins = torch.randint(2, first.bias.shape, generator=generator(seed, "coins"))
                first.bias.copy_(size * (2.0 * coins - 1.0))
            gradients.append(first_gradient(model, split))
            fit(model, split, lr=0.1, steps=steps, seed=seed)
            scores.append(measure(model, split))
        ratios.append(gradients[1] / gradients[0])
        lost.append(points(scores[0], scores[1]))
    return judged(
        name,
        chapter="activations",
        statement=statement,
        measured=f"Digits, {activation}, two hidden layers of 128; the first layer's biases at 0 or at ±{shift:g}, "
        f"then {steps} steps of SGD at 0.1.",
        conditions=[
            condition("first layer's gradient, saturated against not, ratio", ratios, below=KILLED),
            condition("test accuracy lost by starting saturated, points", lost, above=0.0),
        ],
        seeds=range(seeds),
    )


def first_gradient(model: nn.Module, split: Split) -> float:
    """Standard deviation of the first weighted layer's gradient on 256 training samples."""
    chosen = split.train[:256]
    loss = Objective(output=layout(split.classes))
    statistics = observe_layers(model, (split.inputs[chosen], split.targets[chosen]), loss).layers
    return statistics[0].gradient_std


def not_zero_centred_makes_same_signs(
    *, seeds: int = 10, activation: str = "sigmoid", batch_size: int = 64
) -> ClaimResult:
    """How far the gradients of one unit's weights agree in sign, behind an activation.

    Args:
        seeds: >= 2.
        activation: a name of `ACTIVATIONS`.
        batch_size: samples whose gradients are averaged, in the second condition.
    """
    found: dict[tuple[str, int], list[float]] = {}
    for seed in range(seeds):
        split = digits(seed=seed)
        for name in (activation, "tanh"):
            model = network(WIDTHS, name, seed=seed)
            for size in (1, batch_size):
                agreement = [sign_agreement(model, split, start=16 * place, size=size) for place in range(16)]
                found.setdefault((name, size), []).append(mean(agreement))
    return judged(
        "not_zero_centred_makes_same_signs",
        chapter="activations",
        statement="Sigmoid outputs are not zero-centered: the gradients of a unit's weights have one sign; zigzag.",
        measured=f"Digits, the second layer's weights behind {activation}: share by which the signs of one unit's "
        f"gradients agree (0: half and half, 1: all equal), for one sample and for batches of {batch_size}.",
        conditions=[
            condition("agreement of signs, one sample, share", found[activation, 1], above=0.9),
            condition(f"agreement of signs, batch of {batch_size}, share", found[activation, batch_size], above=0.9),
        ],
        numbers={
            "tanh: agreement of signs, one sample, share": mean(found["tanh", 1]),
            f"tanh: agreement of signs, batch of {batch_size}, share": mean(found["tanh", batch_size]),
        },
        seeds=range(seeds),
    )


def sign_agreement(model: nn.Sequential, split: Split, *, start: int, size: int) -> float:
    """|mean sign| of the gradients of one unit's incoming weights, averaged over the second layer's units."""
    chosen = split.train[start : start + size]
    second = model[2]
    assert isinstance(second, nn.Linear)
    loss = Objective(output=layout(split.classes))(model(split.inputs[chosen]), split.targets[chosen])
    (gradient,) = torch.autograd.grad(loss, second.weight)
    return float(gradient.sign().mean(dim=1).abs().mean())


def exp_costs(*, seeds: int = 7, elements: int = 500_000, steps: int = 60) -> ClaimResult:
    """Processor time of activations with an exponential against ReLU's: alone, and in a whole training step.

    Args:
        seeds: repetitions, >= 2.
        elements: numbers in the tensor that is measured alone.
        steps: training steps that are timed.
    """
    alone = {name: [measure_cost(name, elements=elements, repeats=5) for _ in range(seeds)] for name in _WITH_EXP}
    whole: dict[str, list[float]] = {name: [] for name in _WITH_EXP}
    for seed in range(seeds):
        split = digits(seed=seed)
        seconds = step_seconds(("relu", *_WITH_EXP), split, steps=steps, seed=seed)
        for name in _WITH_EXP:
            whole[name].append(100.0 * (seconds[name] / seconds["relu"] - 1.0))
    return judged(
        "exp_costs",
        chapter="activations",
        statement="exp() is a bit compute expensive (sigmoid, ELU).",
        measured="Processor time of one thread: forward and backward of the activation alone, and a training step of "
        "a network with two hidden layers of 256 on digits, each against ReLU.",
        conditions=[
            condition("sigmoid alone, times ReLU", alone["sigmoid"], above=1.0),
            condition("ELU alone, times ReLU", alone["elu"], above=1.0),
            condition("whole step with sigmoid, % more than ReLU", whole["sigmoid"], above=5.0),
            condition("whole step with ELU, % more than ReLU", whole["elu"], above=5.0),
        ],
        numbers={
            **{f"{name} alone, times ReLU": mean(alone[name]) for name in _WITH_EXP},
            **{f"whole step with {name}, % more than ReLU": mean(whole[name]) for name in _WITH_EXP},
        },
        seeds=range(seeds),
    )


_WITH_EXP: Sequence[str] = ("sigmoid", "tanh", "elu", "selu", "gelu")
