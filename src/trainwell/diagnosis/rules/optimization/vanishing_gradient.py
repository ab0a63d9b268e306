"""What it sees: a gradient that has all but gone when it reaches the first layers.

Why it hurts: the first layers stay what chance made them; what lies behind them learns on random features.

Evidence: the standard deviation of the gradient with respect to the weights, at the first hidden layer over the
last, on one batch of the untouched network. The output layer is left out (its size sets the gradients of all others
alike), and so are layers of gradient 0 below a layer of zeros: its first step brings their gradient back.

Remedy: an initialization that keeps the variance, ReLU in place of sigmoid, norms, residual branches. Safe.

References: notes, Activation Functions (saturated neurons kill the gradients); Glorot and Bengio 2010, figure 7.
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.places import made_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

VANISHED = 0.01
"""First hidden layer over last. Measured on digits, 10 epochs, best of three rates: sigmoid networks lose little
at 0.06 (3 layers), validation loss 0.31 in place of 0.15 at 0.03 (4 layers), 0.76 at 0.009, 1.4 at 0.001.
Healthy networks lie between 0.2 and 1.3."""

GONE = 1e-6
"""Last hidden layer over the output layer, below which no hidden layer gets any."""
CERTAIN = 0.001
"""Ratio below which it is told where no other training can be compared. At 0, a branch may begin at zero and let the
gradient through later."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the first hidden layer with the last."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    blocked = any(layer.weight_std == 0 for layer in layers)
    hidden = [
        layer
        for layer in layers[:-1]
        if math.isfinite(layer.gradient_std) and not (blocked and layer.gradient_std == 0)
    ]
    if len(hidden) < 2 or not hidden[-1].gradient_std > 0:
        return ()
    first, last = hidden[0], hidden[-1]
    if layers[-1].weight_std > 0 and layers[-1].gradient_std > 0 and last.gradient_std < GONE * layers[-1].gradient_std:
        last = layers[-1]
    ratio = first.gradient_std / last.gradient_std
    if ratio >= VANISHED:
        return ()
    squashing = next((layer.activation for layer in hidden if layer.activation in ("sigmoid", "tanh")), "")
    remedies = (
        Remedy(
            text="Initialize for the activation (Kaiming's standard deviation for ReLU).",
            change={"initialization.scheme": "kaiming"},
        ),
    )
    if squashing:
        relu = Remedy(text="Use ReLU.", change={"activation": "relu", "initialization.scheme": "kaiming"})
        remedies = (relu,)
    return (
        RULE.finding(
            "warning",
            f'The gradient vanishes: at layer "{first.name}" it is {number(first.gradient_std)}, '
            f'at layer "{last.name}" {number(last.gradient_std)}; the first layers hardly learn.',
            evidence={"first": first.gradient_std, "last": last.gradient_std, "ratio": ratio},
            cause=f"Each layer{' of ' + squashing if squashing else ''} passes on a smaller gradient than it gets.",
            remedies=remedies,
            where=made_at(first.name, observation.steps),
        ),
    )


RULE = Rule(
    code="OPT004",
    name="vanishing-gradient",
    needs=("initial_loss",),
    reads=("steps",),
    find=find,
    page=__doc__ or "",
    certain=lambda finding: 0 < finding.evidence["ratio"] < CERTAIN,
    confirmed_by=(Fork(changed="redrawn weights"), Fork(changed="ReLU")),
)
