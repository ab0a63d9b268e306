"""All rules on one observation."""

from dataclasses import replace
from typing import Any

import pytest

from trainwell.core.errors import SettingError
from trainwell.core.jsonio import from_json, to_json
from trainwell.core.records.finding import Finding
from trainwell.core.records.observation import Observation
from trainwell.diagnosis.causes import follows_from, root_causes_first
from trainwell.diagnosis.diagnose import diagnose
from trainwell.diagnosis.rule import Rule
from trainwell.diagnosis.rules.table import RULES


def finding(code: str, severity: Any = "warning") -> Finding:
    return Finding(code=code, name=RULES[code].name, severity=severity, message="It is so.", cause="Because.")


def test_nothing_measured_nothing_run() -> None:
    diagnosis = diagnose(Observation())
    assert diagnosis.findings == ()
    assert diagnosis.passed
    assert [line.code for line in diagnosis.not_run] == list(RULES)
    why = {line.code: line.why for line in diagnosis.not_run}
    assert why["DAT009"] == "not measured: look, curves, data, steps, initial loss, forks"
    assert why["OPT010"] == "not measured: small sample"
    assert why["OPT014"] == "not measured: initial loss, steps, curves"


def test_only_what_is_selected(lab: Any) -> None:
    start = lab.initial_loss(lab.mlp(64, 64, 64, 10, std=0.0), lab.digits())
    diagnosis = diagnose(Observation(initial_loss=start), select=["ACT002", "REG001"])
    assert [found.code for found in diagnosis.findings] == ["ACT002"]
    assert [line.code for line in diagnosis.not_run] == ["REG001"]


def test_unknown_code_is_refused() -> None:
    with pytest.raises(SettingError, match=r"`select` takes codes of rules, but got ACT022\. Did you mean"):
        diagnose(Observation(), select=["ACT022"])


def test_rule_sees_the_declared_sections_alone(lab: Any) -> None:
    seen: list[Observation] = []

    def find(observation: Observation) -> tuple[Finding, ...]:
        seen.append(observation)
        return ()

    rule = Rule(code="DAT099", name="spy", needs=("data",), reads=("curves",), find=find, page="")
    split = lab.digits()
    rule(Observation(data=lab.record(split), look=lab.look(split)))
    assert seen[0].data is not None
    assert seen[0].look is None
    assert rule.missing(Observation(look=lab.look(split))) == ("data",)


def test_roots_first_then_severity_then_family() -> None:
    given = [
        finding("SCH004"),
        finding("REG001"),
        finding("OPT001", "error"),
        finding("INI002"),
        finding("DAT005", "info"),
    ]
    ordered = root_causes_first(given)
    assert [found.code for found in ordered] == ["OPT001", "INI002", "DAT005", "REG001", "SCH004"]
    assert [found.severity for found in ordered] == ["error", "warning", "info", "info", "info"]
    assert ordered[-1].cause == "Follows from INI002. Because."


def test_an_info_explains_nothing() -> None:
    given = (finding("INI004", "info"), finding("SCH004"))
    assert [found.severity for found in root_causes_first(given)] == ["warning", "info"]
    assert follows_from("SCH004", ["REG001"]) is None


def test_findings_survive_json(lab: Any) -> None:
    broken = lab.initial_loss(lab.mlp(64, 64, 10), replace(lab.digits(), x=lab.digits().x * float("nan")))
    findings = diagnose(Observation(initial_loss=broken)).findings
    assert findings
    for found in findings:
        assert to_json(from_json(Finding, to_json(found))) == to_json(found)
