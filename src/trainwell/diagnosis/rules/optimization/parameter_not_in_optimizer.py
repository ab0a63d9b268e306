"""What it sees: a layer whose weights get gradients, in a network that learns, and that no optimizer was given; a
tensor that wants gradients and stands in a network without being one of its parameters; or an optimizer none of whose
parameters ever gets a gradient, while a network that it does not have gets them; backward passes that reach nothing
that any optimizer has; or a parameter by itself that none has.

Why it hurts: the layer stays as it was drawn. What comes after it learns to make do with random features, which goes
far enough to look like a network that is merely not very good.

Evidence: the layers in the order of their calls, which of them an optimizer has, and at which of them gradients
arrive. A layer that lies before all that learn is an info: someone may want its features as they are. And
nothing is said of a network of which no optimizer has anything where what it is given learns: it measures, as in a
perceptual loss.

Remedy: keep layers in an `nn.ModuleList` or `nn.ModuleDict`, never in a plain list or dict, and tensors in
`nn.Parameter`; make the optimizer after the last layer, from all of `model.parameters()`. Safe.

References: PyTorch, nn.ModuleList ("modules it contains are properly registered"); Humbatova et al. 2020, Taxonomy of
Real Faults in Deep Learning Systems.
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.networks import LayerSeen
from trainwell.core.records.seen.updates import AimlessSeen, OptimizerSeen, StraySeen
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

STEPS = 2
"""Of an optimizer that goes by nothing: at the first alone, its turn may not have come."""
AIMLESS = 5
"""Backward passes of a line that reach nothing that learns: fewer may be a trial before the training."""
LEAST = 1
"""Layers of the same network that an optimizer has: where there are none, the network is not meant to learn."""

APART = 10
"""Optimizer steps after which a network before another is asked: some train it later by itself."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each network, then each optimizer."""
    seen = observation.steps.layers if observation.steps else ()
    found = [
        _others(each, seen) for each in (observation.steps.optimizers if observation.steps else ()) if _idle(each, seen)
    ]
    found += _upstream(observation.steps) if observation.steps else []
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
        early = observation.steps is None or observation.steps.loaded is not None or observation.steps.taken < APART
        found.append(_finding(certain or [layer for _, layer in left], certain=bool(certain), meant=early))
    if not any(each.severity != "info" for each in found):
        aimless = observation.steps.aimless if observation.steps else ()
        found += [_nowhere(each) for each in aimless if each.passes >= AIMLESS]
        strays = observation.steps.strays if observation.steps else ()
        found += [_stray(each) for each in strays if each.passes >= AIMLESS]
    return tuple(found)


def _stray(seen: StraySeen) -> Finding:
    return RULE.finding(
        "error",
        f"Parameter `{seen.name}` gets gradients in {seen.passes} backward passes, but no optimizer has it: it stays "
        "as it was.",
        evidence={"passes": seen.passes, "weights": seen.weights},
        cause="It is part of no network, and the optimizer was made from a network's parameters alone.",
        remedies=(Remedy(text=f"Give it to the optimizer too: `[*model.parameters(), {seen.name}]`."),),
        where=seen.where,
    )


def _nowhere(seen: AimlessSeen) -> Finding:
    return RULE.finding(
        "error",
        f"{counted(seen.passes, 'backward pass', plural='backward passes')} here reached "
        f"{counted(seen.tensors, 'tensor')} of {seen.weights:,} numbers, and no optimizer has any of them."
        " They are what they were.",
        evidence={"passes": seen.passes, "tensors": seen.tensors, "weights": seen.weights},
        cause="The optimizer that is meant to follow this loss was made from another network's parameters.",
        remedies=(Remedy(text="Make an optimizer from the parameters of the network that this loss is of."),),
        where=seen.where,
    )


def _upstream(steps: Steps) -> list[Finding]:
    """Whole networks with random weights, before the first that an optimizer has, that get gradients for nobody."""
    first = next((layer.network for layer in steps.layers if layer.given), None)
    if first is None or steps.taken < APART or steps.loaded is not None:
        return []
    order = list(dict.fromkeys(layer.network for layer in steps.layers))
    before = [
        layer
        for layer in steps.layers
        if order.index(layer.network) < order.index(first) and layer.trainable and layer.reached and not layer.given
    ]
    whole = not any(layer.given for layer in steps.layers if layer.network in {each.network for each in before})
    return [_finding(before, certain=False, meant=False)] if before and whole else []


def _idle(optimizer: OptimizerSeen, layers: tuple[LayerSeen, ...]) -> bool:
    """Whether an optimizer goes by nothing, and what learns is nobody's."""
    nobody_s = [each for each in layers if each.reached and each.trainable]
    nothing = optimizer.steps >= STEPS and optimizer.parameters > 0 and optimizer.reached == 0
    return nothing and len(nobody_s) > 0 and not any(each.given for each in nobody_s)


def _others(optimizer: OptimizerSeen, layers: tuple[LayerSeen, ...]) -> Finding:
    weights = sum(each.weights for each in layers if each.reached and each.trainable)
    return RULE.finding(
        "error",
        f"None of the {counted(optimizer.parameters, 'parameter')} of the optimizer had a gradient in "
        f"{optimizer.steps} steps: gradients came to {weights:,} numbers of a network that it does not have.",
        evidence={"parameters": optimizer.parameters, "steps": optimizer.steps, "weights": weights},
        cause="The network was made anew, or copied, after the optimizer was made from its parameters.",
        remedies=(
            Remedy(text="Make the optimizer from the parameters of the network that is trained, after it is made."),
        ),
        where=optimizer.where,
    )


def _finding(layers: list[LayerSeen], *, certain: bool, meant: bool) -> Finding:
    # What a network does not know of comes first: it explains the others.
    first = min(layers, key=lambda layer: layer.registered)
    name = f'Layer "{first.name}"' if first.name else f"The {first.kind} that is called here"
    if first.kind == "tensor":
        name = f'Attribute "{first.name}"'
    more = counted(len(layers) - 1, "attribute" if first.kind == "tensor" else "layer")
    others = f", and {more} more," if len(layers) > 1 else ""
    weights = sum(layer.weights for layer in layers)
    if first.registered:
        cause = "The optimizer was made from other parameters, or before the layer was there."
        remedy = "Make the optimizer from all of `model.parameters()`, after the last layer."
        if not certain:
            cause = "The optimizer was made from the parameters of later layers."
            remedy = "Freeze what is to stay, with `requires_grad_(False)`: its gradients are computed for nothing."
            if not meant:
                cause += " The others hold random numbers, and stay so."
                remedy = "Make the optimizer from all of `model.parameters()`."
    elif first.kind == "tensor":
        cause = "It is a plain attribute, and `parameters()` finds only an `nn.Parameter` that is an attribute itself."
        remedy = "Make it an `nn.Parameter`; several, an `nn.ParameterList`."
    else:
        cause = "It stands in a plain list or dict, or is made anew at each call: `parameters()` does not find it."
        remedy = "Keep it in an `nn.ModuleList` or `nn.ModuleDict`, made once."
    return RULE.finding(
        "error" if certain else "info" if meant else "warning",
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
