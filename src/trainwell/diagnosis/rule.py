"""What a rule is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainwell.core.records.finding import Confirmed, Finding, Remedy, Severity, Where
from trainwell.core.records.forks import Fork
from trainwell.core.records.observation import Observation, Section
from trainwell.diagnosis.forked import GAIN

PAGE_SECTIONS = ("What it sees", "Why it hurts", "Evidence", "Remedy", "References")
"""Headings of a rule's page, in this order."""


@dataclass(frozen=True)
class Rule:
    """A pure function of the sections it declares to findings.

    Attributes:
        code: such as ACT002; never reused.
        name: kebab-case, such as dead-relu.
        needs: sections without which it cannot speak.
        find: the function; it is handed an Observation that holds the declared sections and no other.
        page: what it sees, why it hurts, evidence, remedy (and how safe it is), references: its file's docstring.
        reads: sections that it uses where they are there. Where `needs` is empty, one of these must be there.
        tries: forks that it wants to see before it speaks of a script's first steps.
        certain: of a warning, whether its numbers are so far out that it stands where no fork can be compared.
        gain: share of the loss by which a fork must lower it to help.
        confirmed_by: forks one of which must help before a warning of it about a script's first steps stands.
    """

    code: str
    name: str
    needs: tuple[Section, ...]
    find: Callable[[Observation], tuple[Finding, ...]]
    page: str
    reads: tuple[Section, ...] = ()
    tries: Callable[[Observation], tuple[Fork, ...]] | None = None
    confirmed_by: tuple[Fork, ...] = ()
    certain: Callable[[Finding], bool] | None = None
    gain: float = GAIN

    def missing(self, observation: Observation) -> tuple[Section, ...]:
        """Sections whose absence keeps the rule from speaking; empty if it can speak."""
        absent = tuple(section for section in self.needs if getattr(observation, section) is None)
        if not self.needs and all(getattr(observation, section) is None for section in self.reads):
            return self.reads
        return absent

    def __call__(self, observation: Observation) -> tuple[Finding, ...]:
        """The rule's findings; none where a needed section is absent."""
        if self.missing(observation):
            return ()
        declared = {section: getattr(observation, section) for section in (*self.needs, *self.reads)}
        return self.find(Observation(**declared))

    def finding(
        self,
        severity: Severity,
        message: str,
        *,
        evidence: Mapping[str, float | int],
        cause: str = "",
        remedies: tuple[Remedy, ...] = (),
        where: Where | None = None,
        confirmed_by: Confirmed | None = None,
    ) -> Finding:
        """A finding with this rule's code and name."""
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=message,
            evidence={name: float(value) for name, value in evidence.items()},
            cause=cause,
            remedies=remedies,
            where=where or Where(),
            confirmed_by=confirmed_by,
        )
