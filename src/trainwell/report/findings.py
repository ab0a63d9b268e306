"""What the rules say, on the page."""

from collections.abc import Iterable

from trainwell.core.records.finding import Finding
from trainwell.core.records.run import RunRecord
from trainwell.pictures.text import number
from trainwell.report.markup import Markup, element, together
from trainwell.report.parts import bullets, fold, pairs, paragraph, section

_ORDER = {"error": 0, "warning": 1, "info": 2}


def short(finding: Finding) -> Markup:
    """One line inside a step.

    Args:
        finding: of a rule.
    Returns:
        Severity, code and message.
    """
    return together(_badge(finding), " ", element("code", finding.code), f" {finding.message}")


def findings(run: RunRecord) -> Markup:
    """All findings with cause and remedies, the worst first.

    Args:
        run: finished or not.
    Returns:
        A section.
    """
    told = run.result.findings if run.result is not None else ()
    seen = list(dict.fromkeys([_key(one) for one in told]))
    found = {_key(one): one for one in (*told, *(one for visit in run.evidence for one in visit.findings))}
    ordered = sorted(found.values(), key=lambda one: (_ORDER[one.severity], _key(one) not in seen, one.code))
    loud = [one for one in ordered if one.severity != "info"]
    quiet = [one for one in ordered if one.severity == "info"]
    nothing = None if loud else paragraph("No rule found a fault.")
    hints = fold(f"{len(quiet)} hints that need no action", *map(_card, quiet)) if quiet else None
    return section("Findings", nothing, *map(_card, loud), hints, key="findings")


def _key(finding: Finding) -> tuple[str, str, str | None]:
    return finding.code, finding.message, finding.where.layer


def _card(finding: Finding) -> Markup:
    where = finding.where
    place = ", ".join(_known((where.layer and f"layer {where.layer}", where.file, where.line and f"line {where.line}")))
    remedies = [
        together(remedy.text, *((" ", element("span", "proven", class_="good badge")) if remedy.proven else ()))
        for remedy in finding.remedies
    ]
    evidence = [(name.replace("_", " "), number(value)) for name, value in finding.evidence.items()]
    return element(
        "article",
        element("h3", _badge(finding), " ", element("code", finding.code), f" {finding.name}"),
        paragraph(finding.message),
        paragraph(f"Where: {place}.", class_="why") if place else None,
        paragraph(f"Cause: {finding.cause}") if finding.cause else None,
        together(paragraph("Remedies, the smallest first:"), bullets(remedies)) if remedies else None,
        pairs(evidence) if evidence else None,
        class_="finding",
    )


def _badge(finding: Finding) -> Markup:
    kind = {"error": "bad badge", "warning": "fair badge", "info": "badge"}[finding.severity]
    return element("span", finding.severity, class_=kind)


def _known(values: Iterable[str | int | None]) -> list[str]:
    return [str(value) for value in values if value]
