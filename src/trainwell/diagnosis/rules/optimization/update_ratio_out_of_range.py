"""What it sees: steps that move the weights by a far smaller or larger share of their size than trainings usually do.

Why it hurts: weights that move by a hundred-thousandth at a step need as many steps to become others; weights that move
by a tenth forget with each batch what the last one taught. Warm-up, a last layer that begins at zero and the end of a
schedule look the same, and are as they should be: it is an info.

Evidence: the norm of what each step added to a layer's weights over the norm that they had, median over the steps; the
median layer counts. Layers that do not move at all are left out, since other rules speak of them.

Remedy: a higher rate where the ratio is small, a lower one where it is large. Try it on a few steps first: the loss
decides, the ratio alone does not.

References: notes, Choosing Hyperparameters, step 3; Karpathy 2015, CS231n, Babysitting the Learning Process ("this
ratio should be somewhere around 1e-3"); You et al. 2017, Large Batch Training of Convolutional Networks (the ratio as
what a layer's rate should be chosen by).
"""

import math
import statistics

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.places import called_at
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number

SMALLEST = 1e-5
"""A hundredth of the 1e-3 that is usual."""
LARGEST = 1e-1
"""A hundred times the usual."""
FEWEST = 3
"""Steps in which a layer must have moved."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """The median layer's ratio, and the layer that is farthest off."""
    course = observation.steps.course if observation.steps else ()
    ratios = {}
    for layer in course:
        moved = [each for each in layer.update if math.isfinite(each) and each > 0]
        if len(moved) >= FEWEST:
            ratios[layer.name] = statistics.median(moved)
    if not ratios:
        return ()
    middle = statistics.median(ratios.values())
    if SMALLEST <= middle <= LARGEST:
        return ()
    small = middle < SMALLEST
    name = min(ratios, key=lambda each: ratios[each] if small else -ratios[each])
    return (
        RULE.finding(
            "info",
            f"A step moves the weights by {number(middle)} of their size (median of {counted(len(ratios), 'layer')}), "
            f"{'less' if small else 'more'} than trainings do; around 0.001 is usual.",
            evidence={"ratio": middle, "layers": len(ratios), "farthest": ratios[name]},
            cause=f"The learning rate is {'low' if small else 'high'} for these weights, or it is warming up.",
            remedies=(
                Remedy(
                    text=f"Try {'ten times' if small else 'a tenth of'} the learning rate.",
                    change={"optimization.lr*": 10.0 if small else 0.1},
                ),
            ),
            where=called_at(name, observation.steps),
        ),
    )


RULE = Rule(
    code="OPT011",
    name="update-ratio-out-of-range",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
