"""Claims about ReLU and its leaky kin."""

import torch
from torch import Tensor, nn

from trainwell.core.seeds import generator
from trainwell.lecture.claims.experiment import best_lr, fit, mean, measure, network, points, steps_to
from trainwell.lecture.claims.result import ClaimResult, condition, judged
from trainwell.lecture.datasets import digits

WIDTHS = (64, 128, 128, 10)
HIGH_LR = 0.3
"""About the largest rate at which these networks train at all: ten times what suits them."""

USUAL_LR = 0.02


def relu_converges_faster(
    *,
    seeds: int = 10,
    steps: int = 600,
    target: float = 0.1,
    depth: int = 4,
    lrs: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0),
    candidate: str = "relu",
) -> ClaimResult:
    """Optimizer steps to a training loss, each activation at the rate that suits it best.

    Args:
        seeds: >= 2.
        steps: after which a training is given up.
        target: loss to reach, nats.
        depth: hidden layers of 128.
        lrs: rates to choose from.
        candidate: what is said to be faster.
    """
    widths = (64, *[128] * depth, 10)

    def needed(activation: str, lr: float, seed: int) -> float:
        model = network(widths, activation, seed=seed)
        return float(steps_to(target, model, digits(seed=seed), steps=steps, lr=lr, seed=seed))

    found: dict[str, list[float]] = {}
    chosen: dict[str, float] = {}
    for activation in dict.fromkeys((candidate, "tanh", "sigmoid")):

        def lost(lr: float, seed: int, activation: str = activation) -> float:
            return needed(activation, lr, seed)

        chosen[activation] = best_lr(lost, lrs)
        found[activation] = [needed(activation, chosen[activation], seed) for seed in range(seeds)]
    ratios = {
        other: [theirs / ours for theirs, ours in zip(found[other], found[candidate])] for other in ("tanh", "sigmoid")
    }
    return judged(
        "relu_converges_faster",
        chapter="activations",
        statement="ReLU converges much faster than sigmoid and tanh in practice (e.g. 6x).",
        measured=f"Digits, {depth} hidden layers of 128, SGD with momentum: steps to a training loss of {target:g} "
        f"nats, each activation at the best of {len(lrs)} rates (a training that never gets there counts {steps}).",
        conditions=[
            condition("steps of tanh, times ReLU's", ratios["tanh"], above=1.0),
            condition("steps of sigmoid, times ReLU's", ratios["sigmoid"], above=1.0),
            condition("steps of tanh, times ReLU's (sixfold)", ratios["tanh"], above=6.0),
            condition("steps of sigmoid, times ReLU's (sixfold)", ratios["sigmoid"], above=6.0),
        ],
        numbers={
            **{f"steps with {name}": mean(values) for name, values in found.items()},
            **{f"best rate of {name}": lr for name, lr in chosen.items()},
        },
        seeds=range(seeds),
    )


def relus_die(*, seeds: int = 10, steps: int = 300, activation: str = "relu", high_lr: float = HIGH_LR) -> ClaimResult:
    """The share of hidden units that get no gradient from any training sample, after a training.

    Args:
        seeds: >= 2.
        steps: of each training.
        activation: a name of `ACTIVATIONS`.
        high_lr: the high rate.
    """
    high, _ = _dead(activation, lr=high_lr, seeds=seeds, steps=steps)
    usual, _ = _dead(activation, lr=USUAL_LR, seeds=seeds, steps=steps)
    return judged(
        "relus_die",
        chapter="activations",
        statement="ReLU has no gradient for x < 0: its units can die.",
        measured=f"Digits, two hidden layers of 128, {steps} steps of SGD with momentum: share of hidden units that no "
        "training sample gives any gradient.",
        conditions=[
            condition(f"dead units after training at {high_lr:g}, share", high, above=0.05),
            condition(f"dead units after training at {USUAL_LR:g}, share", usual, above=0.05),
        ],
        seeds=range(seeds),
    )


def leaky_relu_does_not_die(
    *, seeds: int = 10, steps: int = 300, activation: str = "leaky_relu", high_lr: float = HIGH_LR
) -> ClaimResult:
    """The same training with Leaky ReLU beside ReLU.

    Args:
        seeds: >= 2.
        steps: of each training.
        activation: what is said not to die.
        high_lr: the high rate.
    """
    ours, our_accuracy = _dead(activation, lr=high_lr, seeds=seeds, steps=steps)
    relu, relu_accuracy = _dead("relu", lr=high_lr, seeds=seeds, steps=steps)
    return judged(
        "leaky_relu_does_not_die",
        chapter="activations",
        statement="Leaky ReLU will not die.",
        measured=f"Digits, two hidden layers of 128, {steps} steps of SGD with momentum at {high_lr:g}, where ReLUs "
        "die: share of hidden units that no training sample gives any gradient.",
        conditions=[
            condition("dead units, share", ours, below=0.001),
            condition("dead units of ReLU less its own, share", [a - b for a, b in zip(relu, ours)], above=0.05),
        ],
        numbers={"test accuracy, share": mean(our_accuracy), "test accuracy of ReLU, share": mean(relu_accuracy)},
        seeds=range(seeds),
    )


def _dead(activation: str, *, lr: float, seeds: int, steps: int) -> tuple[list[float], list[float]]:
    shares, accuracies = [], []
    for seed in range(seeds):
        split = digits(seed=seed)
        model = network(WIDTHS, activation, seed=seed)
        fit(model, split, lr=lr, steps=steps, seed=seed)
        shares.append(dead_share(model, split.inputs[split.train], seed=seed))
        accuracies.append(measure(model, split).metric)
    return shares, accuracies


def dead_share(model: nn.Sequential, inputs: Tensor, *, seed: int) -> float:
    """Share of hidden units whose incoming weights get exactly no gradient, whatever is asked of the outputs.

    Args:
        model: linear layers with activations between them.
        inputs: all training samples.
        seed: of what is asked.
    """
    hidden = [layer for layer in model if isinstance(layer, nn.Linear)][:-1]
    outputs = model.eval()(inputs)
    asked = torch.randn(outputs.shape, generator=generator(seed, "asked"))
    gradients = torch.autograd.grad((outputs * asked).sum(), [layer.bias for layer in hidden])
    return float((torch.cat(gradients) == 0).double().mean())


def prelu_slope_learns(*, seeds: int = 10, steps: int = 300, lr: float = 0.02, frozen: bool = False) -> ClaimResult:
    """How far PReLU's slopes move from where they start, and whether that helps.

    Args:
        seeds: >= 2.
        steps: of each training.
        lr: learning rate.
        frozen: hold the slopes still, as a control.
    """
    moved, gained, ends = [], [], []
    for seed in range(seeds):
        split = digits(seed=seed)
        model = network(WIDTHS, "prelu", seed=seed)
        slopes: list[Tensor] = [layer.weight for layer in model if isinstance(layer, nn.PReLU)]
        for slope in slopes:
            slope.requires_grad_(not frozen)
        before = torch.cat(slopes).detach().clone()
        fit(model, split, lr=lr, steps=steps, seed=seed)
        after = torch.cat(slopes).detach()
        moved.append(float((after - before).abs().mean()))
        ends.append(float(after.mean()))
        other = network(WIDTHS, "leaky_relu", seed=seed)
        fit(other, split, lr=lr, steps=steps, seed=seed)
        gained.append(points(measure(model, split), measure(other, split)))
    return judged(
        "prelu_slope_learns",
        chapter="activations",
        statement="PReLU's slope is learned via backprop.",
        measured=f"Digits, two hidden layers of 128 with a slope each that starts at 0.25, {steps} steps of SGD.",
        conditions=[condition("a slope's move from its start, no unit", moved, above=0.02)],
        numbers={"slope at the end": mean(ends), "test accuracy gained over Leaky ReLU, points": mean(gained)},
        seeds=range(seeds),
    )
