"""What it sees: a layer whose weights get gradients, in a network that learns, and that no optimizer was given.

Why it hurts: the layer stays as it was drawn. What comes after it learns to make do with random features, which goes
far enough to look like a network that is merely not very good.

Evidence: the layers in the order of their calls, which of them an optimizer has, and at which of them gradients
arrive. A layer that lies before all that learn is an info: someone may want its features as they are. So is nothing
said of a network of which no optimizer has anything: it measures, as in a perceptual loss.

Remedy: keep layers in an `nn.ModuleList` or `nn.ModuleDict`, never in a plain list or dict; make the optimizer after
the last layer, from all of `model.parameters()`. Safe.

References: PyTorch, nn.ModuleList ("modules it contains are properly registered"); Humbatova et al. 2020, Taxonomy of
Real Faults in Deep Learning Systems.
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import LayerSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

LEAST = 1
"""Layers of the same network that an optimizer has: where there are none, the network is not meant to learn."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each network."""
    seen = observation.steps.layers if observation.steps else ()
    found = []
    for network in dict.fromkeys(layer.network for layer in seen):
        layers = [layer for layer in seen if layer.network == network]
        given = [place for place, layer in enumerate(layers) if layer.given]
        left = [
            (place, layer)
            for place, layer in enumerate(layers)
            if layer.trainable and layer.reached and not layer.given
        ]
        if len(given) < LEAST or not left:
            continue
        certain = [layer for place, layer in left if place > given[0] or not layer.registered]
        found.append(_finding(certain or [layer for _, layer in left], certain=bool(certain)))
    return tuple(found)


def _finding(layers: list[LayerSeen], *, certain: bool) -> Finding:
    # What a network does not know of comes first: it explains the others.
    first = min(layers, key=lambda layer: layer.registered)
    name = f'Layer "{first.name}"' if first.name else f"The {first.kind} that is called here"
    others = f", and {counted(len(layers) - 1, 'layer')} more," if len(layers) > 1 else ""
    weights = sum(layer.weights for layer in layers)
    if first.registered:
        cause = "The optimizer was made from other parameters, or before the layer was there."
        remedy = "Make the optimizer from all of `model.parameters()`, after the last layer."
        if not certain:
            cause = "The optimizer was made from the parameters of later layers."
            remedy = "Freeze what is to stay, with `requires_grad_(False)`: its gradients are computed for nothing."
    else:
        cause = "It stands in a plain list or dict, or is made anew at each call: `parameters()` does not find it."
        remedy = "Keep it in an `nn.ModuleList` or `nn.ModuleDict`, made once."
    return RULE.finding(
        "error" if certain else "info",
        f"{name}{others} gets gradients, but no optimizer has its weights: {weights:,} numbers stay as they were.",
        evidence={"layers": len(layers), "weights": weights},
        cause=cause,
        remedies=(Remedy(text=remedy),),
        where=Where(layer=first.name or None, file=first.where.file, line=first.where.line),
    )


RULE = Rule(
    code="OPT006",
    name="parameter-not-in-optimizer",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
