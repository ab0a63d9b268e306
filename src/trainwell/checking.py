"""Why does a script's network not train? Its first steps are heard, and every rule that they suffice for is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from trainwell.capture.runner import Heard, hear
from trainwell.core.errors import ScriptError
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.diagnose import Diagnosis, diagnose

STEPS = 30
"""Optimizer steps that are heard: what the rules see shows itself in the first few."""
SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes:
        target: as it was given.
        heard: how the script went.
        taken: optimizer steps that were seen.
        seconds: from the start of the script to the last word on it.
        diagnosis: findings, and the rules that could not speak.
    """

    target: str
    heard: Heard
    taken: int
    seconds: float
    diagnosis: Diagnosis


def check(
    target: str,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    steps: int = STEPS,
    seconds: float = SECONDS,
    select: Sequence[str] | None = None,
) -> Checked:
    """Run a training script for some steps, unchanged, and say what is wrong with it.

    Args:
        target: a file, or a module's name.
        arguments: its own.
        module: whether `target` is a module, as after python -m.
        steps: optimizer steps that are heard, >= 1.
        seconds: that it may take for them, > 0.
        select: codes of the rules to ask; None for all.
    Returns:
        Findings with their lines, root causes first.
    Raises:
        SettingError: there is no such script, or an argument is outside its range.
        ScriptError: the script raised before a step could be heard, or took none.
    """
    began = perf_counter()
    heard = hear(target, arguments, module=module, steps=steps, seconds=seconds)
    if heard.steps is None or heard.steps.taken == 0:
        raise ScriptError(_no_step(target, heard, seconds), traceback=heard.error)
    return Checked(
        target=target,
        heard=heard,
        taken=heard.steps.taken,
        seconds=perf_counter() - began,
        diagnosis=diagnose(Observation(steps=heard.steps), select=select),
    )


def _no_step(target: str, heard: Heard, seconds: float) -> str:
    """Why there was nothing to hear."""
    said = {
        "stopped": f"took none in {seconds:g} s. Give it more time with --budget",
        "silent": f"took none in {seconds:g} s and did not let itself be stopped. Give it more time with --budget",
        "ended": "ended without one. Check the script that trains, with the arguments after which it does",
        "exited": f"exited with status {heard.status} before the first. Give its arguments after --",
        "raised": "raised the exception above before the first. Run it alone until it trains",
    }[heard.state]
    return f"A check needs optimizer steps of torch.optim to look at, but {target} {said}."
