"""search/halving.py: promotions are a pure function of a rung's results."""

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.records.hyperparameters import Architecture, Hyperparameters
from trainwell.core.records.trial import TrialSpec
from trainwell.search.halving import Rungs, halve, promoted
from trainwell.search.trials import Trials
from trainwell.store.study import RungCommit

values = st.one_of(st.sampled_from([0.1, 0.2, math.inf]), st.floats(-2.0, 3.0))


def commit(value: float, loss: float, *, until_step: int = 10) -> RungCommit:
    return RungCommit(
        number=0, until_step=until_step, checkpoint="a", sha256="", metrics_length=0, value=value, loss=loss
    )


results_of = st.dictionaries(
    st.integers(0, 30), st.tuples(values, st.sampled_from([0.5, 0.7, 0.9])), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=150)
@given(results=results_of, keep=st.integers(1, 12), seed=st.randoms())
def test_promotions_depend_on_results_alone(results: dict[int, tuple[float, float]], keep: int, seed: Any) -> None:
    commits = {number: commit(*pair) for number, pair in results.items()}
    chosen = promoted(commits, keep)
    shuffled = list(commits)
    seed.shuffle(shuffled)
    # The order in which workers finish enters no decision.
    assert promoted({number: commits[number] for number in shuffled}, keep) == chosen
    finite = [number for number, (value, _) in results.items() if value < math.inf]
    assert len(chosen) == min(keep, len(finite))
    assert set(chosen) <= set(finite)
    keys = [(*results[number], number) for number in chosen]
    assert keys == sorted(keys)
    left = [(*results[number], number) for number in finite if number not in chosen]
    assert not left or max(keys) < min(left)


def test_ties_go_by_loss_and_then_by_number() -> None:
    commits = {3: commit(0.1, 0.5), 1: commit(0.1, 0.5), 2: commit(0.1, 0.4), 0: commit(0.2, 0.1)}
    assert promoted(commits, 3) == (2, 1, 3)


class Recorded(Trials):
    """Stands for `Trials`: values by trial and step, and a list of what was asked."""

    def __init__(self, values: dict[int, list[float]], steps: tuple[int, ...]) -> None:
        self.values, self.steps = values, steps
        self.asked: list[tuple[int, int]] = []
        self.ended: dict[int, str] = {}

    def advance(self, spec: TrialSpec, until_step: int, **_: Any) -> RungCommit:
        assert spec.number not in self.ended
        self.asked.append((spec.number, until_step))
        return commit(self.values[spec.number][self.steps.index(until_step)], 0.5, until_step=until_step)

    def end(self, numbers: Sequence[int], state: str) -> None:
        for number in numbers:
            assert number not in self.ended
            self.ended[number] = state


@settings(deadline=None, max_examples=60)
@given(table=st.lists(st.tuples(values, values), min_size=1, max_size=9), keep=st.integers(1, 4))
def test_every_trial_ends_once_and_in_the_right_state(table: list[tuple[float, float]], keep: int) -> None:
    steps = (10, 30)
    specs = [
        TrialSpec(
            number=number,
            data="",
            fingerprint="",
            hyperparameters=Hyperparameters(architecture=Architecture(name="mlp")),
            total_steps=30,
            decay_from=30,
            seed=0,
            threads=1,
        )
        for number in range(len(table))
    ]
    trials = Recorded({number: list(pair) for number, pair in enumerate(table)}, steps)
    last = halve(trials, specs, Rungs(shares=(1 / 3, 1.0), keep=(keep,)), stage="coarse", round=1)
    assert list(last) == list(range(len(table)))
    assert set(trials.ended) == set(range(len(table)))
    ran_on = [number for number, step in trials.asked if step == 30]
    assert len(ran_on) <= keep
    for number, (first, second) in enumerate(table):
        if first == math.inf:
            assert trials.ended[number] == "diverged"
            assert number not in ran_on
        elif number not in ran_on:
            assert trials.ended[number] == "stopped"
        else:
            assert trials.ended[number] == ("diverged" if second == math.inf else "completed")
