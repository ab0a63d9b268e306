"""What it sees: a loss of differences, the outputs and targets of which have shapes that fit each other only by
broadcasting: (N, 1) against (N,) makes N x N differences.

Why it hurts: every output is compared with the targets of all samples. The best that can be learnt is their mean, and
the loss falls to their variance and stays there, which looks like data without a signal.

Evidence: both shapes, and the one in which they were compared: it has more numbers than either. One target for all
outputs, as in a least-squares GAN, is no fault: it makes no more differences than there are outputs.

Remedy: give both one shape: `outputs.squeeze(1)`, or `targets.unsqueeze(1)`. Safe.

References: PyTorch's warning "Using a target size that is different to the input size"; Humbatova et al. 2020, Taxonomy
of Real Faults in Deep Learning Systems (wrong tensor shape).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import LossSeen
from trainwell.diagnosis.rule import Rule

DIFFERENCES = 1.0
"""For each output, or each target where those are more: what goes beyond compares different samples."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Losses that compared more pairs than there are outputs or targets."""
    seen = observation.steps.losses if observation.steps else ()
    return tuple(
        _finding(each)
        for each in seen
        if math.prod(each.compared) > DIFFERENCES * max(math.prod(each.outputs), math.prod(each.targets))
    )


def _finding(seen: LossSeen) -> Finding:
    outputs, targets, compared = (_shape(each) for each in (seen.outputs, seen.targets, seen.compared))
    narrow = len(seen.outputs) > 1 and seen.outputs[-1] == 1
    mend = "the outputs: `outputs.squeeze(-1)`" if narrow else "the targets: `targets.squeeze(-1)`"
    return RULE.finding(
        "error",
        f"The {seen.function} compares outputs of shape {outputs} with targets of shape {targets} as {compared}: "
        f"each output with the targets of all samples.",
        evidence={
            "outputs": math.prod(seen.outputs),
            "targets": math.prod(seen.targets),
            "compared": math.prod(seen.compared),
        },
        cause="Shapes that differ are broadcast to each other.",
        remedies=(Remedy(text=f"Give both one shape; here by taking the last dimension off {mend}."),),
        where=seen.where,
    )


def _shape(sizes: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


RULE = Rule(
    code="OPT016",
    name="broadcast-loss",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
