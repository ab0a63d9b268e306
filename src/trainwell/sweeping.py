"""The learning rate at which somebody's training goes down: its own steps, at rates that rise."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from trainwell.capture.runner import Heard, hear
from trainwell.core.errors import ScriptError, SettingError
from trainwell.core.records.evidence import LrSweep
from trainwell.core.records.forks import Fork

if TYPE_CHECKING:
    from trainwell.capture.given import Setup

STEPS = 100
"""The notes' hundred iterations."""
SECONDS = 120.0
FEWEST = 10
"""Steps: of fewer, nothing can be smoothed."""
HIGHEST_RATE = 10.0
"""SGD on normalized networks goes down at 1 and more."""


def find_lr(
    target: str,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    steps: int = STEPS,
    seconds: float = SECONDS,
) -> LrSweep:
    """Run a script's first steps at rates that rise from 1e-6 to 10, and read where its loss falls.

    Args:
        target: a file, a file:function that returns what is to be trained, or a module's name.
        arguments: its own.
        module: whether `target` is a module, as after python -m.
        steps: of the sweep, >= 10.
        seconds: that it may take, > 0.
    Returns:
        The section `lr_sweep`: the rate, the interval, whether the loss falls at all, the curve.
    Raises:
        SettingError: there is no such script, or an argument is outside its range.
        ScriptError: the script took too few steps.
    """
    return _swept(target, partial(hear, target, arguments, module=module), steps=steps, seconds=seconds)


def find_lr_of_setup(setup: "Setup", *, steps: int = STEPS, seconds: float = SECONDS) -> LrSweep:
    """Train copies of what a Setup holds at rising rates.

    Args:
        setup: is left as it is, and so are all generators.
        steps: of the sweep, >= 10.
        seconds: that it may take, > 0.
    Returns:
        The section `lr_sweep`.
    Raises:
        SettingError: an argument is outside its range.
    """
    from trainwell.capture.rehearse import hear_setup

    return _swept("the Setup", partial(hear_setup, setup), steps=steps, seconds=seconds)


def _swept(target: str, run: Callable[..., Heard], *, steps: int, seconds: float) -> LrSweep:
    from trainwell.capture.interventions import LOWEST_RATE
    from trainwell.probes.lr_sweep import SweepReading

    if steps < FEWEST or not seconds > 0:
        raise SettingError(f"`steps >= {FEWEST}` and `seconds > 0` must hold, but got {steps} and {seconds:g}.")
    ratio = (HIGHEST_RATE / LOWEST_RATE) ** (1.0 / (steps - 1))
    heard = run(steps=steps, seconds=seconds, fork=Fork(changed="learning rate sweep", factor=ratio))
    if heard.state == "refused":
        raise SettingError(heard.error)
    values = heard.steps.values if heard.steps else ()
    reading = SweepReading(steps)
    for step, value in enumerate(values):
        if reading.add(LOWEST_RATE * ratio**step, value):
            break
    else:
        if len(values) < steps:
            raise ScriptError(
                f"A sweep needs {steps} optimizer steps, but {target} took {len(values)} in {seconds:g} s. Give it "
                "more time with --budget, or ask for fewer with --steps.",
                traceback=heard.error,
            )
    if not any(map(math.isfinite, values)):
        raise ScriptError(f"A sweep needs a loss, but the loss of {target} was never a finite number.")
    return reading.sweep()
