"""Synchronous halving: many trainings for a short time, the better ones for longer."""

from collections.abc import Sequence
from dataclasses import dataclass

from trainwell.core.records.trial import TrialSpec
from trainwell.search.trials import Trials
from trainwell.store.study import RungCommit


@dataclass(frozen=True, kw_only=True)
class Rungs:
    """Where trainings are compared, and how many go on.

    Attributes:
        shares: of each training's own length, rising to 1.
        keep: how many trainings go on after each but the last, falling.
    """

    shares: tuple[float, ...] = (1.0,)
    keep: tuple[int, ...] = ()


def promoted(results: dict[int, RungCommit], keep: int) -> tuple[int, ...]:
    """Which trials go on: a pure function of the complete set of a rung's results.

    Args:
        results: trial number -> its commit at this rung.
        keep: how many, >= 1.
    Returns:
        Trial numbers, best first: by validation error, then loss, then number. One that diverged never goes on.
    """
    finite = [number for number, commit in results.items() if commit.value < float("inf")]
    ranked = sorted(finite, key=lambda number: (results[number].value, results[number].loss, number))
    return tuple(ranked[:keep])


def halve(
    trials: Trials,
    specs: Sequence[TrialSpec],
    rungs: Rungs,
    *,
    stage: str,
    round: int,  # noqa: A002 - the word of the house
    always: frozenset[int] = frozenset(),
) -> dict[int, RungCommit]:
    """Run trainings rung by rung; those that are not promoted are stopped.

    Args:
        trials: does the work.
        specs: the trainings, one a trial number.
        rungs: where they are compared.
        stage: which step of the recipe asks.
        round: which round, from 1.
        always: trials that go on whatever they reach, since others are measured by them.
    Returns:
        Trial number -> its last commit, in the order of the numbers.
    """
    by_number = {spec.number: spec for spec in specs}
    last: dict[int, RungCommit] = {}
    going = tuple(by_number)
    for index, share in enumerate(rungs.shares):
        results = {}
        for number in sorted(going):
            until_step = steps_at(share, by_number[number].total_steps)
            results[number] = trials.advance(by_number[number], until_step, stage=stage, round=round)
        last |= results
        diverged = [number for number, commit in results.items() if commit.value == float("inf")]
        trials.end(diverged, "diverged")
        if index + 1 < len(rungs.shares):
            finite = {number for number in always if results[number].value < float("inf")}
            going = tuple(dict.fromkeys((*promoted(results, rungs.keep[index]), *sorted(finite))))
            trials.end([number for number in results if number not in going and number not in diverged], "stopped")
        else:
            trials.end([number for number in results if number not in diverged], "completed")
    return dict(sorted(last.items()))


def steps_at(share: float, total_steps: int) -> int:
    """A share of a training's length in optimizer steps, at least one."""
    return max(round(share * total_steps), 1)
