"""What it sees: a loss, the outputs and targets of which have shapes that fit each other only by broadcasting: (N, 1)
against (N,) makes N x N differences, or N x N products where the loss is written by hand.

Why it hurts: every output is compared with the targets of all samples. The best that can be learnt is their mean, and
the loss falls to their variance and stays there, which looks like data without a signal.

Evidence: both shapes, and the one in which they were compared: it has more numbers than either. One target for all
outputs, as in a least-squares GAN, is no fault: it makes no more differences than there are outputs. Of what is
written by hand, only as many numbers on both sides with an axis less on one of them are told, whose products or
differences all go into the loss one by one: distances of all pairs, which are meant, have axes put in for them.

Remedy: give both one shape: `outputs.squeeze(1)`, or `targets.unsqueeze(1)`. Safe.

References: PyTorch's warning "Using a target size that is different to the input size"; Humbatova et al. 2020, Taxonomy
of Real Faults in Deep Learning Systems (wrong tensor shape).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.losses import BroadcastSeen, LossSeen
from trainwell.diagnosis.rule import Rule

DIFFERENCES = 1.0
"""For each output, or each target where those are more: what goes beyond compares different samples."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Losses that compared more pairs than there are outputs or targets."""
    steps = observation.steps
    if steps is None:
        return ()
    by_torch = (_finding(each, each.function) for each in steps.losses if _is_spread(each))
    by_hand = (_finding(each, f"{each.operation} in the loss") for each in steps.broadcasts if _is_spread(each))
    return (*by_torch, *by_hand)


def _is_spread(seen: LossSeen | BroadcastSeen) -> bool:
    return math.prod(seen.compared) > DIFFERENCES * max(math.prod(seen.outputs), math.prod(seen.targets))


def _finding(seen: LossSeen | BroadcastSeen, what: str) -> Finding:
    outputs, targets, compared = (_shape(each) for each in (seen.outputs, seen.targets, seen.compared))
    narrow = len(seen.outputs) > 1 and seen.outputs[-1] == 1
    mend = "the outputs: `outputs.squeeze(-1)`" if narrow else "the targets: `targets.squeeze(-1)`"
    return RULE.finding(
        "error",
        f"The {what} compares outputs of shape {outputs} with targets of shape {targets} as {compared}: "
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
