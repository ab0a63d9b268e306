"""Every rule on one observation."""

from collections.abc import Collection
from dataclasses import dataclass

from trainwell.core.errors import SettingError, suggestion
from trainwell.core.records.finding import Finding
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.causes import root_causes_first
from trainwell.diagnosis.forked import confirmed
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.rules.table import RULES


@dataclass(frozen=True)
class NotRun:
    """A rule that could not speak, and why."""

    code: str
    why: str


@dataclass(frozen=True)
class Diagnosis:
    """What the rules say.

    Attributes:
        findings: root causes first, within them the severest first.
        not_run: rules whose sections were not measured.
        spoke: how many rules were asked and could speak.
    """

    findings: tuple[Finding, ...]
    not_run: tuple[NotRun, ...]
    spoke: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing above info was found."""
        return all(finding.severity == "info" for finding in self.findings)

    @property
    def headline(self) -> Finding | None:
        """The first finding above info."""
        return next((finding for finding in self.findings if finding.severity != "info"), None)


def diagnose(observation: Observation, *, select: Collection[str] | None = None) -> Diagnosis:
    """Ask every rule whose sections were measured.

    Args:
        observation: what was measured.
        select: codes of the rules to ask; None for all.
    Returns:
        Findings in order, and the rules that could not speak.
    Raises:
        SettingError: `select` names a rule that does not exist.
    Example:
        >>> diagnose(Observation()).findings
        ()
    """
    asked = tuple(RULES) if select is None else tuple(select)
    unknown = [code for code in asked if code not in RULES]
    if unknown:
        raise SettingError(
            f"`select` takes codes of rules, but got {', '.join(unknown)}. {suggestion(unknown[0], RULES)}"
        )
    findings: list[Finding] = []
    not_run: list[NotRun] = []
    for code in asked:
        missing = RULES[code].missing(observation)
        if missing:
            said = [observation.reasons[section] for section in missing if section in observation.reasons]
            unsaid = f"not measured: {', '.join(section.replace('_', ' ') for section in missing)}"
            not_run.append(NotRun(code, said[0] if said else unsaid))
        else:
            findings.extend(_told(RULES[code], observation))
    return Diagnosis(root_causes_first(findings), tuple(not_run), spoke=len(asked) - len(not_run))


def forks_wanted(observation: Observation, *, select: Collection[str] | None = None) -> tuple[Fork, ...]:
    """What is to be tried before the rules can speak of a script's first steps, without repetition.

    Args:
        observation: what was measured.
        select: codes of the rules to ask; None for all.
    """
    wanted: dict[Fork, None] = {}
    for code in RULES if select is None else select:
        rule = RULES[code]
        if rule.tries is not None:
            wanted |= dict.fromkeys(rule.tries(observation))
        if rule.confirmed_by and any(each.severity == "warning" for each in rule(observation)):
            wanted |= dict.fromkeys(rule.confirmed_by)
    return tuple(wanted)


def _told(rule: Rule, observation: Observation) -> tuple[Finding, ...]:
    """A rule's findings; of a script's steps, what only a fork can show is told where a fork shows it."""
    found = rule(observation)
    if observation.steps is None or not rule.confirmed_by:
        return found

    def stands(finding: Finding) -> bool:
        if finding.severity != "warning" or finding.confirmed_by is not None:
            return True
        return observation.forks is None and rule.certain is not None and rule.certain(finding)

    return tuple(
        each if stands(each) else confirmed(each, rule.confirmed_by, observation.forks, gain=rule.gain)
        for each in found
    )
