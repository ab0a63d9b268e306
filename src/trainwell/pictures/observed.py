"""What a rule saw, as one picture: the one that shows it best of those that its observation has the numbers for."""

import math
from dataclasses import replace

from matplotlib.figure import Figure

from trainwell.core.records.finding import Finding
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import in_words
from trainwell.pictures.bars import class_counts
from trainwell.pictures.curves import learning_curves, small_sample
from trainwell.pictures.drawing import BLUE, GREEN, drawing, entitle, finished, rule, sheet
from trainwell.pictures.first_steps import first_steps, scale, steps_curve
from trainwell.pictures.initial import layer_statistics
from trainwell.pictures.layers import layer_gradients, layer_updates
from trainwell.pictures.lines import draw
from trainwell.pictures.sweep import sweep

BY_LAYER = ("ACT001", "ACT002", "ACT003", "ACT004", "INI001", "INI002", "INI003", "INI005", "OPT004", "OPT005")
"""Rules that compare the layers of the untouched network."""
MOVED = ("OPT006", "OPT011", "OPT018", "TRF002", "TRF003")
"""Rules about what a step moves."""
REACHED = ("OPT007",)
"""Rules about where a gradient comes."""
COUNTED = ("DAT004", "DAT005")
"""Rules about classes."""
WEIGHED = ("DAT005", "ACT007")
"""Rules whose other training has another loss, which cannot be compared with this one's."""
FEWEST = 5
"""Losses that make a line."""


def observed(observation: Observation, finding: Finding, *, near_miss: Observation | None = None) -> Figure | None:
    """The evidence of a finding.

    Args:
        observation: that the rule was asked about.
        finding: what it said.
        near_miss: of a training that is like it and has not the fault, to be drawn beside it where losses are.
    Returns:
        None where it is a matter of words or of a single number.
    """
    task = observation.data.task if observation.data else "classification"
    steps, start, forks, curves = observation.steps, observation.initial_loss, observation.forks, observation.curves
    if forks is not None and finding.confirmed_by is not None and finding.code not in WEIGHED:
        helped = tuple(each for each in forks.changed if in_words(each) == finding.confirmed_by.fork)
        return first_steps(forks.unchanged, replace(forks, changed=helped))
    if curves is not None and curves.train_loss.y:
        return learning_curves(curves, task)
    if observation.lr_sweep is not None:
        return sweep(observation.lr_sweep)
    if observation.small_sample is not None:
        return small_sample(observation.small_sample, task)
    if finding.code in BY_LAYER and start is not None and sum(layer.std > 0 for layer in start.layers) > 1:
        return layer_statistics(start)
    if steps is not None and len(steps.course) > 1 and finding.code in (*MOVED, *REACHED):
        marked = [finding.where.layer] if finding.where.layer else []
        return (layer_gradients if finding.code in REACHED else layer_updates)(steps.course, marked=marked)
    if steps is not None and sum(map(math.isfinite, steps.values)) >= FEWEST:
        other = near_miss.steps.values if near_miss is not None and near_miss.steps is not None else ()
        return _losses(steps.values, other)
    if observation.data is not None and finding.code in COUNTED:
        return class_counts(observation.data)
    return None


@drawing()
def _losses(values: tuple[float, ...], other: tuple[float, ...]) -> Figure:
    """Of a training with the fault, and of the near miss, as far as both go."""
    figure, (panel,) = sheet(270.0)
    lines = [("with the fault", values, BLUE, "-"), ("near miss", other[: len(values)], GREEN, (0, (4, 1.2)))]
    drawn = [
        draw(panel, steps_curve(name, loss), color=color, linestyle=style, label=name)
        for name, loss, color, style in lines
    ]
    scale(panel)
    entitle(panel, f"Loss of {len(values)} steps", y="loss", x="optimizer step", legend=2 if all(drawn) else 0)
    rule(panel)
    return finished(figure)
