"""Step 3: find the learning rate that makes the loss go down."""

from dataclasses import replace

from trainwell.core.records.evidence import Evidence
from trainwell.probes.lr_sweep import confirm, lr_sweep
from trainwell.recipe.context import NAMES, Context, serious
from trainwell.recipe.plan import sweep_steps
from trainwell.recipe.wording import rate

SMALL_DECAY = 1e-4
"""Weight decay during the sweep: "small", say the notes."""
WIDTH = 1000.0
"""The sweep runs from this factor under the starting rate to a tenth of it above."""
AROUND = (1 / 3, 1.0, 3.0)
"""Factors on the sweep's rate that are confirmed by short runs."""


def find_lr(context: Context) -> Evidence:
    """Sweep the rate on all training data, and confirm by short runs; once wider where the loss does not fall."""
    evidence = _visit(context, width=WIDTH)
    if context.derived:
        # Fewer samples than features are separated at any rate: the loss on them has no upper end to look for, and
        # rates are judged on samples held out.
        return evidence
    if not evidence.passed:
        evidence = _visit(context, width=WIDTH * 100)
    # A sweep that found nothing says less than the starting point, which has worked on other data.
    if evidence.passed or evidence.numbers["usable"]:
        lr = evidence.numbers["lr"]
        context.point = replace(context.point, optimization=replace(context.point.optimization, lr=lr))
    return evidence


def _visit(context: Context, *, width: float) -> Evidence:
    def compute(visit: int) -> Evidence:
        decay = min(context.point.regularization.weight_decay, SMALL_DECAY)
        point = replace(context.point, regularization=replace(context.point.regularization, weight_decay=decay))
        setup = context.rebuild(point).setup
        steps, short = sweep_steps(context)
        guess = point.optimization.lr
        section = lr_sweep(setup, low=guess / width, high=guess * width / 10, steps=steps)
        taken = len(section.curve.x)
        rates = [section.lr * factor for factor in AROUND]
        section = confirm(setup, section, lrs=rates, steps=short)
        findings = () if context.derived else context.find(lr_sweep=section)
        wrong = serious(findings)
        low, high = section.interval
        verdict = (
            f"The loss falls between rates {rate(low)} and {rate(high)}; short runs prefer {rate(section.lr)}."
            if not wrong
            else wrong[0].message
        )
        if context.derived:
            verdict += " An output layer alone may have any of them: step 4 judges rates on pictures held out."
        return Evidence(
            step=3,
            name=NAMES[3],
            visit=visit,
            passed=not wrong,
            verdict=verdict,
            seconds=0.0,
            numbers={
                "lr": section.lr,
                "usable": float(section.usable),
                "low": low,
                "high": high,
                "optimizer steps": taken + len(rates) * short,
            },
            detail=(section,),
            findings=findings,
        )

    return context.leave(3, compute)
