"""What it sees: a trained network none of whose outputs depends on what it is given; a batch whose samples are all the
same numbers though their targets differ; or the same batch at every step though the loader was asked for others.

Why it hurts: what does not reach the outputs cannot be learnt from. The loss comes down as far as the best constant
answer, or, with one batch for all steps, to that batch by heart.

Evidence: after the last step, in test mode, all samples of a batch are exchanged in three ways, and of all outputs not
a single bit changes. Before the first steps that is healthy (an output layer of zeros), so some must have been taken,
and weights must have moved. Of a batch: what the loader handed out, and what the network was given, number by number.

Remedy: look where the input is lost: a variable of another name, an overwritten `x`, a product with 0, whole numbers
divided; for the same batch: use the loop's own batch, and make the loader's iterator once, before the loop. Safe.

References: Karpathy 2019, A Recipe for Training Neural Networks ("input-independent baseline").
"""

from trainwell.core.records.dependence import InputDependence
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import RepeatedSeen
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.forked import confirmation, helped
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number

LEAST = 8
"""Optimizer steps, before which an output layer may still be what it was drawn as, and a batch may repeat by chance."""
CHANGED = 0
"""Outputs that may change where none depends on the inputs."""
BELOW = 0.1
"""Share of its beginning and end by which the loss must come down further at a lower rate, for the rate to be the
cause: as in learning-rate-too-high."""
LOWER = (Fork(changed="learning rate", factor=0.1), Fork(changed="learning rate", factor=0.01))


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again at lower rates, where units may have died of the steps."""
    steps, seen = observation.steps, observation.inputs
    return LOWER if steps is not None and seen is not None and _is_ignored(seen, steps) else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask for the batches that the network was given, and then what it makes of one."""
    steps, seen = observation.steps, observation.inputs
    if steps is None or steps.taken < LEAST:
        return ()
    if seen is not None and seen.alike:
        return (_alike(seen),) if seen.targets_differ else ()
    if steps.repeated is not None and steps.repeated.steps >= LEAST:
        return (_repeated(steps.repeated),)
    return (_ignored(seen, steps, observation.forks),) if seen is not None and _is_ignored(seen, steps) else ()


def _is_ignored(seen: InputDependence, steps: Steps) -> bool:
    # A rate of 0 leaves an output layer of zeros as it is.
    moved = any(update > 0 for layer in steps.course for update in layer.update)
    return steps.taken >= LEAST and not seen.alike and seen.changed <= CHANGED and moved


def _ignored(seen: InputDependence, steps: Steps, forks: Forks | None) -> Finding:
    lower = [each for each in forks.changed if each.changed == "learning rate" and each.factor < 1] if forks else []
    better = [each for each in lower if forks and helped(forks, each, gain=BELOW)]
    mildest = max(better, key=lambda each: each.factor, default=None)
    if mildest is None or forks is None:
        cause = "The input is lost on the way to the outputs, or all units of a layer are dead."
        remedy = "Print the deviation over the batch after each layer: where it is 0, the input is lost."
    else:
        cause = "The steps are so large that all units of a layer are dead after them."
        remedy = f"Multiply the learning rate by {number(mildest.factor)}."
    return RULE.finding(
        "error",
        f"After {steps.taken} steps not a single bit of the network's {seen.numbers:,} outputs changes when all "
        f"{seen.samples:,} samples of the batch are exchanged: it ignores its input.",
        evidence={"samples": seen.samples, "numbers": seen.numbers, "changed": seen.changed, "steps": steps.taken},
        cause=cause,
        remedies=(Remedy(text=remedy),),
        where=seen.where,
        confirmed_by=confirmation(forks, mildest) if forks and mildest else None,
    )


def _alike(seen: InputDependence) -> Finding:
    return RULE.finding(
        "error",
        f"All {seen.samples:,} samples of the first batch are the same numbers, though their targets differ.",
        evidence={"samples": seen.samples, "numbers": seen.numbers, "changed": seen.changed},
        cause="Something before the network makes all samples alike: whole numbers divided, a wrong index, a scale "
        "of 0.",
        remedies=(Remedy(text="Print a few samples right before the network is called, and before each step there."),),
        where=seen.where,
    )


def _repeated(seen: RepeatedSeen) -> Finding:
    numbers = {"steps": seen.steps, "batches": seen.batches, "length": seen.length}
    if seen.anew:
        return RULE.finding(
            "error",
            f"At each of {seen.steps} steps the loader is begun anew and hands out its first batch, the same each "
            f"time: the other {seen.length - 1:,} are never seen.",
            evidence=numbers,
            cause="`next(iter(loader))` stands in the loop: `iter` begins at the first batch again.",
            remedies=(Remedy(text="Loop over the loader, or make its iterator once, before the loop."),),
            where=seen.where,
        )
    if not seen.batches:
        return RULE.finding(
            "error",
            f"At each of {seen.steps} steps the same part is taken here, of {seen.length:,} such parts that there are, "
            "and the network is given nothing else.",
            evidence=numbers,
            cause="What says which part it is does not change from step to step.",
            remedies=(Remedy(text="Draw the samples, or move the window on, within the loop."),),
            where=seen.where,
        )
    return RULE.finding(
        "error",
        f"At each of {seen.steps} steps the network is given the same batch, though the loader hands out "
        f"{counted(seen.batches, 'batch', 'batches')} meanwhile.",
        evidence=numbers,
        cause="The network is called with a variable of before the loop, not with the loop's own.",
        remedies=(Remedy(text="Give the network the batch that the loop has just been handed."),),
        where=seen.where,
    )


RULE = Rule(
    code="DEP003",
    name="input-ignored",
    needs=("steps",),
    reads=("inputs", "forks"),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
