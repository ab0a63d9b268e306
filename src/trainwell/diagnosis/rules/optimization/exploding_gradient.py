"""What it sees: a gradient that grows on its way back to the first layers.

Why it hurts: one learning rate must serve all layers: what moves the last ones throws the first ones about.

Evidence: the standard deviation of the gradient with respect to the weights, at the first hidden layer over the
last, on one batch of the untouched network. An infinite gradient counts as grown. Of recurrent layers, by how much
their weights make a random state longer in one step.

Remedy: smaller initial weights, norms, clipped gradients. Safe.

References: notes, Weight Initialization; Pascanu et al. 2013, On the Difficulty of Training Recurrent Neural
Networks.
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.places import made_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

GREW = 30.0
"""First hidden layer over last. Measured on digits, 10 epochs, best of three rates: saturated tanh networks at 11
(6 layers) reach a validation loss of 1.3 in place of 0.15, at 100 (10 layers) 1.8. Healthy networks lie between
0.2 and 1.3, but a convolution's gradient sums over positions, of which the first layers have many times more:
hence 30."""

LONGER = 2.0
"""Gain of recurrent weights, from which on it is worth a second run: twice that of orthogonal ones, at which ten
steps of a sequence come to a thousand."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the first hidden layer with the last."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    hidden = [layer for layer in layers[:-1] if layer.gradient_std != 0 and not math.isnan(layer.gradient_std)]
    if len(hidden) < 2:
        return _recurrent(observation)
    first, last = hidden[0], hidden[-1]
    lost = next((layer for layer in hidden if math.isinf(layer.gradient_std)), None)
    ratio = first.gradient_std / last.gradient_std
    if lost is None and ratio <= GREW:
        return _recurrent(observation)
    message = (
        f'The gradient explodes: at layer "{lost.name}" it is infinite.'
        if lost
        else f'The gradient explodes: at layer "{last.name}" it is {number(last.gradient_std)}, '
        f'but {number(first.gradient_std)} at layer "{first.name}" before it.'
    )
    return (
        RULE.finding(
            "warning",
            message,
            evidence={"first": first.gradient_std, "last": last.gradient_std, "ratio": ratio},
            cause="The weights are too large: each layer passes on a larger gradient than it gets.",
            remedies=(
                Remedy(text="Clip the gradient's norm.", change={"optimization.clip": 1.0}),
                Remedy(
                    text="Initialize for the activation (Kaiming's standard deviation for ReLU).",
                    change={"initialization.scheme": "kaiming"},
                ),
            ),
            where=made_at((lost or first).name, observation.steps),
        ),
    )


def _recurrent(observation: Observation) -> tuple[Finding, ...]:
    """A script's recurrent layers, whose gradient grows from step to step of a sequence."""
    seen = observation.steps.recurrences if observation.steps else ()
    worst = max(seen, key=lambda each: each.gain, default=None)
    if worst is None or worst.gain <= LONGER:
        return ()
    return (
        RULE.finding(
            "warning",
            f'The recurrent weights of layer "{worst.name}" make its state {number(worst.gain)} times as long in each '
            "step of a sequence, and its gradient likewise on the way back.",
            evidence={"gain": worst.gain, "width": worst.width},
            cause=f"They are drawn too large for {worst.width} numbers: torch draws them with a gain of 0.58, "
            "orthogonal ones have 1.",
            remedies=(
                Remedy(text="Draw them orthogonal (`nn.init.orthogonal_` for each gate), or leave torch's own start."),
            ),
            where=made_at(worst.name, observation.steps),
        ),
    )


RULE = Rule(
    code="OPT005",
    name="exploding-gradient",
    needs=("initial_loss",),
    reads=("steps",),
    find=find,
    page=__doc__ or "",
    confirmed_by=(Fork(changed="redrawn weights"),),
)
