"""Pictures of dropout's two forms."""

from collections.abc import Callable
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from trainwell.core.seeds import generator
from trainwell.pictures.drawing import BLUE, FAINT, GREEN, INK, ORANGE, drawing, entitle, finished, rule, sheet
from trainwell.regularization import draw_kept, dropout, plain_dropout

UNITS = 12


@drawing()
def dropout_with_test_scaling() -> Figure:
    """Plain dropout: testing multiplies by the probability to keep: the mean of training passes (outline: no drop)."""
    return _passes(plain_dropout, "Dropout: testing scales down")


@drawing()
def inverted_dropout() -> Figure:
    """Inverted dropout: training drops and scales up, so that testing is the identity (outline: no drop)."""
    return _passes(dropout, "Inverted dropout: training scales up")


def _passes(drop: Callable[..., Tensor], title: str, *, p: float = 0.5, passes: int = 2000, seed: int = 0) -> Figure:
    draw = generator(seed, "dropout")
    values = torch.rand(UNITS, generator=draw) + 0.3
    kept = draw_kept((UNITS,), p=p, generator=draw)
    one = drop(values, p=p, training=True, kept=kept)
    mean = torch.stack([drop(values, p=p, training=True, generator=draw) for _ in range(passes)]).mean(dim=0)
    figure, panels = sheet(240.0, columns=3, share="y")
    for panel, (name, shown, color) in zip(
        panels,
        (
            ("training pass", one, ORANGE),
            (f"mean of {passes:,}", mean, GREEN),
            ("test", drop(values, p=p, training=False), BLUE),
        ),
    ):
        outline: dict[str, Any] = {"fill": False, "edgecolor": INK, "alpha": FAINT, "linewidth": 1.0}
        panel.bar(range(UNITS), values.tolist(), width=0.8, **outline)
        panel.bar(range(UNITS), shown.tolist(), width=0.8, color=color)
        rule(panel)
        panel.set_xticks([0, UNITS // 2, UNITS - 1], ["1", str(UNITS // 2 + 1), str(UNITS)])
        entitle(panel, name, y="output, no unit" if panel is panels[0] else "", x="unit")
    panels[1].set_title(f"mean of {passes:,}", pad=22.0)
    panels[2].set_title("test", pad=22.0)
    figure.suptitle(f"{title}, p = {p:g}", x=0.01, ha="left", size=13, weight="bold")
    return finished(figure)
