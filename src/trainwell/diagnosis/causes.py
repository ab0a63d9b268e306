"""One fault, one headline: which finding follows from which."""

import dataclasses
from collections.abc import Iterable

from trainwell.core.records.finding import Finding, Severity

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


def root_causes_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with the roots first; what follows from another finding becomes info and says from which.

    Args:
        findings: in any order.
    Returns:
        The same findings: roots by severity and then by family, consequences after them.
    """
    given = tuple(findings)
    # An info is a convention, not a proven cause: nothing is explained by it.
    roots = {finding.code for finding in given if finding.severity != "info"}
    sorted_ = [_as_consequence(finding, roots) for finding in given]
    return tuple(sorted(sorted_, key=lambda finding: (SEVERITIES.index(finding.severity), _rank(finding.code))))


def follows_from(code: str, present: Iterable[str]) -> str | None:
    """The code among those present that a finding follows from; None for a root.

    Example:
        >>> follows_from("REG001", ["DAT009", "REG001"])
        'DAT009'
    """
    there = set(present)
    return next((cause for cause in FOLLOWS_FROM.get(code, ()) if cause in there), None)


def _as_consequence(finding: Finding, roots: set[str]) -> Finding:
    cause = follows_from(finding.code, roots)
    if cause is None or finding.severity == "info":
        return finding
    said = f"Follows from {cause}. {finding.cause}".strip()
    return dataclasses.replace(finding, severity="info", cause=said, follows_from=cause)


def _rank(code: str) -> tuple[int, str]:
    return (FAMILIES.index(code[:3]), code)


FAMILIES = ("DAT", "DEP", "INI", "ACT", "OPT", "TRF", "REG", "SCH")
"""In the order in which a fault of one shows as symptoms of the next."""

_BAD_START = ("INI001", "INI002", "INI003", "ACT001", "ACT002", "INI004")
_BAD_STEPS = ("OPT014", "OPT001", "OPT002", "OPT013")

FOLLOWS_FROM: dict[str, tuple[str, ...]] = {
    "DAT002": ("DAT003", "TRF001"),
    "DAT003": ("TRF001",),
    "DAT005": ("DAT003", "ACT006", "OPT002", "OPT003", "OPT006", "OPT007", "OPT009", "OPT016", "DEP003"),
    "DAT009": (
        *(
            "DAT001",
            "DAT002",
            "DAT003",
            "DAT007",
            "DAT008",
            "TRF001",
            "INI001",
            "INI003",
            "INI005",
            "ACT001",
            "ACT002",
            "ACT006",
        ),
        *("OPT002", "OPT003", "OPT006", "OPT007", "OPT009", "OPT016", "DEP001", "DEP003", "REG004", "REG005"),
    ),
    "DEP003": (
        *("DAT001", "DAT003", "INI001", "INI003", "ACT001", "ACT002", "ACT006", "ACT007"),
        *("TRF002", "REG004", "OPT002", "OPT012", "OPT016"),
    ),
    "INI001": ("OPT018",),
    "INI003": ("TRF001",),
    "INI002": ("INI001", "ACT003"),
    "INI004": ("DAT001", "DAT003", "DAT004", "OPT014", "INI003", "INI005", "ACT001", "TRF001"),
    "INI005": ("INI001", "INI002", "INI003", "ACT001", "ACT002", "ACT003"),
    "ACT001": ("INI003",),
    "ACT002": ("INI001",),
    "ACT007": ("DAT008",),
    "OPT001": ("OPT008", "OPT015", "OPT016", "DAT001", "DAT003", "DAT004", "DAT008", "INI003", "OPT002"),
    "OPT002": (
        *("DAT002", "DAT003", "DAT004", "DAT008", "DEP001", "TRF001", "TRF002", "REG004", "REG005", "OPT005", "OPT012"),
        *("INI001", "INI003", "INI005", "ACT001", "ACT002", "ACT006"),
    ),
    "OPT003": ("DAT003", "INI001", "INI004", "INI002", "ACT001", "ACT006", "OPT004", "OPT015", "OPT018", "SCH005"),
    "OPT004": ("INI001", "INI002", "INI005", "ACT001", "ACT003"),
    "OPT005": ("INI003", "INI005", "ACT001", "OPT015"),
    "OPT010": ("DAT001", "INI001", "INI002", "INI003", "ACT001", "ACT002", "OPT014"),
    "OPT013": ("DAT008", "OPT001", "OPT002"),
    "OPT014": ("OPT001", "DAT001", "DAT003", "DAT004", "INI003", "OPT002", "TRF001", "TRF002", "OPT015"),
    "REG006": ("OPT006",),
    "REG001": ("DAT007", "DAT008", "DAT009", "DAT010", *_BAD_START, *_BAD_STEPS, "OPT009"),
    "REG002": ("DAT001", "DAT008", *_BAD_START, *_BAD_STEPS, "OPT003", "OPT018", "SCH002", "SCH004", "SCH005"),
    "SCH001": ("OPT001", "OPT002", "OPT013", "SCH005"),
    "SCH002": ("SCH005",),
    "SCH003": (*_BAD_START, "OPT003", "SCH004"),
    "SCH004": _BAD_START,
}
"""Consequence -> causes, the deepest first (DESIGN: a consequence is never a headline)."""
