"""What a training with one thing changed says of the same training without."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from trainwell.core.records.finding import Confirmed, Finding
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.steps import Steps

STUCK = 0.05
"""Share of its first value that a loss has not come down by. Chosen, and yet to be measured on many healthy trainings;
one whose rate is still warming up is stuck too, and no lower rate betters it."""

GAIN = 0.1
"""Share of the lower of a loss's beginning and end by which another training must end lower still. Batches and weights
are the same, so chance is not the measure. Chosen; `benchmarks/detect.py` tells which warnings stand at it on healthy
scripts."""

LEAST = 0.03
"""Share of the lower of both first values, and of what the best constant answer costs, by which it must end lower, at
least: where a loss has come down to a thirtieth of that, another third of the rest is a matter of a few more steps."""

SHORTEST = 9
"""Steps: of fewer, the last third is a step or two, and says more of its batch than of the training."""


def are_opposed(steps: Steps) -> bool:
    """Whether several networks or optimizers work for or against each other, and a lower loss of one proves nothing.

    Args:
        steps: of a training.
    """
    return steps.quiet_networks > 0 or len(steps.gradients) != 1


def end(values: Sequence[float]) -> float:
    """Median of the last third of a loss; infinite where a value of it is not finite.

    Args:
        values: the loss before each step, at least one.
    Example:
        >>> end([5.0, 4.0, 3.0, 2.0, 1.0, 3.0]), end([1.0, float("nan")])
        (2.0, inf)
    """
    last = values[-max(len(values) // 3, 1) :]
    return statistics.median(last) if all(map(math.isfinite, last)) else math.inf


def is_stuck(values: Sequence[float], *, chance: float = math.nan) -> bool:
    """Whether a loss has come down neither from its first value nor below chance, or is lost.

    Args:
        values: the loss before each step.
        chance: loss of the best constant output; NaN: not known.
    Example:
        >>> is_stuck([2.3] * 12), is_stuck([2.3 - 0.05 * step for step in range(12)])
        (True, False)
    """
    if len(values) < SHORTEST or not math.isfinite(values[0]):
        return False
    level = min(values[0], chance) if math.isfinite(chance) else values[0]
    return end(values) > level - STUCK * abs(level)


def helped(forks: Forks, changed: Fork, *, gain: float = GAIN) -> bool:
    """Whether a changed training ends clearly below both where the unchanged one ends and where it began.

    Args:
        forks: with the unchanged one.
        changed: one of them.
        gain: by how much, as a share of the lower of the two.
    Example:
        >>> better = Fork(changed="learning rate", factor=0.1, values=tuple(2.3 - 0.1 * step for step in range(12)))
        >>> helped(Forks(unchanged=(2.3,) * 12, changed=(better,)), better)
        True
    """
    unchanged, values = forks.unchanged, changed.values
    if min(len(unchanged), len(values)) < SHORTEST or not math.isfinite(unchanged[0]):
        return False
    level = min(end(unchanged), unchanged[0])
    # What a constant answer costs says better what a loss is measured in than where it happens to begin.
    scale = min(abs(unchanged[0]), abs(values[0]), forks.chance if forks.chance > 0 else math.inf)
    return end(values) < level - max(gain * abs(level), LEAST * scale)


def in_words(fork: Fork) -> str:
    """What a fork changed.

    Example:
        >>> in_words(Fork(changed="learning rate", factor=0.1))
        '0.1 times the learning rate'
    """
    if fork.changed == "fewer outputs":
        return f"the first {fork.factor:g} outputs alone"
    return f"{fork.factor:g} times the {fork.changed}" if fork.factor != 1 else fork.changed


def confirmation(forks: Forks, fork: Fork) -> Confirmed:
    """A fork that supports a cause, as a finding names it.

    Args:
        forks: that were made.
        fork: one of them.
    """
    return Confirmed(
        fork=in_words(fork), loss_with=end(fork.values), loss_without=end(forks.unchanged), n=len(fork.values)
    )


def confirmed(finding: Finding, wanted: Sequence[Fork], forks: Forks | None, *, gain: float = GAIN) -> Finding:
    """A warning, where one of the wanted forks helps; else what the warning says is no more than an info.

    Args:
        finding: of a rule that suspects.
        wanted: what would support it.
        forks: that were made; None: none.
        gain: by which share of the loss one must help.
    """
    made = () if forks is None else forks.changed
    fitting = [each for each in made if any(is_alike(each, other) for other in wanted)]
    helping = [] if forks is None else [each for each in fitting if helped(forks, each, gain=gain)]
    if forks is None or not helping:
        return replace(finding, severity="info")
    best = min(helping, key=lambda each: end(each.values))
    return replace(finding, confirmed_by=confirmation(forks, best))


def is_alike(fork: Fork, other: Fork) -> bool:
    """Whether two change the same thing.

    Args:
        fork: one.
        other: the other.
    """
    return (fork.changed, fork.factor) == (other.changed, other.factor)
