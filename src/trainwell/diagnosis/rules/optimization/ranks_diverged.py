"""What it sees: processes that train one network together, and whose weights are no longer the same.

Why it hurts: each process then trains a network of its own on its share of the data; what is saved is one of them, and
the gradients that are averaged belong to different weights.

Evidence: the norm of each parameter, compared between all processes at steps 1, 10, 30 and then every hundredth. Copies
that take the same step along the same averaged gradient stay equal bit for bit; what is split between processes on
purpose (sharded weights) is not compared.

Remedy: wrap the network in `DistributedDataParallel`, and call it rather than the module inside; let every process
start from the same weights, draw the same dropped layers, and take the same number of steps. Safe.

References: PyTorch, "Distributed Data Parallel" (the wrapped module must be called); Li et al. 2020, PyTorch
Distributed: Experiences on Accelerating Data Parallel Training.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

APART = 1e-5
"""Largest difference of a parameter's norm, as a share of it: copies are equal to the last bit, and a gradient that was
averaged in another order on another device differs by float32's rounding, about 1e-7."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """The first step at which the processes were seen to differ."""
    seen = observation.steps.ranks if observation.steps else ()
    apart = [each for each in seen if each.apart > APART]
    if not apart:
        return ()
    first = apart[0]
    return (
        RULE.finding(
            "error",
            f"After step {first.step} the weights of the {first.ranks} processes differ, by up to "
            f"{number(first.apart)} of a parameter's norm: each trains a network of its own.",
            evidence={"step": first.step, "ranks": first.ranks, "apart": first.apart},
            cause="Their gradients are not averaged, they began from different weights, or one of them skips steps.",
            remedies=(
                Remedy(text="Wrap the network in DistributedDataParallel and call the wrapped one."),
                Remedy(text="Load or draw the same weights in every process before the first step."),
            ),
        ),
    )


RULE = Rule(
    code="OPT019",
    name="ranks-diverged",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
