"""What it sees: a sigmoid or tanh whose outputs mostly lie where its slope is below a tenth of its largest.

Why it hurts: a saturated unit passes almost no gradient; all that lies before it learns slowly or not at all.

Evidence: the share of such outputs in each layer, on one batch of the untouched network, or at
each line that calls one: a tangent nine tenths of whose numbers are saturated there is told as it is.

Remedy: smaller initial weights (Xavier's), normalized inputs; else ReLU. Xavier's is safe; another activation
changes the network.

References: notes, Activation Functions (saturated neurons kill the gradients: the worst problem in practice);
Glorot and Bengio 2010, Understanding the Difficulty of Training Deep Feedforward Neural Networks.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.places import made_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number, percent

SATURATED = 0.4
"""Share of a layer's outputs. Measured on digits with tanh (2 and 4 hidden layers of 128, best of three rates):
0.04 under Xavier's initialization, no loss up to 0.27; from 0.48 on validation accuracy falls by 2 to 5 points,
at 0.75 by 10 to 20."""

NEARLY_ALL = 0.9
"""Share of the numbers of a line's tanh, from which on it is told as it is. A sigmoid may be a mask."""

FEWEST = 100
"""Numbers that a line's share is read from."""

CERTAIN = 0.8
"""Share of a layer's outputs, from which on it is told where no other training can be compared."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Name the most saturated layer."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    bad = [layer for layer in layers if layer.saturated > SATURATED]
    if not bad:
        return _called(observation)
    worst = max(bad, key=lambda layer: layer.saturated)
    more = f" (and in {counted(len(bad) - 1, 'more layer')})" if len(bad) > 1 else ""
    return (
        RULE.finding(
            "warning",
            f'Behind layer "{worst.name}"{more}, {percent(worst.saturated)} of the {worst.activation} outputs are '
            "saturated: almost no gradient passes through them.",
            evidence={"saturated": worst.saturated, "std": worst.std, "layers": len(bad)},
            cause=f"The layer's outputs are too large (standard deviation {number(worst.std)}) for {worst.activation}.",
            remedies=(
                Remedy(
                    text="Initialize with Xavier's standard deviation, 1/sqrt(fan_in), and normalize the inputs.",
                    change={"initialization.scheme": "xavier"},
                ),
                Remedy(text="Use ReLU.", change={"activation": "relu", "initialization.scheme": "kaiming"}),
            ),
            where=made_at(worst.name, observation.steps),
        ),
    )


def _called(observation: Observation) -> tuple[Finding, ...]:
    """A line of a script that calls one on numbers that no layer puts out as they are."""
    seen = observation.steps.squashes if observation.steps else ()
    bad = [each for each in seen if each.saturated > SATURATED and each.numbers >= FEWEST]
    if not bad:
        return ()
    worst = max(bad, key=lambda each: each.saturated)
    proven = worst.activation == "tanh" and worst.saturated > NEARLY_ALL
    return (
        RULE.finding(
            "error" if proven else "warning",
            f"{percent(worst.saturated)} of the numbers that a {worst.activation} puts out are saturated before the "
            "first step: almost no gradient passes through them.",
            evidence={"saturated": worst.saturated, "numbers": worst.numbers},
            cause=f"What the {worst.activation} is given is too large.",
            remedies=(
                Remedy(
                    text=f"Give the {worst.activation} numbers of deviation 1: no factor, smaller weights, or a norm."
                ),
            ),
            where=worst.where,
        ),
    )


RULE = Rule(
    code="ACT001",
    name="saturated-activation",
    needs=("initial_loss",),
    reads=("steps",),
    find=find,
    page=__doc__ or "",
    certain=lambda finding: finding.evidence["saturated"] >= CERTAIN,
    confirmed_by=(
        Fork(changed="redrawn weights"),
        Fork(changed="ReLU"),
        Fork(changed="squashed numbers of deviation 1"),
    ),
)
