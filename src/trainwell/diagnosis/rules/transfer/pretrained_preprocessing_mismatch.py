"""What it sees: a network that was trained before, whose first batch norm is given numbers far from its running
statistics, and a training that comes down further where the inputs are standardized.

Why it hurts: features that were learnt on inputs of one scale mean nothing on inputs of another: pictures from 0 to 255
where 0 to 1 was meant, or the mean not subtracted. In test mode the norms do not make up for it.

Evidence: before the first step, the running statistics of the first batch norm; the first batch's mean and deviation
there, in running deviations, the median over channels; the same steps again with each feature of the input brought to
mean 0 and deviation 1. Other pictures than those of before are no fault, and a distance alone is an info, unless both
mean and deviation are out of all proportion: in test mode that tells, and no training loss does.

Remedy: the preprocessing that the weights were trained with; it stands beside them (`weights.transforms()` in
torchvision, `AutoImageProcessor` in Hugging Face). Safe.

References: PyTorch, torchvision, "Models and pre-trained weights" (each has its own transforms); notes, Data
Preprocessing.
"""

import math

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.networks import NormSeen
from trainwell.diagnosis.forked import confirmation, helped, is_alike
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

OFFSET = 2.0
"""Running deviations between both means, median over channels: of other pictures of the same preprocessing, under 1."""
APART = 3.0
"""Times that one deviation is the other: from 0 to 1 where the mean was to be subtracted and the deviation divided by
is 4.4 for ImageNet's (0.225), from 0 to 255 over a thousand."""

STANDARDIZED = Fork(changed="standardized input")
SURE = 3.0
"""Running deviations between both means, and times that one deviation is the other, from which on it is told as it
is."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again with standardized inputs."""
    return (STANDARDIZED,) if _far(observation) else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask the first batch norm of each network."""
    far, forks = _far(observation), observation.forks
    if not far:
        return ()
    worst = far[0]
    made = [each for each in forks.changed if is_alike(each, STANDARDIZED)] if forks else []
    better = [each for each in made if forks and helped(forks, each)]
    sure = worst.offset > SURE and not 1 / SURE < worst.scale < SURE
    return (
        RULE.finding(
            "warning" if better or sure else "info",
            f'The network was trained before, and batch norm "{worst.name}" is given numbers whose mean lies '
            f"{number(worst.offset)} of its running deviations away, and whose deviation is {number(worst.scale)} "
            "times the running one.",
            evidence={"offset": worst.offset, "scale": worst.scale},
            cause="The inputs are not preprocessed as they were when the weights were trained.",
            remedies=(Remedy(text="Preprocess the inputs as the weights' authors did: same range, mean, deviation."),),
            where=Where(layer=worst.name or None, file=worst.where.file, line=worst.where.line),
            confirmed_by=confirmation(forks, better[0]) if forks and better else None,
        ),
    )


def _far(observation: Observation) -> list[NormSeen]:
    """The first batch norm of each network that was trained before, where it is given other numbers."""
    seen = observation.steps.norms if observation.steps else ()
    return [each for each in seen if each.first and each.trained and _is_far(each)]


def _is_far(norm: NormSeen) -> bool:
    if math.isnan(norm.offset) or math.isnan(norm.scale):
        return False
    return norm.offset > OFFSET or not 1 / APART < norm.scale < APART


RULE = Rule(
    code="TRF001",
    name="pretrained-preprocessing-mismatch",
    needs=("steps",),
    reads=("forks",),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
