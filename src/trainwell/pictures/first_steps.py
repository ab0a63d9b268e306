"""The first optimizer steps of a script: their loss, beside that of the same steps with one thing changed."""

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainwell.core.records.curve import Curve
from trainwell.core.records.forks import Fork, Forks
from trainwell.pictures.drawing import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PINK,
    drawing,
    entitle,
    finished,
    is_loggable,
    nothing,
    rule,
    sheet,
)
from trainwell.pictures.lines import draw
from trainwell.pictures.text import number

LOGARITHMIC = 10.0
"""Losses that differ by more than this factor stand on a logarithmic axis: the lower ones would be a flat line."""

ROOM = 54
"""Characters of a legend that stand above a panel; a longer one stands below it."""


@drawing()
def first_steps(values: tuple[float, ...], forks: Forks | None = None) -> Figure:
    """The loss before each step; a cross where it ceased to be a finite number.

    Args:
        values: of the script as it is.
        forks: the same steps with one thing changed; None where none was tried.
    Returns:
        One panel.
    """
    changed = forks.changed if forks else ()
    lines = [("as it is", values), *((named(fork), fork.values) for fork in changed)]
    beside = sum(len(name) + 4 for name, _ in lines) <= ROOM
    figure, (panel,) = sheet(270.0 if beside else 270.0 + 17 * -(-len(lines) // 2))
    title = f"Loss of the first {len(values)} steps"
    colors = itertools.chain((BLUE,), itertools.cycle((GREEN, ORANGE, PINK, INK)))
    styles = itertools.chain(("-",), itertools.cycle(("-", (0, (4, 1.2)), (0, (1, 1)))))
    drawn = [
        draw(
            panel,
            steps_curve(name, loss),
            color=color,
            linestyle=style,
            label=name,
            zorder=3 if name == "as it is" else 2,
        )
        for (name, loss), color, style in zip(lines, colors, styles)
    ]
    if not any(drawn):
        nothing(panel, "No loss was a finite number.")
        entitle(panel, title)
        return finished(figure)
    scale(panel)
    panel.set_xlim(0.5, max(len(values), 1) + 0.5)
    entitle(panel, title, y="loss", x="optimizer step", legend=len(lines) if len(lines) > 1 and beside else 0)
    rule(panel)
    if not beside:
        figure.legend(loc="outside lower left", ncols=2)
    return finished(figure)


def named(fork: Fork) -> str:
    """What was changed, in a few words.

    Args:
        fork: one change.
    Returns:
        Words for a legend.
    Example:
        >>> named(Fork(changed="learning rate", factor=0.1)), named(Fork(changed="standardized input"))
        ('rate × 0.1', 'standardized input')
    """
    return f"rate × {number(fork.factor)}" if fork.changed == "learning rate" else fork.changed


def steps_curve(name: str, values: tuple[float, ...]) -> Curve:
    """Losses as a line, the first above 1.

    Args:
        name: of the line.
        values: the loss before each step.
    """
    return Curve(name=name, x=tuple(float(step) for step in range(1, len(values) + 1)), y=values)


def scale(panel: Axes) -> None:
    """A logarithmic axis, where losses differ by a factor of ten and more.

    Args:
        panel: with its lines.
    """
    heights = [float(y) for line in panel.get_lines() for y in np.asarray(line.get_ydata()).tolist()]
    if heights and all(map(is_loggable, heights)) and max(heights) > LOGARITHMIC * min(heights):
        panel.set_yscale("log")
