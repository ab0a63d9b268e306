"""Processor time of training steps, measured in turns so that a slow moment of the machine hits all alike."""

import time
from collections.abc import Sequence

from trainwell.lecture.claims.experiment import fit, network
from trainwell.lecture.datasets import Split


def step_seconds(
    activations: Sequence[str], split: Split, *, steps: int, seed: int, rounds: int = 3
) -> dict[str, float]:
    """Processor time of one training step for each activation, the fastest of several rounds.

    Args:
        activations: names of `ACTIVATIONS`.
        split: the data.
        steps: of each timed training, >= 1.
        seed: of weights and batches.
        rounds: how often each is timed, >= 1.
    Returns:
        Activation -> seconds a step.
    """
    best = dict.fromkeys(activations, float("inf"))
    for _ in range(rounds):
        for name in activations:
            model = network((64, 256, 256, 10), name, seed=seed)
            start = time.process_time()
            fit(model, split, lr=0.01, steps=steps, seed=seed)
            best[name] = min(best[name], (time.process_time() - start) / steps)
    return best
