"""What it sees: a class with many times the training samples of another; in a script, one that is not learnt for it.

Why it hurts: always naming the largest class already scores well, so accuracy flatters; the small classes get few
of the gradients. Many such data sets are learnt well nevertheless: an info.

Evidence: the training samples of the largest and the smallest class, and what naming the largest alone would score. Of
a script: the loss of each class at the end, where that of a rare one is more than half of what answering all classes
alike costs; and the same steps with the loss of each class weighted by the inverse of its number of samples.

Remedy: read the figures of each class beside the accuracy; weigh the classes or oversample the small ones if their
recall matters as much. Both shift the predicted probabilities.

References: Buda et al. 2018, A Systematic Study of the Class Imbalance Problem in Convolutional Neural Networks.
"""

import math
import statistics
from collections.abc import Sequence

from trainwell.core.records.finding import Confirmed, Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import in_words
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number, percent

RATIO = 10.0
"""Largest to smallest class: where Buda et al. 2018 (figure 4) begin to see a loss on their harder data."""

TRIED = 4.0
"""Largest to smallest class of a script, from which it is asked what each class costs: the loss decides, not this."""
UNLEARNT = 0.5
"""Of what it costs to answer all classes alike, above which a class is not learnt."""
RECALLED = 0.5
"""Share of a class's samples that are answered right, from which on it is learnt, whatever the others cost it: weights
lower a rare class's loss always."""
FEWEST = 5
"""Samples of a class in the last third of the steps, from which its loss is read."""
GAIN, LEARNT = 0.05, 0.1
"""Share of the mean of the classes' losses by which weights must lower it, and of the loss of the rare class."""
BINARY = (
    "If it matters as much, give the loss `pos_weight=negatives / positives`, or draw the rare one more often "
    "(`WeightedRandomSampler`)."
)
SEVERAL = (
    "If they matter as much, weigh the classes in the loss (`weight=counts.sum() / counts`), or draw the rare ones "
    "more often (`WeightedRandomSampler`)."
)
"""Remedies."""
ALIKE = Fork(changed="classes counted alike")


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's steps again, each class counted alike, where a rare one is not learnt."""
    return (ALIKE,) if _unlearnt(observation) is not None else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare the largest class with the smallest that is there; in a script, what each of them costs."""
    if observation.steps is not None:
        return _in_steps(observation)
    counts = observation.data.class_counts.get("train", ()) if observation.data else ()
    there = [count for count in counts if count > 0]
    if observation.data is None or len(there) < 2 or max(there) < RATIO * min(there):
        return ()
    names = observation.data.output.names
    large, small = names[counts.index(max(there))], names[counts.index(min(there))]
    share = max(there) / sum(there)
    return (
        RULE.finding(
            "info",
            f'The classes are unequal: "{large}" has {max(there):,} training samples, "{small}" {min(there):,}; '
            f'always answering "{large}" would be right for {percent(share)}.',
            evidence={"largest": max(there), "smallest": min(there), "ratio": max(there) / min(there), "share": share},
            cause=f"The data holds {number(max(there) / min(there))} times as many samples of one class as of another.",
            remedies=(Remedy(text="Read each class's recall, not the accuracy alone."),),
        ),
    )


def _unlearnt(observation: Observation) -> int | None:
    """The rare class of a script that costs most, where that is more than answering all classes alike."""
    seen = observation.steps.classes if observation.steps else None
    if seen is None or seen.weighted or sum(count > 0 for count in seen.counts) < 2:
        return None
    samples, losses, right = (
        (seen.tested, seen.tested_losses, seen.tested_right) if seen.tested else (seen.late, seen.losses, seen.right)
    )
    mean = sum(seen.counts) / len(seen.counts)
    rare = [
        each
        for each, count in enumerate(seen.counts)
        if 0 < count < mean
        and TRIED * count <= max(seen.counts)
        and samples
        and samples[each] >= FEWEST
        and right[each] < RECALLED * samples[each]
    ]
    worst = max(rare, key=lambda each: losses[each], default=None)
    return worst if worst is not None and losses[worst] > UNLEARNT * math.log(len(seen.counts)) else None


def _in_steps(observation: Observation) -> tuple[Finding, ...]:
    steps, forks, worst = observation.steps, observation.forks, _unlearnt(observation)
    if steps is None or steps.classes is None or worst is None or forks is None:
        return ()
    seen = steps.classes
    made = next((each for each in forks.changed if each.changed == ALIKE.changed), None)
    if made is None:
        return ()
    losses, others = (seen.tested_losses, made.tested_by_class) if seen.tested else (seen.losses, made.by_class)
    if len(others) != len(losses):
        return ()
    before, after, guessed = _mean(losses), _mean(others), math.log(len(losses))
    if not (others[worst] < (1 - LEARNT) * losses[worst] and after < (1 - GAIN) * before):
        return ()
    rare, large = seen.counts[worst], max(seen.counts)
    tested = " in evaluations" if seen.tested else ""
    return (
        RULE.finding(
            "warning",
            f"Class {worst} has {percent(rare / sum(seen.counts))} of the samples, and is hardly learnt for it: "
            f"one of it costs {number(losses[worst])}{tested}, where to answer all classes alike costs "
            f"{number(guessed)}. The same steps with each class counted alike bring it to {number(others[worst])}, and "
            f"the mean of the classes from {number(before)} to {number(after)}.",
            evidence={
                "largest": large,
                "smallest": rare,
                "ratio": large / rare,
                "loss_of_class": losses[worst],
                "loss_of_class_alike": others[worst],
                "loss_of_classes": before,
                "loss_of_classes_alike": after,
                "guessed": guessed,
            },
            cause=f"The loss counts each sample alike, and another class has {number(large / rare)} times as many.",
            remedies=(Remedy(text=BINARY if seen.binary else SEVERAL),),
            where=seen.where,
            confirmed_by=Confirmed(fork=in_words(made), loss_with=after, loss_without=before, n=len(made.values)),
        ),
    )


def _mean(losses: Sequence[float]) -> float:
    """Of the classes that came."""
    return statistics.fmean([each for each in losses if not math.isnan(each)])


RULE = Rule(
    code="DAT005",
    name="class-imbalance",
    needs=(),
    reads=("data", "steps", "forks"),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
