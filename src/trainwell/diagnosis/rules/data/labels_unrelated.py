"""What it sees: a network that answers the training samples well and new ones no better than a constant answer would,
and no simple model that does better.

Why it hurts: what was learnt is noise; any score above chance that a search picks out of it is luck.

Evidence: the validation score over the last third of the training against the best constant's, with the 95%
interval of that many samples; the training score against the same; the simple models on the same split. If one of
those does better than chance, the labels are related to the inputs and the network is at fault.

Remedy: look whether labels and inputs still belong together (a shuffle, a sort, a join). More samples help only if
there is a relation. Nothing is changed by itself.

References: Zhang et al. 2017, Understanding Deep Learning Requires Rethinking Generalization (random labels are
learnt by heart); Ojala and Garriga 2010, Permutation Tests for Studying Classifier Performance.
"""

import dataclasses
import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import lowest, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.scores import (
    SURE,
    best_yardstick,
    chance,
    is_regression,
    samples_measured,
    score_error,
)
from trainwell.diagnosis.wording import counted, number, percent

FITTED = 0.25
"""Share of the way from chance to a perfect score that training must have gone, to know that the network can
learn: with less a network that does not train at all would be mistaken for data that cannot be learnt."""

BEST_OF_MANY = 3.0
"""Standard errors within which the best of many epochs is luck: a single score's 1.96 is passed by one epoch in
forty."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare both scores, and the simple models', with the best constant's."""
    curves, look, data = observation.curves, observation.look, observation.data
    if curves is None or look is None:
        return ()
    regression, n = is_regression(curves, data), samples_measured(curves, data)
    constant = chance(look, data)
    seen = trace(curves.validation_metric)
    train = trace(curves.train_metric).level
    if n < 1 or not seen.y or not math.isfinite(train):
        return ()
    reached = -lowest(dataclasses.replace(seen, y=tuple(-y for y in seen.y)))[1]
    error = score_error(constant, n, regression=regression)

    def bound(errors: float) -> float:
        # The correlation of a prediction with noise has the standard deviation 1/sqrt(n), and R² is its square at best.
        return constant + (errors**2 / n if regression else errors * error)

    model = best_yardstick(look)
    if reached > bound(BEST_OF_MANY) or (model is not None and model.metric > bound(SURE)):
        return ()
    if train < constant + FITTED * (1 - constant) or train <= bound(BEST_OF_MANY):
        return ()
    what, said = ("R²", number) if regression else ("accuracy", percent)
    simple = f", and no simple model does better ({model.name}: {said(model.metric)})" if model else ""
    return (
        RULE.finding(
            "warning",
            f"The network learnt its training samples ({what} {said(train)}), but on {counted(n, 'new sample')} it "
            f"scores {said(reached)} at best, no better than the best constant answer ({said(constant)}){simple}: "
            "the labels seem unrelated to the inputs.",
            evidence={
                "train": train,
                "validation": reached,
                "constant": constant,
                "bound": bound(BEST_OF_MANY),
                "n": n,
            },
            cause="Labels and inputs do not belong together, or the inputs hold nothing that tells the label.",
            remedies=(
                Remedy(text="Look at some samples with their labels: were they shuffled, sorted or joined wrongly?"),
            ),
        ),
    )


RULE = Rule(
    code="DAT009",
    name="labels-unrelated",
    needs=("look", "curves"),
    reads=("data",),
    find=find,
    page=__doc__ or "",
)
