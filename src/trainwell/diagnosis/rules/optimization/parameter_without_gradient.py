"""What it sees: layers at the beginning of a network, or a whole network before another, whose weights an optimizer has
and want gradients, and at which none ever arrives, or none but 0, while later layers get theirs.

Why it hurts: the optimizer passes over what has no gradient. These layers stay as they were drawn, and the later ones
learn from random features.

Evidence: the layers in the order of their calls, and which of them have a gradient before any of the steps; the lines
at which `detach` and functions without a slope were called between. What is called within `torch.no_grad()` inside the
network counts too, where an optimizer has it and nothing was loaded that should stay: someone who means it to stay
freezes it. What is called so as a whole is not asked, nor is a copy of other layers, as a target network is.

Remedy: take out what cuts the graph between them: `.detach()`, `.data`, `.numpy()`, `torch.no_grad()`, `argmax`,
`round`, `torch.tensor(...)` of an output. Where the layers are meant to stay, freeze them with `requires_grad_(False)`.
Safe.

References: PyTorch, Autograd mechanics; Humbatova et al. 2020, Taxonomy of Real Faults in Deep Learning Systems.
"""

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.networks import CutSeen, LayerSeen
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted

LEAST = 2
"""Optimizer steps: in the first alone, a layer's turn may not have come."""
APART = 10
"""Optimizer steps after which a network before another is asked: some train it later by itself."""
FLAT = ("round", "floor", "ceil", "trunc", "sign", "heaviside")
"""Functions whose slope is 0 everywhere."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each network, then all of them as one."""
    steps = observation.steps
    if steps is None or steps.taken < LEAST:
        return ()
    numbers = dict.fromkeys(layer.network for layer in steps.layers)
    found = [each for number in numbers for each in _within(number, steps)]
    return tuple(found) or _before(steps) or _apart(steps) or _stopped(steps)


def _within(network: int, steps: Steps) -> list[Finding]:
    """Layers before the first of a network that learns."""
    layers = [(place, layer) for place, layer in enumerate(steps.layers) if layer.network == network]
    # What holds others is called before them, and its own weights may be used after them.
    around = {layer.name for _, layer in layers if _holds_others(layer, layers)}
    reached = next((at for at, (_, layer) in enumerate(layers) if layer.reached and layer.name not in around), 0)
    cut = [(place, layer) for place, layer in layers[:reached] if _should_learn(layer, steps) and not layer.reached]
    if cut:
        return [_finding(cut, layers[reached], steps)]
    sloped = next((at for at, (_, layer) in enumerate(layers) if layer.sloped), 0)
    flat = [(place, layer) for place, layer in layers[:sloped] if _should_learn(layer, steps) and layer.reached]
    between = _between(flat, layers[sloped], steps, FLAT) if flat else None
    return [_finding(flat, layers[sloped], steps)] if between else []


def _before(steps: Steps) -> tuple[Finding, ...]:
    """Networks before the first that learns, where a line was seen that cuts them off."""
    layers = list(enumerate(steps.layers))
    reached = next((at for at, (_, layer) in enumerate(layers) if layer.reached), 0)
    cut = [(place, layer) for place, layer in layers[:reached] if _should_learn(layer, steps) and not layer.quiet]
    if not cut or steps.taken < APART or _between(cut, layers[reached], steps) is None:
        return ()
    return (_finding(cut, layers[reached], steps),)


def _holds_others(layer: LayerSeen, layers: list[tuple[int, LayerSeen]]) -> bool:
    return any(
        other.name.startswith(f"{layer.name}." if layer.name else "") and other is not layer for _, other in layers
    )


def _apart(steps: Steps) -> tuple[Finding, ...]:
    """Layers that are used without gradients alone, beside others of the same optimizers that learn."""
    left = [each for each in steps.layers if each.apart and each.given and each.trainable and not each.reached]
    if not left or steps.taken < APART or steps.loaded is not None or not any(each.reached for each in steps.layers):
        return ()
    first, weights = left[0], sum(each.weights for each in left)
    more = f", and {counted(len(left) - 1, 'layer')} more," if len(left) > 1 else ""
    read = first.kind == "data"
    return (
        RULE.finding(
            "error",
            f"No gradient reaches layer {_called(first)}{more} in {steps.taken} steps: "
            f"{'its numbers are' if read else 'it is'} used without any. {weights:,} numbers that the optimizer has "
            "stay as they were.",
            evidence={"layers": len(left), "weights": weights, "steps": steps.taken},
            cause="Its numbers are read as `.data`, or detached, which autograd knows nothing of."
            if read
            else "It is only called within `torch.no_grad()`.",
            remedies=(Remedy(text="Take out what keeps gradients away, or freeze it with `requires_grad_(False)`."),),
            where=Where(layer=first.name or None, file=first.where.file, line=first.where.line),
        ),
    )


def _stopped(steps: Steps) -> tuple[Finding, ...]:
    """Single weights of layers that learn otherwise."""
    left = steps.stopped
    if not left or steps.taken < APART or steps.loaded is not None:
        return ()
    first, weights = left[0], sum(each.weights for each in left)
    more = f" and at {counted(len(left) - 1, 'more tensor')} of the kind" if len(left) > 1 else ""
    return (
        RULE.finding(
            "error",
            f'No gradient comes at "{first.name}"{more} in {steps.taken} steps: what is computed with it passes '
            f"`{first.function}` here. {weights:,} numbers that the optimizer has stay as they were.",
            evidence={"layers": len(left), "weights": weights, "steps": steps.taken},
            cause=f"No gradient goes through `{first.function}`.",
            remedies=(Remedy(text="Take out what cuts the graph, or freeze it with `requires_grad_(False)`."),),
            where=Where(layer=first.name.rpartition(".")[0] or None, file=first.where.file, line=first.where.line),
        ),
    )


def _should_learn(layer: LayerSeen, steps: Steps) -> bool:
    return layer.given and layer.trainable and not layer.apart and not (layer.quiet and steps.loaded is not None)


def _between(
    cut: list[tuple[int, LayerSeen]], reached: tuple[int, LayerSeen], steps: Steps, functions: tuple[str, ...] = ()
) -> CutSeen | None:
    """The last line between the two at which no gradient goes through."""
    lines = [each for each in steps.cuts if cut[-1][0] < each.place <= reached[0]]
    fitting = [each for each in lines if each.function in functions or not functions]
    return fitting[-1] if fitting else None


def _finding(cut: list[tuple[int, LayerSeen]], reached: tuple[int, LayerSeen], steps: Steps) -> Finding:
    last, others, weights = cut[-1][1], len(cut) - 1, sum(layer.weights for _, layer in cut)
    line = _between(cut, reached, steps)
    more = f" and {counted(others, 'layer')} before it" if others else ""
    gradient = "gradient but 0" if last.reached else "gradient"
    cause = "Between the two the graph is cut: by `.detach()`, `.data`, NumPy, or a new tensor of the old numbers."
    if line is not None:
        cause = f"`{line.function}` is called between the two, and no gradient goes through it."
    elif last.quiet:
        cause = "It is called within `torch.no_grad()`."
    at = line.where if line is not None else last.where
    return RULE.finding(
        "error",
        f"No {gradient} reaches layer {_called(last)}{more} in {steps.taken} steps, though {_called(reached[1])} after "
        f"it has one: {weights:,} numbers that the optimizer has stay as they were.",
        evidence={"layers": len(cut), "weights": weights, "steps": steps.taken},
        cause=cause,
        remedies=(Remedy(text="Take out what cuts the graph, or freeze the layers with `requires_grad_(False)`."),),
        where=Where(layer=last.name or None, file=at.file, line=at.line),
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
