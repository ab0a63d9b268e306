"""Where a layer of the network is called in the user's lines."""

from dataclasses import replace

from trainwell.core.records.finding import Where
from trainwell.core.records.steps import Steps


def called_at(name: str, steps: Steps | None) -> Where:
    """The layer, with the line that called it first, where its steps were heard.

    Args:
        name: dotted.
        steps: the section; None where there is none.
    Example:
        >>> called_at("fc", None)
        Where(layer='fc', file=None, line=None)
    """
    layers = () if steps is None else steps.layers
    where = next((each.where for each in layers if each.name == name), Where())
    return replace(where, layer=name or None)
