"""What it sees: training and validation loss that lie close together, hardly fall any more, and are high.

Why it hurts: the network has not even learnt what it was shown; more of the same training changes nothing.

Evidence: both losses at the end as a share of the untouched network's, their distance, their slope over the last
third. High is what a simple model on the same split beats by more than the score's interval: then it is a warning.
Without such a model the curves alone cannot tell a network that is too small from a target that cannot be known
better (a noisy target looks the same): then it is an info.

Remedy: less regularization, a wider or deeper network, a longer training. Safe; more capacity costs time.

References: notes, Choosing Hyperparameters, step 6; Goodfellow et al. 2016, Deep Learning, section 5.2.
"""

import math

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.measures import fall, fall_error, trace
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.scores import SURE, best_yardstick, is_regression, samples_measured, score_error
from trainwell.diagnosis.wording import number, percent

LEARNT = 0.1
"""Share of its start by which a loss must have come down to have learnt anything: as in the small-sample rule."""

HIGH = 0.3
"""Share of the starting loss that must be left for curves alone to hint at underfitting."""

CLOSE = 0.1
"""Distance of the two losses, as a share of the starting loss: the overfitting rule's share of what was learnt."""

FLAT = 0.05
"""Fall over the last third as a share of the level at its beginning, up to which a loss hardly falls: what falls
more was stopped too early (SCH003)."""

ERRORS = 3.0
"""Standard errors of that fall."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Both losses flat, close and high."""
    curves = observation.curves
    if curves is None:
        return ()
    train, validation = trace(curves.train_loss), trace(curves.validation_loss)
    if len(train) < 3 or len(validation) < 3 or train.lost:
        return ()
    start = curves.start if math.isfinite(curves.start) else train.y[0]
    still = fall(train.end)
    if start <= 0 or validation.level - train.level > CLOSE * start:
        return ()
    if still > max(ERRORS * fall_error(train.end), FLAT * abs(train.end.y[0])):
        return ()
    share = train.level / start
    if share > 1 + LEARNT:
        # It grew: the diverging-loss rule's.
        return ()
    evidence = {"train": train.level, "validation": validation.level, "start": start, "share_left": share}
    both = (
        f"Training and validation loss end close together ({number(train.level)} and {number(validation.level)}) "
        "and hardly fall any more"
    )
    verdict = "underfitting"
    if share > 1 - LEARNT:
        both = f"Training loss hardly moved from its start ({number(start)} to {number(train.level)})"
        verdict = "the network has learnt nothing"
    stronger = best_yardstick(observation.look)
    n = samples_measured(curves, observation.data)
    reached = trace(curves.validation_metric).level
    error = score_error(reached, n, regression=is_regression(curves, observation.data))
    if stronger is not None and math.isfinite(reached) and stronger.metric > reached + SURE * error:
        message = (
            f"{both}, and {stronger.name} scores {number(stronger.metric)} on validation where the network scores "
            f"{number(reached)}: {verdict}."
        )
        evidence |= {"yardstick": stronger.metric, "reached": reached}
        return (RULE.finding("warning", message, evidence=evidence, cause=_CAUSE, remedies=_REMEDIES),)
    if share <= HIGH or stronger is not None:
        return ()
    message = (
        f"{both}, with {percent(share)} of the starting loss left: {verdict}, unless the target cannot be known better."
    )
    return (RULE.finding("info", message, evidence=evidence, cause=_CAUSE, remedies=_REMEDIES),)


_CAUSE = "The network is too small, held back by regularization, or trained with a poor learning rate."

_REMEDIES = (
    Remedy(
        text="Regularize less.",
        change={
            "regularization.dropout*": 0.5,
            "regularization.weight_decay*": 0.3,
            "regularization.label_smoothing*": 0.5,
            "regularization.mixup_alpha*": 0.5,
            "regularization.cutmix_alpha*": 0.5,
        },
    ),
    Remedy(text="Take a network of twice the width.", change={"architecture.width*": 2}),
    Remedy(text="Take a deeper network.", change={"architecture.depth*": 1.5}),
)

RULE = Rule(
    code="REG002",
    name="underfitting",
    needs=("curves",),
    reads=("look", "data"),
    find=find,
    page=__doc__ or "",
)
