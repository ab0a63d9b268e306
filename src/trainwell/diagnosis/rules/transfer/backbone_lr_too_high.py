"""What it sees: a network that was trained before, whose loss rises above its beginning or above the best constant
answer's, and does not at a lower rate.

Why it hurts: the first steps throw away what the weights knew. The training goes on from there, as from weights that
were drawn, and rarely comes back to what it began with.

Evidence: that the network was trained before: running statistics of its batch norms, weights that were loaded, or a
first loss far below that of the best constant answer; the same steps again, from the same weights on the same batches,
at a tenth and at a hundredth of the rate.

Remedy: a lower rate for the weights that were trained before, in a group of their own, and the old one for what is new.
Safe.

References: Howard & Ruder 2018, Universal Language Model Fine-tuning, section 3.2 (discriminative fine-tuning);
Kornblith et al. 2019, Do Better ImageNet Models Transfer Better?, appendix A.
"""

import math

from trainwell.core.records.finding import Finding, Remedy, Where
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import SHORTEST, STUCK, confirmation, end, helped
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

BELOW = 0.1
"""Share of the first value by which the loss must come down at a lower rate: as in learning-rate-too-high."""
FOLD = 2.0
"""Times its beginning, and times what it comes to at a lower rate, that a loss must come to, where it begins so low
that nothing is left to come down by; and times the best of the lower rates that another of them may come to."""
KNOWS = 0.5
"""Share of the best constant answer's loss, below which a first loss says that the network was trained before."""
MOSTLY = 0.5
"""Share of the weights that must have been loaded."""
LOWER = (0.1, 0.01)
"""Factors of the rates that are tried: as in learning-rate-too-high."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again at lower rates, where a network that was trained before gets worse."""
    if not _is_lost(observation) or not _known(observation):
        return ()
    return tuple(Fork(changed="learning rate", factor=factor) for factor in LOWER)


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the training with those at lower rates."""
    forks = observation.forks
    if forks is None or not tries(observation):
        return ()
    better = _better(observation, forks)
    if not better:
        return ()
    mildest = max(better, key=lambda each: each.factor)
    first, last, lowest = forks.unchanged[0], end(forks.unchanged), end(mildest.values)
    loaded = observation.steps.loaded if observation.steps else None
    return (
        RULE.finding(
            "warning",
            f"The network was trained before ({_known(observation)}), and in {len(forks.unchanged)} steps its loss "
            f"goes from {number(first)} to {number(last)}; the same steps at {number(mildest.factor)} times the "
            f"learning rate bring it to {number(lowest)}.",
            evidence={"first": first, "last": last, "factor": mildest.factor, "last_at_factor": lowest},
            cause="The rate suits weights that were just drawn: its first steps throw away what these have learnt.",
            remedies=(
                Remedy(
                    text=f"Give the weights that were trained before {number(mildest.factor)} times the learning rate."
                ),
            ),
            where=loaded.where if loaded else Where(),
            confirmed_by=confirmation(forks, mildest),
        ),
    )


def _is_lost(observation: Observation) -> bool:
    """Whether the loss has risen, or says of the samples less than one answer for all would."""
    values = observation.steps.values if observation.steps else ()
    if len(values) < SHORTEST or not math.isfinite(values[0]):
        return False
    return end(values) > values[0] + STUCK * abs(values[0]) or end(values) > _best_constant(observation)


def _better(observation: Observation, forks: Forks) -> list[Fork]:
    """Lower rates that help, and that come near what the best of them comes to."""
    lower = [each for each in forks.changed if each.changed == "learning rate" and each.factor < 1]
    lowest = min((end(each.values) for each in lower if each.values), default=math.inf)
    first, best = forks.unchanged[0], _best_constant(observation)
    kept = FOLD * first if math.isnan(best) else best
    return [
        each
        for each in lower
        if helped(forks, each, gain=BELOW)
        or (
            len(each.values) >= SHORTEST
            and end(each.values) < min(kept, FOLD * lowest)
            and end(forks.unchanged) > FOLD * max(end(each.values), first)
        )
    ]


def _best_constant(observation: Observation) -> float:
    return math.nan if observation.initial_loss is None else observation.initial_loss.best_constant


def _known(observation: Observation) -> str:
    """How it is known that the network was trained before; empty: it is not."""
    steps, best = observation.steps, _best_constant(observation)
    if steps is None:
        return ""
    if any(each.trained and each.calls and not each.frozen for each in steps.norms):
        return "its batch norms have running statistics"
    weights = sum(each.weights for each in steps.layers if each.given)
    if steps.loaded is not None and steps.loaded.weights > MOSTLY * weights:
        return f"{steps.loaded.weights:,} of its weights were loaded"
    if steps.values and steps.values[0] < KNOWS * best:
        return f"its first loss lies far below the {number(best)} of the best constant answer"
    return ""


RULE = Rule(
    code="TRF002",
    name="backbone-lr-too-high",
    needs=("steps", "forks"),
    reads=("initial_loss",),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
