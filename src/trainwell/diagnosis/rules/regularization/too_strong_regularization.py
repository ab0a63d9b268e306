"""What it sees: first steps that end no better than the best constant answer, under strong weight decay or dropout, and
that come down without them.

Why it hurts: the decay takes away in each step more than the gradient adds, or so many numbers are left out that what
is left says nothing of the sample. The network answers all samples alike.

Evidence: decay times rate, which plain steps take away of each weight, and the probability of dropout; the loss beside
that of the best constant answer; the same steps again, from the same weights on the same batches, without either.
Both raise the loss of a training, and on purpose: of one that has come down, the script's own evaluations are compared.

Remedy: a hundredth of the decay, or a dropout of 0.1 to 0.5. Safe: where that is too little, the validation loss rises
while the training loss falls (REG001).

References: notes, Regularization; Srivastava et al. 2014, Dropout, section 7.3; Loshchilov & Hutter 2019, Decoupled
Weight Decay Regularization.
"""

import math
import statistics
from collections.abc import Sequence

from trainwell.core.records.finding import Confirmed, Finding, Remedy, Where
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.networks import DropoutSeen
from trainwell.core.records.seen.updates import DecaySeen
from trainwell.diagnosis.forked import GAIN, confirmation, end, helped, in_words, is_stuck
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

SHARE = 1e-4
"""Decay times rate, from which on a stuck training is tried without: common recipes lie between
1e-6 (AdamW, 0.01 at 1e-4) and 1e-4 (SGD, 5e-4 at 0.1)."""
ADAPTIVE = 0.01
"""Decay that is added to the gradient before an adaptive optimizer divides by its size, likewise: there it counts as
much as the gradient, whatever the rate. Usual are 1e-5 to 5e-4; 0.01 and 0.1 are AdamW's, which decays apart."""
DROPPED = 0.6
"""Probability of dropout, likewise: 0.5 is the most that is common. Source: Srivastava et al. 2014, section 7.3, where
the test error is flat between 0.2 and 0.6."""
WORSE = 0.3
"""Share of the loss of evaluations by which they must be lower without dropout, where something was learnt with it:
early in a training, a usual dropout costs less."""
BELOW = 0.1
"""Share of its beginning and end by which the loss must come down further without the decay."""
LEARNT = 0.05
"""Share of the best constant answer's loss by which a loss must lie below it for something to have been learnt."""
FALLEN = 0.15
"""Share of its beginning, or of the loss at constant zero where that is lower, that a loss must not have come down by:
of a small first batch, the best constant answer's loss is lower than of all samples."""
WITHOUT = Fork(changed="no weight decay or dropout")


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again without either, where one is strong, and nothing was learnt or evaluations tell."""
    suspects = _decay(observation) or _dropout(observation)
    told = _learnt_nothing(observation) or math.isfinite(_tested(observation))
    return (WITHOUT,) if suspects and told else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the training with the one without either, and with those at lower rates."""
    forks = observation.forks
    if forks is None or not tries(observation):
        return ()
    without = next((each for each in forks.changed if each.changed == WITHOUT.changed), None)
    decay, dropout = _decay(observation), _dropout(observation)
    if without is not None and not _learnt_nothing(observation):
        return _said_of_tests(observation, without, decay, dropout)
    # Dropout makes any loss a little higher, decay does not.
    gain = BELOW if dropout is None else GAIN
    if without is None or not helped(forks, without, gain=gain):
        return ()
    better = end(without.values)
    others = [end(each.values) for each in forks.changed if each.changed == "learning rate"]
    if others and min(others) < better - GAIN * abs(better):
        return ()
    first, last = forks.unchanged[0], end(forks.unchanged)
    numbers: dict[str, float] = {"first": first, "last": last, "last_without": better}
    said, named, remedies = _suspected(decay, dropout)
    return (
        RULE.finding(
            "warning",
            f"With {said}, the loss goes from {number(first)} to {number(last)} in "
            f"{len(forks.unchanged)} steps; the same steps without bring it to {number(better)}.",
            evidence=numbers | named,
            cause="The regularization takes away more than the gradient brings.",
            remedies=remedies,
            where=_where(decay, dropout),
            confirmed_by=confirmation(forks, without),
        ),
    )


def _said_of_tests(
    observation: Observation, without: Fork, decay: DecaySeen | None, dropout: DropoutSeen | None
) -> tuple[Finding, ...]:
    """Something was learnt; evaluations, in which nothing is left out, say how much less than without."""
    before, after = _tested(observation), _tested(observation, without)
    if not after < before - WORSE * abs(before):
        return ()
    said, named, remedies = _suspected(decay, dropout)
    return (
        RULE.finding(
            "warning",
            f"With {said}, the script's own evaluations come to a loss of {number(before)}; the same steps without "
            f"bring them to {number(after)}.",
            evidence={"tested": before, "tested_without": after} | named,
            cause="The regularization takes away more than the gradient brings.",
            remedies=remedies,
            where=_where(decay, dropout),
            confirmed_by=Confirmed(fork=in_words(without), loss_with=after, loss_without=before, n=len(without.values)),
        ),
    )


def _suspected(
    decay: DecaySeen | None, dropout: DropoutSeen | None
) -> tuple[str, dict[str, float], tuple[Remedy, ...]]:
    """What is strong, in words and in numbers, and what to do."""
    named: dict[str, float] = {}
    said, remedies = [], []
    if decay is not None:
        said.append(f"weight decay {number(decay.decay)} at learning rate {number(decay.share / decay.decay)}")
        named |= {"decay": decay.decay, "share": decay.share}
        remedies.append(Remedy(text=f"Lower the weight decay to {number(decay.decay / 100)}, or lower."))
    if dropout is not None:
        said.append(f"dropout {number(dropout.probability)}")
        named["dropout"] = dropout.probability
        remedies.append(Remedy(text="Lower the dropout to 0.1, and raise it only where the network overfits."))
    return " and ".join(said), named, tuple(remedies)


def _tested(observation: Observation, without: Fork | None = None) -> float:
    """Loss of the script's own last evaluations, as it is or of the other training; NaN: there were none.

    Where none is said to be of held-out data, what is evaluated of each class stands for it.
    """
    steps = observation.steps
    if steps is None:
        return math.nan
    if math.isfinite(steps.tested):
        return steps.tested if without is None else without.tested
    by_class: Sequence[float] = steps.classes.tested_losses if steps.classes else ()
    known = [each for each in (by_class if without is None else without.tested_by_class) if math.isfinite(each)]
    return statistics.fmean(known) if known else math.nan


def _learnt_nothing(observation: Observation) -> bool:
    """Whether the loss ends no better than the best constant answer's, or, where that is not known, is stuck."""
    values = observation.steps.values if observation.steps else ()
    start = observation.initial_loss
    if not values or start is None or math.isnan(start.best_constant):
        return is_stuck(values)
    level = min(values[0], start.zero_output)
    return end(values) > max((1 - LEARNT) * start.best_constant, (1 - FALLEN) * level)


def _decay(observation: Observation) -> DecaySeen | None:
    seen = observation.steps.decay if observation.steps else ()
    strong = [each for each in seen if each.share > SHARE or (each.adaptive and each.decay >= ADAPTIVE)]
    return max(strong, key=lambda each: each.share, default=None)


def _dropout(observation: Observation) -> DropoutSeen | None:
    seen = observation.steps.dropout if observation.steps else ()
    strong = [each for each in seen if each.probability > DROPPED and each.training]
    return max(strong, key=lambda each: each.probability, default=None)


def _where(decay: DecaySeen | None, dropout: DropoutSeen | None) -> Where:
    if dropout is not None and (decay is None or decay.where.line is None):
        return Where(layer=dropout.layer, file=dropout.where.file, line=dropout.where.line)
    return decay.where if decay is not None else Where()


RULE = Rule(
    code="REG004",
    name="too-strong-regularization",
    needs=("steps", "forks"),
    reads=("initial_loss",),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
