"""Where a search begins: a network and settings by kind and size of the data."""

from dataclasses import dataclass, replace

from trainwell.core.records.hyperparameters import Hyperparameters
from trainwell.core.records.layout import InputLayout, OutputLayout
from trainwell.models.image_defaults import FEWEST_EPOCHS, MOST_EPOCHS, SAMPLES_SEEN, image_defaults
from trainwell.models.table_defaults import table_candidates

KEPT_SHARE = 0.55
"""Share of the budget that the kept training has."""
SECONDS_PER_STEP = 0.02
"""What a step is taken to cost where the budget is in steps: it decides how wide a network is, and nothing else."""


def defaults_for(
    input: InputLayout,  # noqa: A002 - the floor plan's word for it
    output: OutputLayout,
    *,
    samples: int,
    budget_seconds: float,
    budget_steps: int,
    name: str,
    steps_per_second: float | None = None,
) -> "Start":
    """Sensible starting points.

    Args:
        input: what the network is given.
        output: what it returns.
        samples: of the training part, >= 1.
        budget_seconds: of the whole run; 0 where the budget is in steps.
        budget_steps: of the whole run; 0 where the budget is in seconds.
        name: auto, or a model's name.
        steps_per_second: measured with the first point of what is returned without it; None: estimated.
    """
    if input.kind == "table":
        # How much of it the budget buys, the recipe plans from measured speed.
        found = table_candidates(input, output, samples=samples, budget_seconds=0.0)
        return Start(points=tuple(each.hyperparameters for each in found), epochs=float(found[0].epochs))
    seconds = KEPT_SHARE * (budget_seconds or budget_steps * SECONDS_PER_STEP)
    point = image_defaults(
        input, samples=samples, classes=output.size, budget_seconds=seconds, steps_per_second=steps_per_second
    )
    if name not in ("auto", point.architecture.name):
        point = replace(point, architecture=replace(point.architecture, name=name))
    epochs = float(min(max(2 * SAMPLES_SEEN / samples, 2 * FEWEST_EPOCHS), MOST_EPOCHS))
    return Start(points=(point,), epochs=float(epochs))


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a search begins.

    Attributes:
        points: hyperparameters that differ in kind, the likeliest first.
        epochs: passes beyond which a training is of no more use.
    """

    points: tuple[Hyperparameters, ...]
    epochs: float
