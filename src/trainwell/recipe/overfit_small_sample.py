"""Step 2: overfit a small sample."""

from dataclasses import replace

from trainwell.core.records.evidence import Evidence
from trainwell.core.records.hyperparameters import Augmentation, Regularization
from trainwell.probes.small_sample import BATCHES, small_sample
from trainwell.recipe.context import NAMES, Context, serious
from trainwell.recipe.plan import small_sample_steps
from trainwell.recipe.wording import rate, reading

RATES = (1.0, 10.0, 0.1, 30.0)
"""Factors on the starting rate, in the order in which they are tried."""
LINEAR_BATCH = 32
"""Samples a step for the output layer alone."""
ENOUGH = {"classification": 0.999, "regression": 0.99}
"""Where trying on is no use; whether the step passes, OPT010 says."""


def overfit_small_sample(context: Context) -> Evidence:
    """Make the network learn a few batches by heart, regularization and augmentation off."""

    def compute(visit: int) -> Evidence:
        task = context.dataset.record.task
        bare = replace(context.point, regularization=Regularization(), augmentation=Augmentation())
        setup = context.rebuild(bare).setup
        if context.derived:
            # A linear layer learns about as many samples by heart as it has features, and no more.
            setup = setup.with_(batch_size=min(setup.batch_size, LINEAR_BATCH))
        steps, tries, more = small_sample_steps(context, rates=len(RATES))
        guess = bare.optimization.lr
        lrs = [guess * factor for factor in RATES[:tries]]
        section = small_sample(setup, lrs=lrs, max_steps=steps, enough=ENOUGH[task], more_steps=more)
        findings = context.find(small_sample=section)
        wrong = serious(findings)
        reached = section.metric.y[-1] if section.metric.y else float("nan")
        taken = int(section.loss.x[-1]) if section.loss.x else 0
        spent = taken + sum(len(curve.x) for curve in section.attempts)
        verdict = (
            f"{section.samples} samples learnt by heart in {taken} steps at rate {rate(section.lr)}: "
            f"training {reading(reached, task)}."
            if not findings
            else findings[0].message
        )
        return Evidence(
            step=2,
            name=NAMES[2],
            visit=visit,
            passed=not wrong,
            verdict=verdict,
            seconds=0.0,
            numbers={"samples": section.samples, "lr": section.lr, "metric": reached, "optimizer steps": spent}
            | {"batches": BATCHES},
            detail=(section,),
            findings=findings,
        )

    return context.leave(2, compute)
