"""What it sees: a signal that grows from layer to layer.

Why it hurts: the outputs are enormous, so is the loss, and its gradients with it: the first steps destroy the
weights, and the network ends far from where a quiet start would have led it.

Evidence: the standard deviation of the last hidden layer's output over the first's. Layers whose output a norm
rescales are left out. A standard deviation that is not finite counts as grown. Where that says nothing, as with one
hidden layer: by how much a hidden layer's weights make a random input louder, which is told where weights drawn anew
come to a lower loss.

Remedy: an initialization that keeps the variance (Kaiming's for ReLU), or a norm. Safe.

References: notes, Weight Initialization; He et al. 2015, Delving Deep into Rectifiers, section 2.2.
"""

import math
from collections.abc import Sequence

from trainwell.core.records.evidence import LayerStatistic
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.places import made_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

GREW = 10.0
"""Last hidden layer over first. Measured on digits, 10 epochs, best of three rates: at 4.5 (3 ReLU layers)
validation loss is 0.99 in place of 0.21, at 5.9 (6 layers) 0.44 in place of 0.23, at 13 and above it is tens of
times as high. Kaiming's stays within 0.9 and 1.1; residual networks without norms grow up to a few times and
train: hence 10 and not 4."""

FEW, SHALLOW = 3, 4.0
"""Hidden layers, and last over first of no more than these: likewise; there are no residual branches to add up."""
CERTAIN = 8.0
"""Likewise, from which on it is told where no other training can be compared."""
BOUNDED = ("sigmoid", "tanh")
"""What large weights saturate: that is another rule's."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the last hidden layer with the first."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    # A table may be drawn as small as it likes.
    hidden = [layer for layer in layers[:-1] if not layer.normalized and not layer.kind.startswith("Embedding")]
    if len(hidden) < 2 or not hidden[0].std > 0:
        return _loud(hidden, observation)
    first, last = hidden[0], hidden[-1]
    lost = next((layer for layer in hidden if not math.isfinite(layer.std)), None)
    ratio = last.std / first.std
    if lost is None and ratio <= (SHALLOW if len(hidden) <= FEW else GREW):
        return _loud(hidden, observation)
    message = (
        f'The signal explodes: the outputs of layer "{lost.name}" are not finite.'
        if lost
        else f"The signal explodes: the outputs' standard deviation grows from {number(first.std)} at layer "
        f'"{first.name}" to {number(last.std)} at layer "{last.name}".'
    )
    return (
        RULE.finding(
            "warning",
            message,
            evidence={"first": first.std, "last": last.std, "ratio": ratio, "layers": len(hidden)},
            cause="The weights are too large: each layer hands on more than it is given.",
            remedies=REMEDIES,
            where=made_at((lost or last).name, observation.steps),
        ),
    )


def _loud(hidden: Sequence[LayerStatistic], observation: Observation) -> tuple[Finding, ...]:
    """The loudest hidden layer; whether that is on purpose, as of random features, another training tells."""
    gains = {
        layer.name: layer.weight_std * math.sqrt(layer.fan_in)
        for layer in hidden
        if layer.fan_in > 1 and math.isfinite(layer.weight_std) and layer.activation not in BOUNDED
    }
    loudest = max(gains, key=gains.__getitem__, default="")
    if gains.get(loudest, 0.0) <= SHALLOW:
        return ()
    return (
        RULE.finding(
            "warning",
            f'The weights of layer "{loudest}" make what they are given {number(gains[loudest])} times as large.',
            evidence={"gain": gains[loudest], "layers": len(hidden)},
            cause="The weights are too large: a layer of n inputs keeps their size with weights of 1/sqrt(n).",
            remedies=REMEDIES,
            where=made_at(loudest, observation.steps),
        ),
    )


REMEDIES = (
    Remedy(
        text="Initialize for the activation (Kaiming's standard deviation for ReLU).",
        change={"initialization.scheme": "kaiming"},
    ),
)

RULE = Rule(
    code="INI003",
    name="exploding-activations",
    needs=("initial_loss",),
    reads=("steps",),
    find=find,
    page=__doc__ or "",
    certain=lambda finding: "ratio" in finding.evidence and not finding.evidence["ratio"] <= CERTAIN,
    confirmed_by=(Fork(changed="redrawn weights"),),
)
