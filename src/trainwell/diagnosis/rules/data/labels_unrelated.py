"""What it sees: a network that answers the training samples well and new ones no better than a constant answer would,
and no simple model that does better.

Why it hurts: what was learnt is noise; any score above chance that a search picks out of it is luck.

Evidence: the validation score over the last third of the training against the best constant's, with the 95%
interval of that many samples; the training score against the same; the simple models on the same split. If one of
those does better than chance, the labels are related to the inputs and the network is at fault. Of a script: its loss
after several passes against a constant answer's, and kernel regressions of its samples, asked about others of them; or
the same steps with one input for all samples, which come as far.

Remedy: look whether labels and inputs still belong together (a shuffle, a sort, a join). More samples help only if
there is a relation. Nothing is changed by itself.

References: Zhang et al. 2017, Understanding Deep Learning Requires Rethinking Generalization (random labels are
learnt by heart); Ojala and Garriga 2010, Permutation Tests for Studying Classifier Performance.
"""

import dataclasses
import math
import statistics

from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.forked import confirmation, end, helped, is_alike
from trainwell.diagnosis.freshness import share_new
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

FEWEST_STEPS, FEWEST = 100, 100
"""Steps of a script, and other samples that simple models are asked about."""

NEW, MANY = 0.02, 2000
"""Share of the last third of the samples that may be new where they came again and again; and samples of classes, after
which something is learnt of them."""

LEARNT = 0.15
"""Share of a constant answer's loss below which it has not come: what is learnt by heart in a few passes is less."""

EXPLAINED = 0.03
"""Share of the variance that a simple model must explain, where the targets are numbers."""

BEST_OF_MANY = 3.0
"""Standard errors within which the best of many epochs is luck: a single score's 1.96 is passed by one epoch in
forty."""

FEWEST_TESTED, LEARNS = 200, 0.1
"""Samples in the evaluations of the last third of a script's steps; and share of the way from one answer for all to a
perfect score that the samples which are learnt from must have gone."""

FALLING, STARTED = 0.03, 0.4
"""Share by which the last third of a script's loss may lie below its middle third, and still be level; and share of its
beginning that is left of it."""

MANY_NEW = 20_000
"""Samples that may all be new where it is asked whether the inputs are of use: language models stand at what the words'
frequencies tell for their first hundred steps."""

NO_USE = 0.01
"""Share of the loss by which the same training without its inputs may end higher, and still come as far."""

WITHOUT_INPUT = Fork(changed="constant input")


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare both scores, and the simple models', with the best constant's."""
    curves, look, data = observation.curves, observation.look, observation.data
    if curves is None or look is None:
        return _in_steps(observation) or _in_evaluations(observation) or _of_no_use(observation)
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


def _in_steps(observation: Observation) -> tuple[Finding, ...]:
    """Neither the network nor simple models learn anything of samples that came again and again."""
    steps, start = observation.steps, observation.initial_loss
    if steps is None or start is None or steps.fits is None or len(steps.values) < FEWEST_STEPS:
        return ()
    fits, reached = steps.fits, end(steps.values)
    again = share_new(steps) <= NEW
    # What is changed at random each time is never the same twice.
    again = again or (fits.classes > 0 and sum(steps.samples) >= MANY)
    if not again or fits.samples < FEWEST or not math.isfinite(start.best_constant):
        return ()
    if not reached > (1 - LEARNT) * start.best_constant > 0:
        return ()
    # The better of several models, and a constant that may be unlucky.
    guessed = min(fits.constant, 1 - 1 / fits.classes) if fits.classes else 1.0
    margin = BEST_OF_MANY * math.sqrt(guessed * (1 - guessed) / fits.samples) if fits.classes else EXPLAINED
    if min(fits.linear, fits.curved) < guessed - margin:
        return ()
    wrong = min(fits.linear, fits.curved)
    said = (
        f"{percent(1 - wrong)} of {fits.samples} other samples right, where the best constant answer gets "
        f"{percent(1 - fits.constant)}"
        if fits.classes
        else f"at most {percent(max(1 - wrong, 0.0))} of the variance"
    )
    return (
        RULE.finding(
            "warning",
            f"In {len(steps.values)} steps the loss comes to {number(reached)}, where a constant "
            f"answer costs {number(start.best_constant)}, and simple models fitted to them get {said}: the labels seem "
            "unrelated to the inputs.",
            evidence={
                "loss": reached,
                "constant": start.best_constant,
                "linear": fits.linear,
                "curved": fits.curved,
                "constant_model": fits.constant,
                "n": fits.samples,
            },
            cause="Labels and inputs do not belong together, or the inputs hold nothing that tells the label.",
            remedies=(
                Remedy(text="Look at some samples with their labels: were they shuffled, sorted or joined wrongly?"),
            ),
        ),
    )


def _in_evaluations(observation: Observation) -> tuple[Finding, ...]:
    """A script's network answers the samples that it learns from better than chance, and others not at all."""
    seen = observation.steps.classes if observation.steps else None
    if seen is None or observation.steps is None or not seen.late or not sum(seen.tested) >= FEWEST_TESTED:
        return ()
    n, late = sum(seen.tested), sum(seen.late)
    constant = max(seen.tested) / n
    tested, right = sum(seen.tested_right) / n, sum(seen.right) / late
    usual = max(seen.late) / late
    bound = constant + BEST_OF_MANY * math.sqrt(constant * (1 - constant) / n)
    apart = BEST_OF_MANY * math.sqrt(tested * (1 - tested) / n)
    if bound >= 1 or tested > bound or right <= tested + apart:
        return ()
    if right < usual + LEARNS * (1 - usual):
        return ()
    return (
        RULE.finding(
            "warning",
            f"In evaluations {percent(tested)} of {n:,} samples are answered right, where one answer for "
            f"all gets {percent(constant)}; of the samples that are learnt from, {percent(right)} are: what is "
            "learnt of them says nothing of others.",
            evidence={"tested": tested, "constant": constant, "trained": right, "bound": bound, "n": n},
            cause="Labels and inputs do not belong together, or the inputs hold nothing that tells the label.",
            remedies=(
                Remedy(text="Look at some samples with their labels: were they shuffled, sorted or joined wrongly?"),
            ),
            where=seen.where,
        ),
    )


def tries(observation: Observation) -> tuple[Fork, ...]:
    """A script's steps again with the same numbers in place of all inputs, where its loss no longer comes down."""
    return (WITHOUT_INPUT,) if _is_level(observation) else ()


def _is_level(observation: Observation) -> bool:
    """Whether many samples have come, and the loss stays where it is, not far below where it began."""
    steps = observation.steps
    if steps is None or len(steps.values) < FEWEST_STEPS or not all(map(math.isfinite, steps.values)):
        return False
    third = len(steps.values) // 3
    before, reached = statistics.median(steps.values[third : 2 * third]), end(steps.values)
    level = reached > (1 - FALLING) * before and reached > STARTED * steps.values[0] > 0
    return level and (sum(steps.samples) >= MANY_NEW or share_new(steps) <= NEW)


def _of_no_use(observation: Observation) -> tuple[Finding, ...]:
    """The training comes as far without its inputs, and nothing else that was tried betters it."""
    steps, forks = observation.steps, observation.forks
    if steps is None or forks is None or not _is_level(observation):
        return ()
    made = next((each for each in forks.changed if is_alike(each, WITHOUT_INPUT)), None)
    # A fork that finds no input to change is the same training again.
    if made is None or made.values == steps.values or any(helped(forks, each) for each in forks.changed):
        return ()
    reached, without = end(steps.values), end(made.values)
    if not without < (1 + NO_USE) * reached:
        return ()
    return (
        RULE.finding(
            "warning",
            f"In {len(steps.values)} steps the loss comes to {number(reached)}, and to {number(without)} where all "
            "samples have the same first input: what is learnt is learnt without it.",
            evidence={"loss": reached, "loss_without_input": without, "first": steps.values[0]},
            cause="Labels and inputs do not belong together, or the network makes nothing of its input.",
            remedies=(
                Remedy(text="Look at some samples with their labels: were they shuffled, sorted or joined wrongly?"),
            ),
            confirmed_by=confirmation(forks, made),
        ),
    )


RULE = Rule(
    code="DAT009",
    name="labels-unrelated",
    needs=(),
    reads=("look", "curves", "data", "steps", "initial_loss", "forks"),
    find=find,
    tries=tries,
    page=__doc__ or "",
)
