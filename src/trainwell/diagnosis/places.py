"""Where a layer of the network is called, and where it got its weights, in the user's lines."""

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


def made_at(name: str, steps: Steps | None) -> Where:
    """The layer, with the line that gave it its first weights, else with the line that called it first.

    Args:
        name: dotted.
        steps: the section; None where there is none.
    Example:
        >>> made_at("fc", None)
        Where(layer='fc', file=None, line=None)
    """
    made = () if steps is None else steps.made
    where = next((each.where for each in made if each.layer == name), None)
    return called_at(name, steps) if where is None else replace(where, layer=name or None)
