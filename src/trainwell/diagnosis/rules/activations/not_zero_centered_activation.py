"""What it sees: hidden activations that give no number below 0, with no norm behind them: sigmoid, ReLU, softplus.

Why it hurts: all inputs of the next layer have one sign, so the gradients of all weights of a unit have one sign too
for each sample, and a step along them zigzags. Most networks of ReLUs train well all the same: it is a convention, and
why tanh once took the place of the sigmoid.

Evidence: what follows each layer of the untouched network, and whether a norm centres it again. It fits almost every
working network of ReLUs, and is an info for that reason: no training was seen to suffer from it alone.

Remedy: batch norm or layer norm behind the layer, or an activation around zero. It changes the network, and is worth it
for sigmoids alone.

References: notes, Activation Functions (sigmoid outputs are not zero-centered); LeCun et al. 1998, Efficient BackProp,
section 4.4.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.places import called_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

ONE_SIGN = ("sigmoid", "hardsigmoid", "relu", "relu6", "softplus")
LEAST = 1
"""Layers of which it is told: a convention is broken by one."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Count them."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    found = [each for each in layers[:-1] if each.activation in ONE_SIGN and not each.normalized]
    if len(found) < LEAST:
        return ()
    kinds = " and ".join(sorted({each.activation for each in found}))
    change = {"activation": "tanh"} if kinds == "sigmoid" else {}
    return (
        RULE.finding(
            "info",
            f"Behind {counted(len(found), 'hidden layer')} stands {kinds}, which gives nothing below 0, and no norm "
            "centres it.",
            evidence={"layers": len(found)},
            cause="The activation has one sign.",
            remedies=(
                Remedy(text="Put a norm behind the layer, or use an activation around zero.", change=dict(change)),
            ),
            where=called_at(found[0].name, observation.steps),
        ),
    )


RULE = Rule(
    code="ACT004",
    name="not-zero-centered-activation",
    needs=("initial_loss",),
    reads=("steps",),
    find=find,
    page=__doc__ or "",
)
