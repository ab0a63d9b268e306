"""Step 1: check the initial loss."""

from dataclasses import replace

from trainwell.core.records.evidence import Evidence
from trainwell.core.records.hyperparameters import Initialization
from trainwell.probes.initial_loss import initial_loss
from trainwell.recipe.context import NAMES, Context, serious

ATTEMPTS = ("own", "kaiming", "lsuv")
"""Initializations in the order in which they are tried; the network's own first."""


def check_initial_loss(context: Context) -> Evidence:
    """Measure the untouched network; where a rule objects, try other initializations and measure again."""
    evidence = _visit(context)
    for scheme in ATTEMPTS:
        if evidence.passed:
            break
        if scheme == context.point.initialization.scheme:
            continue
        before = context.point
        context.point = replace(before, initialization=Initialization(scheme=scheme))
        again = _visit(context)
        if len(serious(again.findings)) >= len(serious(evidence.findings)):
            context.point = before
        evidence = again
    return evidence


def _visit(context: Context) -> Evidence:
    def compute(visit: int) -> Evidence:
        rebuilt = context.rebuild(context.point)
        section = initial_loss(rebuilt.setup)
        findings = context.find(initial_loss=section)
        wrong = serious(findings)
        unit = " nats" if context.dataset.record.task == "classification" else ""
        expected = (
            f"guessing all {context.dataset.record.output.size} classes alike costs {section.zero_output:.3f} nats"
            if unit
            else f"predicting the mean costs {section.best_constant:.3f}"
        )
        verdict = f"The untouched network's loss is {section.measured:.3f}{unit}; {expected}"
        verdict += ": it starts from honest ignorance." if not wrong else f". {wrong[0].message}"
        return Evidence(
            step=1,
            name=NAMES[1],
            visit=visit,
            passed=not wrong,
            verdict=verdict,
            seconds=0.0,
            numbers={
                "measured": section.measured,
                "expected": section.zero_output,
                "best constant": section.best_constant,
                "output std": section.logit_std,
            },
            detail=(section,),
            findings=findings,
        )

    return context.leave(1, compute)
