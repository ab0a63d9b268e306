"""What it sees: hidden layers that are followed by sigmoids or tangents, which flatten out on both sides.

Why it hurts: at the flat ends no gradient passes, and a sigmoid's slope is at most a quarter even in the middle: behind
three of them a gradient has lost 98% before any weight has its say. One or two such layers train well.

Evidence: what follows each layer of the untouched network. That it costs anything is said only of networks with several
sigmoids one behind the other, and only where the same steps end much lower with ReLU in their place, and not as low
with the sigmoids kept and the weights drawn anew.

Remedy: ReLU in place of the sigmoids, with Kaiming's initialization; the last layer keeps its own. It changes the
network: weights that were trained with sigmoids do not fit it.

References: notes, Activation Functions (sigmoid: saturated neurons kill the gradients); Glorot and Bengio 2010,
Understanding the Difficulty of Training Deep Feedforward Neural Networks; Glorot et al. 2011, Deep Sparse Rectifier
Neural Networks.
"""

from trainwell.core.records.evidence import LayerStatistic
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import GAIN, confirmation, end, helped
from trainwell.diagnosis.places import called_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number

SATURATING = ("sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign")
SIGMOIDS = ("sigmoid", "hardsigmoid")
DEEP = 4
"""Sigmoids one behind the other. Measured on digits for OPT004: three lose little, four begin to."""
SHARE = 0.5
"""Of the hidden layers that are followed by anything: fewer are gates, as in recurrent cells and attention."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again with ReLU, and with other weights alone, where sigmoids stand deep."""
    sigmoids = [each for each in _hidden(observation) if each.activation in SIGMOIDS]
    if observation.steps is None or len(sigmoids) < DEEP:
        return ()
    return (Fork(changed="ReLU"), Fork(changed="redrawn weights"))


def find(observation: Observation) -> tuple[Finding, ...]:
    """Count them, and look at the forks."""
    hidden = _hidden(observation)
    saturating = [each for each in hidden if each.activation in SATURATING]
    if not saturating or len(saturating) < SHARE * len(hidden):
        return ()
    sigmoids = [each for each in saturating if each.activation in SIGMOIDS]
    forks = observation.forks
    relu = _relu(forks) if forks is not None and len(sigmoids) >= DEEP else None
    kinds = " and ".join(sorted({each.activation for each in saturating}))
    message = f"Behind {len(saturating)} of {counted(len(hidden), 'hidden layer')} stands {kinds}"
    evidence: dict[str, float] = {"layers": len(hidden), "saturating": len(saturating)}
    if forks is not None and relu is not None:
        message += (
            f", and with ReLU in its place {len(relu.values)} steps bring the loss to {number(end(relu.values))} where "
            f"it is {number(end(forks.unchanged))} now"
        )
        evidence |= {"loss": end(forks.unchanged), "loss_with_relu": end(relu.values)}
    return (
        RULE.finding(
            "info" if relu is None else "warning",
            f"{message}.",
            evidence=evidence,
            cause="These activations flatten out on both sides, and each passes on only a part of the gradient.",
            remedies=(Remedy(text="Use ReLU.", change={"activation": "relu", "initialization.scheme": "kaiming"}),),
            where=called_at((sigmoids or saturating)[0].name, observation.steps),
            confirmed_by=confirmation(forks, relu) if forks is not None and relu is not None else None,
        ),
    )


def _hidden(observation: Observation) -> tuple[LayerStatistic, ...]:
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    return tuple(each for each in layers[:-1] if each.activation)


def _relu(forks: Forks) -> Fork | None:
    """The fork with ReLU, where it helps and other weights alone do not do as well."""
    found = {each.changed: each for each in forks.changed}
    relu, redrawn = found.get("ReLU"), found.get("redrawn weights")
    if relu is None or not helped(forks, relu, gain=GAIN):
        return None
    if redrawn is not None and end(relu.values) > end(redrawn.values) - GAIN * abs(end(redrawn.values)):
        return None
    return relu


RULE = Rule(
    code="ACT003",
    name="saturating-hidden-activation",
    needs=("initial_loss",),
    reads=("steps", "forks"),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
