"""What it sees: units of one layer that hold the same weights and keep doing so when they are trained.

Why it hurts: units with equal weights get equal gradients (for weights of zero: none); the layer is as good as one
unit.

Evidence: the share of units whose weights still equal another unit's after a few training steps of a copy. Equal
weights alone prove nothing: an output layer or a residual branch that starts at zero parts ways in its first step.

Remedy: draw the weights at random, with a standard deviation that fits the activation. Safe.

References: notes, Weight Initialization ("with zeros all gradients are the same"); Goodfellow et al. 2016, Deep
Learning, section 8.4 (breaking symmetry).
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.places import made_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import percent

IDENTICAL = 0.5
"""Share of a layer's units. Random weights give 0 and constant ones 1; a layer that is partly so (filters that
begin as copies on purpose) still has half of its units."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Name the layers whose units stay twins."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    twins = [layer for layer in layers if layer.identical_units > IDENTICAL]
    if not twins:
        return ()
    worst = max(twins, key=lambda layer: layer.identical_units)
    zero = worst.weight_std == 0
    others = f" (and in {len(twins) - 1} more)" if len(twins) > 1 else ""
    return (
        RULE.finding(
            "error",
            f'In layer "{worst.name}"{others}, {percent(worst.identical_units)} of the units have the same weights as '
            "another unit and keep them when trained: the layer is as good as a single unit.",
            evidence={"identical": worst.identical_units, "layers": len(twins)},
            cause=f"The weights begin {'at zero' if zero else 'at a constant'} instead of at random.",
            remedies=(
                Remedy(
                    text="Draw the weights at random (Kaiming's initialization for ReLU).",
                    change={"initialization.scheme": "kaiming"},
                ),
            ),
            where=made_at(worst.name, observation.steps),
        ),
    )


RULE = Rule(
    code="INI001",
    name="symmetric-weights",
    needs=("initial_loss",),
    reads=("steps",),
    find=find,
    page=__doc__ or "",
)
