"""Why does a script's network not train? Its first steps are heard, and every rule that they suffice for is asked.

What a rule suspects it confirms by a fork: the script is run again, from its beginning, with one thing changed from
outside. That is slower than to replay what was recorded, and it is the script itself, whatever it does between steps.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from trainwell.capture.runner import Heard, hear
from trainwell.capture.source import is_ignored
from trainwell.core.errors import ScriptError
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.diagnose import Diagnosis, diagnose
from trainwell.diagnosis.forked import SHORTEST
from trainwell.diagnosis.rules.data import input_badly_scaled
from trainwell.diagnosis.rules.optimization import learning_rate_too_high

STEPS = 30
"""Optimizer steps that are heard: what the rules see shows itself in the first few."""
SECONDS = 60.0
SLOWER = 1.5
"""A fork may take so many times as long as the run before it: two of them share the processor."""
EXPLAINED = ("OPT014",)
"""Errors that a fork may find the cause of; the others are causes themselves."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes:
        target: as it was given.
        heard: how the script went.
        runs: how often it was run.
        seconds: from the start of the script to the last word on it.
        diagnosis: findings, and the rules that could not speak.
        ignored: findings that a comment at their line asks not to be told.
    """

    target: str
    heard: Heard
    runs: int
    seconds: float
    diagnosis: Diagnosis
    ignored: int = 0

    @property
    def taken(self) -> int:
        """Optimizer steps that were seen."""
        return self.heard.steps.taken if self.heard.steps else 0


def check(
    target: str,
    arguments: Sequence[str] = (),
    *,
    module: bool = False,
    steps: int = STEPS,
    seconds: float = SECONDS,
    once: bool = False,
    select: Sequence[str] | None = None,
) -> Checked:
    """Run a training script for some steps, unchanged, and say what is wrong with it.

    Args:
        target: a file, or a module's name.
        arguments: its own.
        module: whether `target` is a module, as after python -m.
        steps: optimizer steps that are heard, >= 1.
        seconds: that it may take, > 0.
        once: run the script once and no more: what a rule suspects stays unconfirmed and unsaid.
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
    observation = Observation(
        steps=heard.steps, samples=heard.samples, positions=heard.positions, reasons=heard.reasons
    )
    diagnosis = diagnose(observation, select=select)
    left = seconds - (perf_counter() - began)
    wanted, why = _forks_wanted(heard, diagnosis, left=left, once=once)
    if wanted:
        run = partial(hear, target, arguments, module=module, steps=steps, seconds=left)
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda fork: _with_values(fork, run(fork=fork)), wanted))
        alike = tuple(fork for fork in found if len(fork.values) == heard.steps.taken)
        observation = replace(observation, forks=Forks(unchanged=heard.steps.values, changed=alike))
    else:
        observation = replace(observation, reasons={**observation.reasons, "forks": why})
    said = diagnose(observation, select=select)
    kept = tuple(each for each in said.findings if not is_ignored(each.code, each.where))
    return Checked(
        target=target,
        heard=heard,
        runs=1 + len(wanted),
        seconds=perf_counter() - began,
        diagnosis=replace(said, findings=kept),
        ignored=len(said.findings) - len(kept),
    )


def _forks_wanted(heard: Heard, diagnosis: Diagnosis, *, left: float, once: bool) -> tuple[tuple[Fork, ...], str]:
    """What is to be tried; where nothing is, why."""
    steps = heard.steps
    if steps is None or any(each.severity == "error" and each.code not in EXPLAINED for each in diagnosis.findings):
        return (), "what was found is a cause itself"
    wanted: tuple[Fork, ...] = ()
    if learning_rate_too_high.suspected(steps):
        factors = (learning_rate_too_high.NARROW, learning_rate_too_high.WORTH_MORE)
        wanted += tuple(Fork(changed="learning rate", factor=factor) for factor in factors)
    if input_badly_scaled.suspected(steps):
        wanted += (Fork(changed="standardized input"),)
    if not wanted:
        return (), "nothing in the first steps gives a reason to try them otherwise"
    why = _incomparable(steps)
    if not why and once:
        why = "the script was to be run once"
    if not why and SLOWER * heard.seconds * -(-len(wanted) // 2) > left:
        why = f"running the script again would take longer than the {max(left, 0):.0f} s left of the budget"
    return ((), why) if why else (wanted, "")


def _incomparable(steps: Steps) -> str:
    """Why a lower loss would not mean a better training; empty where it would."""
    if steps.taken < SHORTEST:
        return f"{steps.taken} steps are too few to compare"
    if steps.networks != 1 or len(steps.gradients) != 1:
        return "several networks or optimizers work for or against each other, and a lower loss of one proves nothing"
    if not steps.losses:
        return "the loss is none of those that are known to mean better where they are lower"
    return ""


def _with_values(fork: Fork, heard: Heard) -> Fork:
    return replace(fork, values=heard.steps.values if heard.steps else ())


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
