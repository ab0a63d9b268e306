"""What it sees: two linear layers one behind the other, with nothing but views, dropout or batch norm between.

Why it hurts: a linear map of a linear map is one linear map. The second layer adds weights and nothing that could be
learnt with them; a network of such layers alone is a linear model, however deep.

Evidence: autograd's graph of the first step: what the second is given is what the first put out, and nobody else is
given it. Layers that are narrower between than on both sides make a map of low rank and are meant to be (a bottleneck,
a code, LoRA), as are depthwise and separable convolutions; they are left out. The wasted weights are a fact, that they
do harm is not: the same steps are taken with a ReLU between, and where the whole network is linear, a linear and a
curved model are fitted to two thirds of the samples of the first steps and asked about the others. Of networks whose
trainings cannot be compared, as a GAN's, one that is linear as a whole is told as it is.

Remedy: an activation between the two, or one layer in their place. An activation changes the network, and is what was
meant most of the time.

References: notes, Activation Functions; Goodfellow et al. 2016, Deep Learning, section 6.1 (why a hidden layer must not
be linear).
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.core.records.seen.data import SimpleFits
from trainwell.core.records.seen.networks import LinearPair
from trainwell.diagnosis.forked import are_opposed, confirmation, end, helped
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import counted, number, percent

LEAST = 1
"""Pairs of layers: the graph is exact."""
CERTAIN = 2.0
"""Standard errors by which a curved model must do better than a linear one, sample by sample. Measured on digits with
a linear network of two layers: 2.9 and 2.3; on linear data below 0."""
LOWER = 0.7
"""Share of the linear model's errors, or of the variance that it leaves, that the curved one may still have."""
ENOUGH = 50
"""Samples that must be asked about."""


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's first steps again with a ReLU between the two layers of each pair."""
    steps = observation.steps
    names = () if steps is None else tuple(each.first.layer for each in steps.linear_pairs if each.first.layer)
    return (Fork(changed="ReLU between", layers=tuple(dict.fromkeys(names))),) if names else ()


def find(observation: Observation) -> tuple[Finding, ...]:
    """The first pair, with what a ReLU there or a curved model shows."""
    steps, forks = observation.steps, observation.forks
    if steps is None or len(steps.linear_pairs) < LEAST:
        return ()
    # Where no other training can be compared, of several networks that work against each other.
    whole = [each for each in steps.linear_pairs if each.whole and are_opposed(steps)]
    pair = (whole or steps.linear_pairs)[0]
    wanted = tries(observation)
    tried = [] if forks is None else [each for each in forks.changed if each.changed == "ReLU between" and wanted]
    better = [each for each in tried if forks is not None and helped(forks, each)]
    evidence: dict[str, float] = {
        "pairs": len(steps.linear_pairs),
        "inputs": pair.inputs,
        "between": pair.between,
        "outputs": pair.outputs,
        "weights": pair.weights,
        "enough": pair.enough,
    }
    shown = ""
    if forks is not None and better:
        shown = (
            f" With a ReLU between, {len(better[0].values)} steps bring the loss to {number(end(better[0].values))} "
            f"where it is {number(end(forks.unchanged))} now."
        )
    elif steps.linear and steps.fits is not None and _curved(steps.fits):
        shown = _in_words(steps.fits)
        evidence |= {"linear": steps.fits.linear, "curved": steps.fits.curved, "samples": steps.fits.samples}
    return (
        RULE.finding(
            "warning" if shown or whole else "info",
            _pair(pair, len(steps.linear_pairs) - 1)
            + (" The whole network is linear." if steps.linear or pair.whole else "")
            + shown,
            evidence=evidence,
            cause="No activation stands between the two: they can do no more than one of them.",
            remedies=(
                Remedy(text=f"Put an activation behind {_called(pair.first.layer)}, such as ReLU."),
                Remedy(text="Or leave one of the two layers out."),
            ),
            where=pair.first,
            confirmed_by=confirmation(forks, better[0]) if forks is not None and better else None,
        ),
    )


def _pair(pair: LinearPair, others: int) -> str:
    one = "together they are one linear map"
    if 0 < pair.enough < pair.weights:
        one = f"their {pair.weights:,} weights can do no more than the {pair.enough:,} of one"
    more = f", as do {counted(others, 'more pair')}" if others else ""
    return (
        f"Layers {_called(pair.first.layer)} and {_called(pair.second.layer)} are linear and stand one behind the "
        f"other with {pair.through or 'nothing'} between{more}: {one}."
    )


def _called(layer: str | None) -> str:
    return f'"{layer}"' if layer else "(the network itself)"


def _curved(fits: SimpleFits) -> bool:
    """Whether a map that is not linear does better by more than chance."""
    if fits.samples < ENOUGH or fits.curved > LOWER * fits.linear:
        return False
    if not fits.classes:
        return True
    apart = fits.other_alone + fits.linear_alone
    return fits.other_alone - fits.linear_alone > CERTAIN * math.sqrt(apart)


def _in_words(fits: SimpleFits) -> str:
    if fits.classes:
        return (
            f" Of {fits.samples} other samples a linear model gets {percent(fits.linear)} wrong, a curved one "
            f"{percent(fits.curved)}."
        )
    return (
        f" On {fits.samples} other samples a linear model leaves {percent(fits.linear)} of the targets' variance, a "
        f"curved one {percent(fits.curved)}."
    )


RULE = Rule(
    code="ACT005",
    name="missing-nonlinearity",
    needs=("steps",),
    reads=("forks",),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
