"""The pages' machinery: markers, measured claims, rules' pages, the README as the first page."""

import importlib.util
import json
import types
from pathlib import Path
from typing import Any

import pytest

from trainwell.diagnosis.rules.table import RULES
from trainwell.lecture.claims.table import CLAIMS
from trainwell.lecture.figures.table import FIGURES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "chapters").glob("*.md"))


@pytest.fixture(scope="module")
def hooks() -> types.ModuleType:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CLAIM: dict[str, Any] = {
    "chapter": "schedules",
    "statement": "A rate falls.",
    "measured": "Digits.",
    "verdict": "not supported",
    "conditions": [
        {
            "name": "|gain|, points",
            "mean": -0.5,
            "spread": 0.25,
            "n": 7,
            "low": -0.75,
            "high": "Infinity",
            "confidence": 0.9875,
            "side": "above",
            "bar": 0.0,
            "holds": False,
        }
    ],
    "numbers": {"best rate": 0.03},
    "n": 3,
    "seeds": [0, 1, 2],
    "cpu_seconds": 12.0,
    "machine": {"processor": "a processor", "versions": {"torch": "2.13.0"}},
}


def test_every_picture_stands_in_a_chapter() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    missing = [name for name in FIGURES if f"{{{{ figure: {name} }}}}" not in text]
    assert missing == []


def test_every_claim_belongs_to_a_chapter_with_a_marker() -> None:
    found = {page.stem for page in PAGES if f"{{{{ claims: {page.stem} }}}}" in page.read_text()}
    chapters = {"smooth": "activations", "squashing": "activations", "rectifiers": "activations"}
    for measure in CLAIMS.values():
        module = measure.__module__.rpartition(".")[2]
        assert chapters.get(module, module) in found


def test_claims_are_written_from_the_measured_lines(
    hooks: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "claims.jsonl"
    monkeypatch.setattr(hooks, "CLAIMS", path)
    hooks.measured.cache_clear()
    assert "Not measured yet" in hooks.claims_of("schedules")
    path.write_text(json.dumps(CLAIM) + "\n")
    hooks.measured.cache_clear()
    text, summary = hooks.claims_of("schedules"), hooks.claims_of("all")
    hooks.measured.cache_clear()
    assert "| [schedules](chapters/schedules.md) | A rate falls. | not supported | 3 |" in summary
    assert "“A rate falls.”** Not supported." in text
    assert "| &#124;gain&#124;, points | −0.5 | −0.75 to ∞ (98.75%) | 0.25 | 7 | above 0 | no |" in text
    assert "| best rate | 0.03 |" in text
    assert "Seeds 0 to 2; 12 s on one thread of a processor, torch 2.13.0." in text


def test_rules_pages_come_from_the_docstrings(hooks: types.ModuleType) -> None:
    index = hooks.rules_index()
    for code, rule in RULES.items():
        page = hooks.rule_page(rule)
        assert page.startswith(f"# {code} {rule.name}\n")
        for heading in hooks.PAGE_SECTIONS:
            assert f"\n## {heading}\n" in page, (code, heading)
        assert f"[{code}]({code}.md)" in index


def test_readme_links_are_moved(hooks: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text(
        "[a](docs/architecture.md#x) [b](LICENSE) [c](https://example.org) ![d](docs/d.png)"
    )
    monkeypatch.setattr(hooks, "ROOT", tmp_path)
    assert hooks.readme() == "[a](architecture.md#x) b [c](https://example.org) ![d](d.png)"
