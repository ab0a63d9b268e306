"""What it sees: a network that is evaluated on inputs with other means and deviations than those it is trained on.

Why it hurts: what was learnt holds for inputs of the training's scale. Pictures that are normalized in training and not
in the evaluation look like another data set; the validation score is far too low, and passes for overfitting.

Evidence: mean and deviation of each feature, over the first batches in training and those of an evaluation, without
gradients, between its steps; and the evaluation once more, on the same batches brought to the training's mean and
deviation: its loss must be clearly lower. Noise, crops, mixing and erasing in training change a deviation by less than
half. Where no loss or class is compared with the outputs, it is no more than an info: states that an agent visits and
noise that a sampler begins with may be others.

Remedy: one preprocessing for both, with the numbers of the training part. Safe: the training stays as it is.

References: notes, Data Preprocessing (statistics of the training part, applied to all); Breck et al. 2019, Data
Validation for Machine Learning (training-serving skew).
"""

import math

from trainwell.core.records.evaluation import EvaluationSeen
from trainwell.core.records.finding import Confirmed, Finding, Remedy
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.wording import number

OFFSET = 0.5
"""Training deviations between both means from which on they differ: with a single feature and the fewest samples, 32,
chance comes there once in 170 times (2.8 standard errors), with several features hardly ever."""

RATIO = 2.0
"""Between both deviations: mixing two samples and adding noise as large as the signal change them by 1.42 at most (the
root of 2); pictures in [0, 1] that are normalized on one side only differ by 2 (with 0.5 and 0.5, where the means lie
1 apart) to 4 (with those of ImageNet)."""

GAIN = 0.2
"""Share of the evaluation's loss by which it must be lower on inputs of the training's scale: as with forks."""


def find(observation: Observation) -> tuple[Finding, ...]:
    """Compare both, and what the evaluation's loss would be."""
    seen = observation.evaluation
    if seen is None or not _differs(seen):
        return ()
    shown = math.isfinite(seen.loss_as_trained) and (
        not math.isfinite(seen.loss) or seen.loss_as_trained < seen.loss - GAIN * abs(seen.loss)
    )
    more = (
        f" Brought to the training's, the same batches have loss {number(seen.loss_as_trained)} in place of "
        f"{number(seen.loss)}."
        if shown
        else ""
    )
    evidence = {"offset": seen.offset, "ratio": seen.ratio, "features": seen.features, "samples": seen.samples}
    if shown:
        evidence |= {"loss": seen.loss, "loss_as_trained": seen.loss_as_trained}
    return (
        RULE.finding(
            "warning" if shown else "info",
            f"The network is evaluated on inputs of another scale than in training: the means lie "
            f"{number(seen.offset)} training deviations apart, the deviations are {number(seen.ratio)} times those of "
            f"the training.{more}",
            evidence=evidence,
            cause="The data of the evaluation passes another preprocessing, or none.",
            remedies=(Remedy(text="Give the evaluation the training's preprocessing, with the same mean and scale."),),
            where=seen.where,
            confirmed_by=Confirmed(
                fork="the evaluation on inputs brought to the training's mean and deviation",
                loss_with=seen.loss_as_trained,
                loss_without=seen.loss,
                n=seen.samples,
            )
            if shown
            else None,
        ),
    )


def _differs(seen: EvaluationSeen) -> bool:
    return seen.offset > OFFSET or not 1 / RATIO <= seen.ratio <= RATIO


RULE = Rule(
    code="DAT007",
    name="train-val-shift",
    needs=("evaluation",),
    find=find,
    page=__doc__ or "",
)
