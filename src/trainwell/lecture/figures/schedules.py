"""Pictures of the learning-rate schedules."""

from matplotlib.figure import Figure

from trainwell.core.records.curve import Curve
from trainwell.pictures.drawing import BLUE, INK, drawing, entitle, finished, rule, sheet
from trainwell.pictures.lines import draw
from trainwell.schedules import SCHEDULES

STEPS = 1000
WARMUP = 100


@drawing()
def step() -> Figure:
    """Step: the rate is divided by ten at a half and at three quarters of the training."""
    return _rates("step", "Step")


@drawing()
def cosine() -> Figure:
    """Cosine: half a wave from the peak to zero."""
    return _rates("cosine", "Cosine")


@drawing()
def linear() -> Figure:
    """Linear: a straight line from the peak to zero."""
    return _rates("linear", "Linear")


@drawing()
def inverse_sqrt() -> Figure:
    """Inverse square root: falls fast, then ever more slowly, and needs no end."""
    return _rates("inverse_sqrt", "Inverse square root")


@drawing()
def constant() -> Figure:
    """Constant: the same rate at every step."""
    return _rates("constant", "Constant")


def _rates(name: str, title: str) -> Figure:
    figure, (panel,) = sheet(215.0)
    for warmup, style, label in (
        (0, {"color": BLUE}, "no warm-up"),
        (WARMUP, {"color": INK, "linewidth": 1.2, "linestyle": (0, (4, 2))}, f"{WARMUP} steps of warm-up"),
    ):
        schedule = SCHEDULES[name](peak_lr=0.1, total_steps=STEPS, warmup_steps=warmup)
        steps = range(STEPS)
        curve = Curve(name=label, x=tuple(map(float, steps)), y=tuple(schedule(number) for number in steps))
        draw(panel, curve, label=label, **style)
    panel.set_ylim(0.0, 0.11)
    rule(panel)
    entitle(panel, title, y="learning rate, no unit", x="optimizer step", legend=2)
    return finished(figure)
