"""A check as SARIF 2.1.0 (OASIS, Static Analysis Results Interchange Format): one run, a result a finding."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from trainwell.core.version import VERSION

if TYPE_CHECKING:
    from trainwell.checking import Checked
    from trainwell.core.records.finding import Finding, Where
    from trainwell.diagnosis.rule import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
"""What relative paths are relative to, by the name that others use for it."""
LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(found: "Checked", *, verbose: bool) -> dict[str, Any]:
    """The whole log.

    Args:
        found: what a check found.
        verbose: whether findings of severity info are results too.
    Returns:
        What JSON takes.
    """
    from trainwell.diagnosis.rules.table import RULES
    from trainwell.recipe.machine import versions

    places = {code: place for place, code in enumerate(RULES)}
    shown = [each for each in found.diagnosis.findings if verbose or each.severity != "info"]
    driver = {"name": "trainwell", "version": VERSION, "rules": [_rule(rule) for rule in RULES.values()]}
    said = {"steps": found.taken, "runs": found.runs, "seconds": round(found.seconds, 3), "versions": versions()}
    run = {
        "tool": {"driver": driver},
        # The folder itself is not told: whoever reads the log knows where the sources are.
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder in which trainwell was run."}}},
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [*_of_script(found), *_of_rules(found, places)],
                "properties": said,
            }
        ],
        "results": _results(found, shown, places),
        "columnKind": "unicodeCodePoints",
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: "Rule") -> dict[str, Any]:
    from trainwell.diagnosis.rule import PAGE_SECTIONS

    sections: dict[str, str] = {}
    markdown = [f"# {rule.code} {rule.name}"]
    for paragraph in rule.page.strip().split("\n\n"):
        heading, colon, text = paragraph.partition(":")
        if colon and heading in PAGE_SECTIONS:
            sections[heading] = " ".join(text.split())
            markdown += [f"## {heading}", text.strip()]
        else:
            markdown.append(paragraph)
    sees = sections.get("What it sees", rule.name)
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.name.replace("-", " ").capitalize() + "."},
        "fullDescription": {"text": sees[:1].upper() + sees[1:]},
        "help": {"text": rule.page.strip(), "markdown": "\n\n".join(markdown)},
    }


def _results(found: "Checked", shown: list["Finding"], places: dict[str, int]) -> list[dict[str, Any]]:
    seen: Counter[str] = Counter()
    results = []
    for each in shown:
        print_ = _fingerprint(each)
        seen[print_] += 1
        result = {
            "ruleId": each.code,
            "ruleIndex": places[each.code],
            "level": LEVELS[each.severity],
            "message": {"text": _message(each)},
            # Two alike on one line are told apart by their order.
            "partialFingerprints": {"trainwell/v1": f"{print_}:{seen[print_]}"},
            "properties": {"evidence": each.evidence, "remedies": [remedy.text for remedy in each.remedies]},
        }
        location = _location(each.where, found)
        results.append(result | ({"locations": [location]} if location else {}))
    return results


def _message(finding: "Finding") -> str:
    remedies = [f"Remedy: {remedy.text}" for remedy in finding.remedies]
    return "\n".join(line for line in (finding.message, finding.cause, *remedies) if line)


def _location(where: "Where", found: "Checked") -> dict[str, Any]:
    # What no line is known of stands at the script's first: code scanning shows no alert without one.
    file = where.file or _script(found.target)
    location: dict[str, Any] = {}
    if file is not None:
        line = where.line if where.file and where.line else 1
        location["physicalLocation"] = {"artifactLocation": _artifact(file), "region": {"startLine": line}}
    if where.layer:
        location["logicalLocations"] = [{"fullyQualifiedName": where.layer, "kind": "layer"}]
    return location


def _script(target: str) -> str | None:
    """The file of a target, which may be a module's name; None where it is not in this folder."""
    path = target.replace(".", "/")
    return next((each for each in (target, f"{path}.py", f"{path}/__main__.py") if Path(each).is_file()), None)


def _artifact(file: str) -> dict[str, str]:
    path = Path(file)
    if path.is_absolute():
        if not path.is_relative_to(Path.cwd()):
            return {"uri": path.as_uri()}
        path = path.relative_to(Path.cwd())
    return {"uri": quote(path.as_posix()), "uriBaseId": ROOT}


def _fingerprint(finding: "Finding") -> str:
    """The same for the same fault of the same line, wherever the line moves within its file."""
    where = finding.where
    parts = (finding.code, where.file or "", where.layer or "", _text_of(where))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _text_of(where: "Where") -> str:
    if where.file is None or where.line is None:
        return ""
    try:
        lines = Path(where.file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(lines[where.line - 1].split()) if where.line <= len(lines) else ""


def _of_script(found: "Checked") -> list[dict[str, Any]]:
    """What the script itself said, and what of it was not seen."""
    said = (("script-raised", found.heard.error), ("not-observed", found.heard.trouble))
    return [{"descriptor": {"id": name}, "level": "warning", "message": {"text": text}} for name, text in said if text]


def _of_rules(found: "Checked", places: dict[str, int]) -> list[dict[str, Any]]:
    """The rules that could not speak, each with its reason."""
    return [
        {
            "descriptor": {"id": "not-run"},
            "associatedRule": {"id": each.code, "index": places[each.code]},
            "level": "note",
            "message": {"text": each.why},
        }
        for each in found.diagnosis.not_run
    ]
