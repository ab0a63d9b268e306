"""What it sees: steps of an optimizer whose gradient is the sum of a new one and the one that the step before was taken
along already.

Why it hurts: each step goes along all gradients since the beginning: directions that were right long ago never leave,
and the longer the training, the larger the steps.

Evidence: the steps at which what the optimizer was given is the old gradient plus what came in since, and not what came
in alone, up to a factor (clipping and loss scaling change the length); how much of it is old. A gradient that is
gathered over several backward passes and cleared after the step is no fault and is not taken for one.

Remedy: `optimizer.zero_grad()` once between two steps, before `backward()` or after `step()`. Safe.

References: PyTorch, "Zeroing out gradients in PyTorch"; Humbatova et al. 2020, Taxonomy of Real Faults in Deep Learning
Systems.
"""

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.updates import GradientsSeen
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import percent

LEAST = 3
"""Steps: what happened twice may be meant, as a second step along the same gradient is."""
MOST_CLEARED = 0.25
"""Share of the steps at which the gradient was cleared: a loop that forgets it forgets it always, or clears it once an
epoch."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask each optimizer."""
    seen = observation.steps.gradients if observation.steps else ()
    return tuple(
        RULE.finding(
            "error",
            f"At {_of_all(each)} steps that can tell, the gradient still held the one of the step before: "
            f"it made up {percent(each.share)} of the length.",
            evidence={"steps": each.steps, "kept": each.kept, "share": each.share},
            cause="No `zero_grad()` is called between two steps, so every backward pass adds to what is there."
            if each.kept == each.steps
            else "`zero_grad()` is called once in many steps, and between, every backward pass adds to what is there.",
            remedies=(Remedy(text="Call `optimizer.zero_grad()` before `backward()`."),),
            where=each.where,
        )
        for each in seen
        if each.kept >= LEAST and each.steps - each.kept <= MOST_CLEARED * each.steps
    )


def _of_all(seen: GradientsSeen) -> str:
    return f"all {seen.kept}" if seen.kept == seen.steps else f"{seen.kept} of the {seen.steps}"


RULE = Rule(
    code="OPT008",
    name="gradient-not-zeroed",
    needs=("steps",),
    find=find,
    page=__doc__ or "",
)
