"""The first steps of a Setup, taken on copies and heard, in this process."""

import math
import runpy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from trainwell.capture.given import Setup, Training, as_setup, begin, draws_kept
from trainwell.capture.interventions import changed
from trainwell.capture.listener import Listener
from trainwell.capture.runner import Enough, Heard
from trainwell.core.errors import SettingError, suggestion
from trainwell.core.records.afterwards import Afterwards
from trainwell.core.records.forks import Fork
from trainwell.core.seeds import seeded

MOST_BATCHES = 100
"""Calls of a user's step for each optimizer step at most: one that never takes any would go on for ever."""


def hear_setup(
    setup: Setup,
    *,
    steps: int,
    seconds: float,
    linger: float = math.inf,
    fork: Fork | None = None,
    seed: int = 0,
    stage: int | None = None,  # noqa: ARG001 - asked as a script is, which may hold several
) -> Heard:
    """Train copies of what a Setup holds for some steps, and hear them.

    What the network, the loss or the step raises is the author's, and is not caught.

    Args:
        setup: is left as it is, and so are all generators.
        steps: to take, >= 1.
        seconds: to take them in, > 0.
        linger: seconds after the first thirty, after which no further is begun.
        fork: one thing that is changed; None: nothing.
        seed: of another run, beside the Setup's own.
        stage: of the trainings; a Setup holds one.
    """
    began = perf_counter()
    listener = Listener(lambda _: None)
    with draws_kept(setup.train, setup.val), seeded(setup.seed, "check", seed):
        training = begin(replace(setup, seed=setup.seed + seed))
        with listener.listening(), changed(fork) if fork else nullcontext():
            enough, until = Enough(steps, linger), began + seconds
            train(training, listener, enough=lambda taken: enough.at(taken) or perf_counter() > until)
        after = listener.afterwards() if fork is None else Afterwards()
    return Heard(
        state="stopped",
        steps=listener.heard(),
        trouble="; ".join(listener.troubles),
        seconds=perf_counter() - began,
        afterwards=after,
    )


def setup_of(file: str, function: str) -> Setup:
    """What a function of a file returns.

    Args:
        file: of Python; it is run, and not as the main program.
        function: its name, of no arguments.
    Raises:
        SettingError: there is no such function, or what it returns is no Setup.
    """
    names = runpy.run_path(file, run_name=Path(file).stem)
    made = names.get(function)
    if not callable(made):
        raise SettingError(f"`{function}` must be a function of {file}. {suggestion(function, _functions(names))}")
    return as_setup(made(), of=f"{function} of {file}")


def _functions(names: dict[str, Any]) -> list[str]:
    return [name for name, each in names.items() if callable(each) and not name.startswith("_")]


def train(training: Training, listener: Listener, *, enough: Callable[[int], bool]) -> None:
    """Take steps until enough were heard.

    Args:
        training: goes on.
        listener: counts them.
        enough: whether so many were; it is asked after each batch.
    """
    for number, batch in enumerate(training.batches):
        training.step(training.model, batch, training.loss, training.optimizer)
        if enough(listener.scene.taken) or number > MOST_BATCHES * (1 + listener.scene.taken):
            return
