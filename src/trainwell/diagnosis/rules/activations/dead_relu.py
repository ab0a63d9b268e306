"""What it sees: a layer of ReLUs in which most units are 0 for every sample of a batch.

Why it hurts: the gradient of a unit that is 0 everywhere is 0: it does not learn, and never comes back.

Evidence: the share of such units in each layer, on one batch of the untouched network. Some units of any wide ReLU
layer are 0 on one batch and alive on the next.

Remedy: biases of zero and Kaiming's initialization; a smaller learning rate if they died in training; else Leaky
ReLU, which does not die. The first is safe; another activation changes the network.

References: notes, Activation Functions (ReLU; Leaky ReLU "will not die"); Lu et al. 2020, Dying ReLU and
Initialization.
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, percent

DEAD = 0.5
"""Share of a layer's units. Measured on digits (2 and 4 hidden layers of 128, biases made negative, best of three
rates): up to 0.28 nothing is lost beyond the noise, at 0.8 the validation loss doubles, at 1 nothing is learnt."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Name the layer with the most dead units."""
    layers = observation.initial_loss.layers if observation.initial_loss else ()
    bad = [layer for layer in layers if layer.dead > DEAD]
    if not bad:
        return ()
    worst = max(bad, key=lambda layer: layer.dead)
    more = f" (and in {counted(len(bad) - 1, 'more layer')})" if len(bad) > 1 else ""
    return (
        RULE.finding(
            "warning",
            f'Behind layer "{worst.name}"{more}, {percent(worst.dead)} of the ReLU units are 0 for '
            "every sample: they get no gradient and cannot learn.",
            evidence={"dead": worst.dead, "mean": worst.mean, "std": worst.std, "layers": len(bad)},
            cause="The layer's outputs are almost all negative: its biases or its inputs push them down.",
            remedies=(
                Remedy(
                    text="Set the biases to zero and initialize the weights with Kaiming's standard deviation.",
                    change={"initialization.scheme": "kaiming"},
                ),
                Remedy(text="Use Leaky ReLU, which does not die.", change={"activation": "leaky_relu"}),
            ),
            where=Where(layer=worst.name),
        ),
    )


RULE = Rule(
    code="ACT002",
    name="dead-relu",
    needs=("initial_loss",),
    find=find,
    page=__doc__ or "",
    confirmed_by=(Fork(changed="redrawn weights"),),
)
