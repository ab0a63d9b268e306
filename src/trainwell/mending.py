"""Remedies that are tried on the training itself, with other random numbers, and kept where they help."""

import math
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from trainwell.capture.patches import patch_for
from trainwell.capture.runner import Heard
from trainwell.core.records.finding import Finding, Remedy
from trainwell.core.records.forks import Fork
from trainwell.core.records.steps import Steps

SEEDS = 3
"""Pairs of trainings, at least: the sign of three differences is one by luck in a quarter of the cases, so their mean
must also exceed twice its standard error."""
ERRORS = 2.0
LOSS_ALONE = ("OPT017", "REG006")
"""What costs memory, or says too little when it is asked, and changes no step: of these, a remedy is proven where it is
gone and each step's loss is what it was."""
FEWEST = 64
"""Held-out samples: of fewer, nothing is claimed."""

Run = Callable[..., Heard]
"""Takes the first steps: seed, fork, changed -> what was heard."""


def mend(
    finding: Finding,
    run: Run,
    codes: Callable[[Heard], Sequence[str]],
    *,
    fork: Fork | None = None,
    at_once: int = 1,
) -> Remedy | None:
    """Try a finding's smallest remedy.

    Args:
        finding: of a check.
        run: takes the first steps of the training.
        codes: of what is said of a training that was heard.
        fork: that confirmed it; None: none did.
        at_once: trainings that run beside each other.
    Returns:
        The remedy with what came of it; None where it is for the author to carry out.
    """
    patch = patch_for(finding)
    if not finding.remedies or (patch is None and fork is None):
        return None
    change: dict[str, Any] = {"changed": {patch.file: patch.after}} if patch else {"fork": fork}
    orders = [{"seed": seed, **extra} for seed in range(1, SEEDS + 1) for extra in ({}, change)]
    with ThreadPoolExecutor(at_once) as pool:
        heard = list(pool.map(lambda order: run(**order), orders))
    remedy = replace(finding.remedies[0], patch=patch.diff() if patch else "")
    without, with_ = heard[::2], heard[1::2]
    if any(each.steps is None or not each.steps.taken for each in with_):
        return replace(remedy, unproven="the changed script does not get as far as a step")
    pairs = [
        (before, after)
        for one, other in zip(without, with_, strict=True)
        if one.steps and other.steps
        for before, after in [(held_out(one.steps), held_out(other.steps))]
        if before is not None and after is not None
    ]
    if pairs:
        before, after = (statistics.fmean(side) for side in zip(*pairs, strict=True))
        remedy = replace(remedy, loss_before=before, loss_after=after, seeds=len(pairs))
    if any(finding.code in codes(each) for each in with_):
        return replace(remedy, unproven=f"{finding.code} is still found")
    if finding.code in LOSS_ALONE and all(
        one.steps and other.steps and one.steps.values == other.steps.values
        for one, other in zip(without, with_, strict=True)
    ):
        return replace(remedy, proven=True, loss_before=None, loss_after=None, seeds=SEEDS)
    if not pairs:
        return replace(remedy, unproven="its batches repeat, so nothing is held out")
    if not is_better(pairs):
        return replace(remedy, unproven="the loss of the first steps is not lower by more than chance")
    return replace(remedy, proven=True)


def held_out(steps: Steps) -> float | None:
    """Median loss of the last third of the batches that were never trained on before.

    Each batch's loss is taken before the step along it: until then its samples are held out (progressive validation,
    Blum et al. 1999).

    Args:
        steps: of a training.
    Returns:
        Infinite where it is lost; None where fewer than 64 samples are left.
    """
    new = [
        (value, count)
        for value, count, fresh in zip(steps.values, steps.samples, steps.fresh, strict=False)
        if count and fresh == count
    ]
    last = new[-max(len(new) // 3, 1) :]
    if sum(count for _, count in last) < FEWEST:
        return None
    values = [value for value, _ in last]
    return statistics.median(values) if all(map(math.isfinite, values)) else math.inf


def is_better(pairs: Sequence[tuple[float, float]]) -> bool:
    """Whether the second of each pair is lower, and the mean difference exceeds twice its standard error.

    Args:
        pairs: without and with the remedy.
    Example:
        >>> is_better([(2.0, 1.0), (2.1, 1.2), (2.0, 1.1)]), is_better([(2.0, 1.0), (2.0, 2.1), (2.0, 1.9)])
        (True, False)
    """
    if len(pairs) < SEEDS or not all(math.isfinite(after) and after < before for before, after in pairs):
        return False
    gains = [min(before, 1e30) - after for before, after in pairs]
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    return math.isinf(pairs[0][0]) or statistics.fmean(gains) > ERRORS * error
