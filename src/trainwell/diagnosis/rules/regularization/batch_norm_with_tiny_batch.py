"""What it sees: batch norms in training mode that normalize over very few numbers a channel, and a training that comes
down further where each sample is normalized by itself.

Why it hurts: the mean and the deviation of two or three numbers are mostly chance. What a sample becomes depends on
which others it is drawn with, and of two numbers a norm leaves nothing but which is the larger.

Evidence: numbers a channel (samples times positions), the median over the calls, and how many independent ones they are
worth: positions of one picture are much alike, which shows in how far a channel's mean lies from that of other batches.
Below three it is said as it is. From three to five, the same steps again, from the same weights on the same batches,
with each batch norm replaced by a norm over the channels of a sample; without that, few numbers are an info.

Remedy: larger batches (gathering gradients over several does not help: each is normalized by itself), or `nn.GroupNorm`
or `nn.LayerNorm` in its place. Safe, but weights that were trained with batch norm do not fit another norm.

References: Wu & He 2018, Group Normalization, section 4.1 (batches of 2 cost 10 points of error on ImageNet); Ioffe
2017, Batch Renormalization.
"""

import math
from collections.abc import Sequence

from trainwell.core.records.finding import Confirmed, Finding, Remedy, Severity, Where
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.networks import NormSeen
from trainwell.diagnosis.forked import are_opposed, confirmation, end, helped
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number

FEW = 5.0
"""Numbers a channel, below which a norm is spoken of. Measured on digits, 300 steps of a perceptron with batch norm:
batches of 2 score 10% to 63%, of 3 59% to 85%, of 4 76% to 92%, of 6 92% to 94%, of 16 94% to 97%."""
SURE = 3.0
"""Below which the mean is off by more than half a deviation, and in test mode every sample becomes another: the loss of
the steps themselves, which are taken in training mode, does not show it."""
FEW_SAMPLES = 2.0
"""Samples, up to which it is tried out however many positions each has: those of one picture are much alike."""
LEAST = 3
"""Calls in training mode: a last batch that is left over is no habit."""
GAIN = 0.1
"""Share of the loss by which the training must come down further without. Measured likewise, in 30 steps: 10% to 50%
with 2 to 4 numbers a channel; batches of 8 would gain as much and lose nothing in the end, so they are not asked."""
WITHOUT = Fork(changed="norms over the sample")


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again with each sample normalized by itself."""
    few = _few(observation)
    return (WITHOUT,) if few and not any(_worth(each) < SURE for each in few) else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """Ask the norms of all networks together: they see the same batches."""
    few, forks = _few(observation), observation.forks
    if not few:
        return ()
    opposed = observation.steps is not None and are_opposed(observation.steps)
    sure = [each for each in few if _worth(each) < SURE]
    if sure and not opposed:
        return (_finding("warning", sure),)
    made = [each for each in forks.changed if each.changed == WITHOUT.changed] if forks else []
    if forks is None or not made or not helped(forks, made[0], gain=GAIN):
        # Few samples of many numbers each are worth a trial, and no word without.
        few = [each for each in few if _worth(each) < FEW]
        return (_finding("info", few),) if few else ()
    first, last, better = forks.unchanged[0], end(forks.unchanged), end(made[0].values)
    said = (
        f", and the loss goes from {number(first)} to {number(last)} in {len(forks.unchanged)} steps; the same steps "
        f"with each sample normalized by itself bring it to {number(better)}"
    )
    return (_finding("warning", few, said=said, shown=confirmation(forks, made[0])),)


def _few(observation: Observation) -> list[NormSeen]:
    seen = observation.steps.norms if observation.steps else ()
    return [
        each for each in seen if each.calls >= LEAST and (0 < _worth(each) < FEW or 0 < each.samples <= FEW_SAMPLES)
    ]


def _worth(norm: NormSeen) -> float:
    """Independent numbers a channel; of few, each is counted."""
    known = not math.isnan(norm.independent) and norm.values >= FEW
    return min(norm.values, norm.independent) if known else norm.values


def _finding(severity: Severity, few: Sequence[NormSeen], *, said: str = "", shown: Confirmed | None = None) -> Finding:
    worst = min(few, key=_worth)
    more = f" (and {len(few) - 1} more)" if len(few) > 1 else ""
    alike = f", worth {number(_worth(worst))} that differ as freely" if _worth(worst) < worst.values / 2 else ""
    return RULE.finding(
        severity,
        f'Batch norm "{worst.name}"{more} normalizes over {counted(round(worst.values), "number")} a channel, of '
        f"{counted(round(worst.samples), 'sample')}{alike}{said}.",
        evidence={
            "values": worst.values,
            "independent": _worth(worst),
            "samples": worst.samples,
            "norms": len(few),
            "calls": worst.calls,
        },
        cause="The mean and the deviation of so few numbers are mostly chance.",
        remedies=(
            Remedy(text="Make the batches larger, to 16 samples or more."),
            Remedy(text="Use `nn.GroupNorm` or `nn.LayerNorm` in place of the batch norms."),
        ),
        where=Where(layer=worst.name or None, file=worst.where.file, line=worst.where.line),
        confirmed_by=shown,
    )


RULE = Rule(
    code="REG005",
    name="batch-norm-with-tiny-batch",
    needs=("steps",),
    reads=("forks",),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
