"""What it sees: layers at the beginning of a network, whose weights an optimizer has and want gradients, and at which
none ever arrives, while later layers get theirs.

Why it hurts: the optimizer passes over what has no gradient. These layers stay as they were drawn, and the later ones
learn from random features.

Evidence: the layers in the order of their calls, and which of them have a gradient before any of the steps. Layers that
are called within `torch.no_grad()` are not asked: someone meant them to stay.

Remedy: take out what cuts the graph between them: `.detach()`, `.data`, `.numpy()`, `torch.tensor(...)` of an output.
Where the layers are meant to stay, freeze them with `requires_grad_(False)`. Safe.

References: PyTorch, Autograd mechanics; Humbatova et al. 2020, Taxonomy of Real Faults in Deep Learning Systems.
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import LayerSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

LEAST = 2
"""Optimizer steps: in the first alone, a layer's turn may not have come."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each network."""
    steps = observation.steps
    if steps is None or steps.taken < LEAST:
        return ()
    found = []
    for network in dict.fromkeys(layer.network for layer in steps.layers):
        layers = [layer for layer in steps.layers if layer.network == network]
        first = next((place for place, layer in enumerate(layers) if layer.reached), 0)
        cut = [layer for layer in layers[:first] if layer.given and layer.trainable]
        if cut:
            found.append(_finding(cut, layers[first], taken=steps.taken))
    return tuple(found)


def _finding(cut: list[LayerSeen], reached: LayerSeen, *, taken: int) -> Finding:
    last, others = cut[-1], len(cut) - 1
    more = f" and {counted(others, 'layer')} before it" if others else ""
    return RULE.finding(
        "error",
        f"No gradient reaches layer {_called(last)}{more} in {taken} steps, though {_called(reached)} after it has "
        "one: "
        f"{sum(layer.weights for layer in cut):,} numbers that the optimizer has stay as they were.",
        evidence={"layers": len(cut), "weights": sum(layer.weights for layer in cut), "steps": taken},
        cause="Between the two the graph is cut: by `.detach()`, `.data`, NumPy, or a new tensor of the old numbers.",
        remedies=(Remedy(text="Take out what cuts the graph, or freeze the layers with `requires_grad_(False)`."),),
        where=Where(layer=last.name or None, file=last.where.file, line=last.where.line),
    )


def _called(layer: LayerSeen) -> str:
    return f'"{layer.name}"' if layer.name else f"({layer.kind})"


RULE = Rule(
    code="OPT007",
    name="parameter-without-gradient",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
