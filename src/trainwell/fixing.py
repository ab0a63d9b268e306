"""A Setup's remedies, applied one by one, each kept only if it is proven."""

from collections.abc import Sequence
from functools import partial

from trainwell.capture.given import Setup, draws_kept
from trainwell.capture.rehearse import hear_setup
from trainwell.capture.remedies import remedied
from trainwell.checking import SECONDS, STEPS, Checked, check_setup
from trainwell.core.seeds import seeded
from trainwell.mending import SEEDS, held_out, is_better

ROUNDS = 5
"""Remedies that are tried at most: each shows what the one before has hidden."""


def fix(
    setup: Setup,
    found: Checked,
    *,
    steps: int = STEPS,
    seconds: float = SECONDS,
    select: Sequence[str] | None = None,
) -> Setup:
    """Apply the remedy of what was found, check again, and so on while each is better.

    A remedy is kept where its finding is gone and the held-out loss is lower in each of three pairs of trainings with
    other seeds, by more than twice the standard error of the mean difference.

    Args:
        setup: that was checked; stays as it is.
        found: by the check.
        steps: optimizer steps of a training, at most.
        seconds: of a check, at most.
        select: codes of the rules to ask; None for all.
    Returns:
        A Setup whose `patch` says what was changed; the given one where nothing was.
    """
    for _ in range(ROUNDS):
        for finding in found.diagnosis.findings:
            if finding.severity == "info":
                continue
            with draws_kept(setup.train, setup.val), seeded(setup.seed, "fix"):
                changed = remedied(setup, finding)
            if changed is None:
                continue
            again = check_setup(changed, steps=steps, seconds=seconds, select=select)
            gone = all(each.code != finding.code or each.severity == "info" for each in again.diagnosis.findings)
            if gone and _is_proven(setup, changed, steps=min(found.taken, again.taken), seconds=seconds):
                setup, found = changed, again
                break
        else:
            return setup
    return setup


def _is_proven(setup: Setup, changed: Setup, *, steps: int, seconds: float) -> bool:
    """Whether trainings with other seeds say so."""
    pairs = []
    for seed in range(1, SEEDS + 1):
        hear = partial(hear_setup, steps=max(steps, 1), seconds=seconds, seed=seed)
        before, after = hear(setup).steps, hear(changed).steps
        if before is None or after is None:
            return False
        losses = held_out(before), held_out(after)
        if losses[0] is None or losses[1] is None:
            return False
        pairs.append((losses[0], losses[1]))
    return is_better(pairs)
