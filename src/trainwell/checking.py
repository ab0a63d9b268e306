"""Why does a script's network not train? Its first steps are heard, and every rule that they suffice for is asked.

What a rule suspects it confirms by a fork: the script is run again, from its beginning, with one thing changed from
outside. That is slower than to replay what was recorded, and it is the script itself, whatever it does between steps.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from trainwell.capture.runner import Heard, hear
from trainwell.capture.source import is_ignored
from trainwell.core.errors import ScriptError, SettingError
from trainwell.core.records.evidence import LearningCurves
from trainwell.core.records.finding import Finding
from trainwell.core.records.forks import Fork, Forks
from trainwell.core.records.observation import Observation
from trainwell.core.records.steps import Steps
from trainwell.diagnosis.causes import root_causes_first
from trainwell.diagnosis.diagnose import Diagnosis, diagnose, forks_wanted
from trainwell.diagnosis.forked import SHORTEST, are_opposed, in_words, is_alike
from trainwell.mending import mend

if TYPE_CHECKING:
    from trainwell.capture.given import Setup

STEPS = 300
"""Optimizer steps that are heard at most: what is exact shows itself in the first few, what only costs loss later."""
LINGER = 0.1
"""Share of a check's time that steps after the first thirty may take: an evaluation comes after an epoch."""
SECONDS = 60.0
AT_ONCE = 2
"""Forks that run beside each other."""
SLOWER = 1.5
"""A fork may take so many times as long as the run before it: two of them share the processor."""
EXPLAINED = ("OPT001", "OPT014", "DEP003", "DAT010", "DAT011", "OPT017", "SCH005", "REG006", "TRF003")
"""Errors that a fork may find the cause of, or that do not keep the first steps from learning; the others are causes
themselves."""


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
        forks: what was tried beside it; None: nothing was.
    """

    target: str
    heard: Heard
    runs: int
    seconds: float
    diagnosis: Diagnosis
    ignored: int = 0
    forks: Forks | None = None

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
    fix: bool = False,
    select: Sequence[str] | None = None,
    tell: Callable[[Finding], None] | None = None,
) -> Checked:
    """Run a training script for some steps, unchanged, and say what is wrong with it.

    Args:
        target: a file, a file:function that returns what is to be trained, or a module's name.
        arguments: its own.
        module: whether `target` is a module, as after python -m.
        steps: optimizer steps that are heard at most, >= 1; after the first thirty, a tenth of the time is for more.
        seconds: that it may take, > 0.
        once: run the script once and no more: what a rule suspects stays unconfirmed and unsaid.
        fix: try the remedies too, with three other seeds each; that may take as long again for each.
        select: codes of the rules to ask; None for all.
        tell: is handed the first finding that is proven, where the check goes on after it.
    Returns:
        Findings with their lines, root causes first.
    Raises:
        SettingError: there is no such script, or an argument is outside its range.
        ScriptError: the script raised before a step could be heard, or took none.
    """
    run = partial(hear, target, arguments, module=module)
    return _checked(target, run, steps=steps, seconds=seconds, once=once, fix=fix, select=select, tell=tell)


def check_setup(
    setup: "Setup",
    *,
    steps: int = STEPS,
    seconds: float = SECONDS,
    once: bool = False,
    fix: bool = False,
    select: Sequence[str] | None = None,
) -> Checked:
    """Train copies of what a Setup holds for some steps, and say what is wrong with it.

    Args:
        setup: is left as it is, and so are all generators.
        steps: optimizer steps that are heard at most, >= 1; after the first thirty, a tenth of the time is for more.
        seconds: that it may take, > 0.
        once: train once and no more.
        fix: try the remedies too, with three other seeds each.
        select: codes of the rules to ask; None for all.
    Returns:
        Findings, root causes first.
    Raises:
        SettingError: an argument is outside its range.
        ScriptError: no optimizer step was taken.
    """
    from trainwell.capture.rehearse import hear_setup
    from trainwell.capture.to_the_end import train_to_the_end

    if steps < 1 or not seconds > 0:
        raise SettingError(f"`steps >= 1` and `seconds > 0` must hold, but got {steps} and {seconds:g}.")
    run = partial(hear_setup, setup)
    to_the_end = None if once else partial(train_to_the_end, setup)
    return _checked(
        "the Setup",
        run,
        steps=steps,
        seconds=seconds,
        once=once,
        fix=fix,
        select=select,
        at_once=1,
        to_the_end=to_the_end,
    )


def _checked(
    target: str,
    run: Callable[..., Heard],
    *,
    steps: int,
    seconds: float,
    once: bool,
    fix: bool,
    select: Sequence[str] | None,
    at_once: int = AT_ONCE,
    tell: Callable[[Finding], None] | None = None,
    to_the_end: Callable[..., LearningCurves] | None = None,
) -> Checked:
    """The last of the trainings that are taken one after the other; where nothing is wrong with it, those before."""
    began = perf_counter()
    heard = run(steps=steps, linger=LINGER * seconds, seconds=seconds)
    if heard.state == "refused":
        raise SettingError(heard.error)
    while heard.stage and (heard.steps is None or not heard.steps.taken):
        # A network that was made last and not trained, as one that a file is loaded into.
        heard = run(steps=steps, linger=LINGER * seconds, seconds=seconds, stage=heard.stage - 1)
    refused = heard.steps is not None and (heard.steps.refused or any(each.classes for each in heard.steps.targets))
    if heard.steps is None or (heard.steps.taken == 0 and not refused):
        raise ScriptError(_no_step(target, heard, seconds), traceback=heard.error)
    examined = partial(
        _examined, target, began=began, seconds=seconds, once=once, fix=fix, select=select, at_once=at_once, tell=tell
    )
    found = examined(heard, partial(run, stage=heard.stage), to_the_end=to_the_end)
    for stage in reversed(range(heard.stage)):
        left = seconds - (perf_counter() - began)
        if once or found.diagnosis.headline is not None or left < heard.seconds:
            break
        earlier = partial(run, stage=stage)
        heard = earlier(steps=steps, linger=LINGER * seconds, seconds=left)
        if heard.steps is not None and heard.steps.taken:
            other = examined(heard, earlier)
            found = replace(other if other.diagnosis.headline else found, runs=found.runs + other.runs)
    return replace(found, seconds=perf_counter() - began)


def _examined(
    target: str,
    heard: Heard,
    run: Callable[..., Heard],
    *,
    began: float,
    seconds: float,
    once: bool,
    fix: bool,
    select: Sequence[str] | None,
    at_once: int,
    tell: Callable[[Finding], None] | None,
    to_the_end: Callable[..., LearningCurves] | None = None,
) -> Checked:
    """A training that was heard, the forks that it gives reason for, and what the rules say of both."""
    steps = heard.steps
    assert steps is not None
    if heard.state == "ended":
        # It was heard to its end.
        steps = replace(steps, planned=steps.taken)
        heard = replace(heard, steps=steps)
    # What ends by itself is heard to its last evaluation.
    run = partial(run, steps=max(steps.taken, 1) + (heard.state == "ended"))
    observations = _observations(heard)
    made: list[Fork] = []
    told = False
    while True:
        diagnoses = [diagnose(each, select=select) for each in observations]
        left = seconds - (perf_counter() - began)
        wanted, why = _forks_wanted(heard, observations, diagnoses, left=left, once=once, select=select)
        wanted = tuple(each for each in wanted if not any(is_alike(each, other) for other in made))
        wanted = wanted[: _rounds(left, heard) * AT_ONCE]
        proven = [each for each in _joined(diagnoses).findings if each.severity != "info" and _is_proven(each)]
        if tell is not None and proven and (wanted or fix) and not told:
            told = True
            tell(proven[0])
        if not wanted:
            break
        with ThreadPoolExecutor(at_once) as pool:
            made += pool.map(partial(_with_values, partial(run, seconds=left), steps.taken), wanted)
        # What was learnt of them may give reason for others.
        forks = Forks(
            unchanged=steps.values,
            changed=tuple(each for each in made if len(each.values) == steps.taken),
            chance=observations[0].initial_loss.best_constant if observations[0].initial_loss else math.nan,
        )
        observations = tuple(replace(each, forks=forks) for each in observations)
    if not made:
        observations = tuple(replace(each, reasons={**each.reasons, "forks": why}) for each in observations)
    said = _joined([diagnose(each, select=select) for each in observations])
    if to_the_end is not None and said.headline is None:
        # What is wrong from the first steps on shows in the curves as nothing but its consequence.
        observations = _with_curves(observations, partial(to_the_end, seconds=(seconds - perf_counter() + began) / 2))
        said = _joined([diagnose(each, select=select) for each in observations])
    kept = tuple(each for each in said.findings if not is_ignored(each.code, each.where))
    if fix:
        kept = _mended(kept, observations[0].forks, partial(run, seconds=seconds), at_once)
    return Checked(
        target=target,
        heard=heard,
        runs=1 + len(made),
        seconds=perf_counter() - began,
        diagnosis=replace(said, findings=kept),
        ignored=len(said.findings) - len(kept),
        forks=observations[0].forks,
    )


def _with_curves(
    observations: Sequence[Observation], to_the_end: Callable[[], LearningCurves]
) -> tuple[Observation, ...]:
    """With the section `curves`, or why it is missing."""
    from trainwell.capture.dependence import UntoldError

    try:
        curves = to_the_end()
    except UntoldError as error:
        why = str(error)
    except Exception as error:  # the network and its data are the user's, and its step may do what is not known here
        why = f"measured after an epoch, the network raised {type(error).__name__}: {error}".splitlines()[0]
    else:
        return tuple(replace(each, curves=curves) for each in observations)
    return tuple(replace(each, reasons={**each.reasons, "curves": why}) for each in observations)


def _is_proven(finding: Finding) -> bool:
    """Whether nothing that is still tried can make it another finding's consequence."""
    return finding.confirmed_by is not None or (finding.severity == "error" and finding.code not in EXPLAINED)


def _mended(
    findings: Sequence[Finding], forks: Forks | None, run: Callable[..., Heard], at_once: int
) -> tuple[Finding, ...]:
    """The findings, with their roots' remedies tried."""

    def codes(heard: Heard) -> list[str]:
        said = [each for observation in _observations(heard) for each in diagnose(observation).findings]
        return [each.code for each in said if each.severity != "info"]

    found = []
    for each in findings:
        if each.severity == "info":
            found.append(each)
            continue
        made = () if forks is None or each.confirmed_by is None else forks.changed
        fork = next((other for other in made if each.confirmed_by and in_words(other) == each.confirmed_by.fork), None)
        tried = mend(each, run, codes, fork=fork, at_once=at_once)
        found.append(each if tried is None else replace(each, remedies=(tried, *each.remedies[1:])))
    return tuple(found)


def _observations(heard: Heard) -> tuple[Observation, ...]:
    """What was measured; where there are several networks, once for the layers of each."""
    after = heard.afterwards
    first = Observation(
        steps=heard.steps,
        samples=after.samples,
        positions=after.positions,
        inputs=after.inputs,
        randomness=after.randomness,
        workers=after.workers,
        further_labels=after.further_labels,
        evaluation=after.evaluation,
        reasons=after.reasons,
    )
    return tuple(replace(first, initial_loss=start) for start in after.starts) or (first,)


def _joined(diagnoses: Sequence[Diagnosis]) -> Diagnosis:
    """One diagnosis of all networks; what is said of several alike is said once."""
    findings: dict[tuple[object, ...], Finding] = {}
    for diagnosis in diagnoses:
        for each in diagnosis.findings:
            findings.setdefault((each.code, each.message, each.where), each)
    return replace(diagnoses[0], findings=root_causes_first(findings.values()))


def _forks_wanted(
    heard: Heard,
    observations: Sequence[Observation],
    diagnoses: Sequence[Diagnosis],
    *,
    left: float,
    once: bool,
    select: Sequence[str] | None,
) -> tuple[tuple[Fork, ...], str]:
    """What is to be tried; where nothing is, why."""
    said = [each for diagnosis in diagnoses for each in diagnosis.findings]
    if any(each.severity == "error" and each.code not in EXPLAINED for each in said):
        return (), "what was found is a cause itself"
    wanted = tuple(dict.fromkeys(fork for each in observations for fork in forks_wanted(each, select=select)))
    if not wanted:
        return (), "nothing in the first steps gives a reason to try them otherwise"
    why = _incomparable(heard.steps) if heard.steps else "no steps"
    if why or once:
        return (), why or "the script was to be run once"
    if _rounds(left, heard) < 1:
        return (), f"running the script again would take longer than the {max(left, 0):.0f} s left of the budget"
    return wanted, ""


def _rounds(left: float, heard: Heard) -> int:
    """How often forks can be run beside each other in the time that is left."""
    return max(int(left / (SLOWER * heard.seconds)), 0)


def _incomparable(steps: Steps) -> str:
    """Why a lower loss would not mean a better training; empty where it would."""
    if steps.taken < SHORTEST:
        return f"{steps.taken} steps are too few to compare"
    if are_opposed(steps):
        return "several networks or optimizers work for or against each other, and a lower loss of one proves nothing"
    if not steps.losses and not all(value >= 0 or math.isnan(value) for value in steps.values):
        return "the loss is none of those that are known to mean better where they are lower, and goes below 0"
    return ""


def _with_values(run: Callable[..., Heard], taken: int, fork: Fork) -> Fork:
    heard = run(fork=fork)
    if heard.steps is None:
        return fork
    # One that would end by itself may go on where it trains better.
    fork = replace(fork, values=heard.steps.values[:taken], tested=heard.steps.tested)
    seen = heard.steps.classes
    return replace(fork, by_class=seen.losses, tested_by_class=seen.tested_losses) if seen else fork


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
