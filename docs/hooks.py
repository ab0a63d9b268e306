"""What the pages are made of besides Markdown, at every build: pictures drawn live, claims as they were measured, and
the rules' pages from their docstrings.

In a page, `{{ figure: NAME }}` is a picture of `trainwell.lecture`, `{{ claims: CHAPTER }}` the measured claims of a
chapter out of benchmarks/results/claims.jsonl, `{{ claims: all }}` their verdicts in one table.
"""

import functools
import html
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from trainwell.diagnosis.rule import PAGE_SECTIONS, Rule
from trainwell.diagnosis.rules.table import RULES
from trainwell.lecture.figures.table import FIGURES
from trainwell.lecture.writing import caption, page_svg
from trainwell.pictures.text import number

ROOT = Path(__file__).resolve().parent.parent
CLAIMS = ROOT / "benchmarks" / "results" / "claims.jsonl"
RULE_PICTURES = ROOT / "docs" / "img" / "rules"
"""Of the trainings that fire the rules in their tests: `pytest tests/diagnosis/test_rules.py --draw docs/img/rules`."""
FAMILIES = {
    "DAT": "Data",
    "ACT": "Activations",
    "INI": "Initialization",
    "OPT": "Optimization",
    "REG": "Regularization",
    "SCH": "Schedule",
    "DEP": "Dependencies",
    "TRF": "Transfer",
}

_MARKER = re.compile(r"^\{\{ (figure|claims): ([\w ]+) \}\}$", re.MULTILINE)
_PLACE = re.compile(r'<div data-figure="(\w+)"></div>')
_RULE = re.compile(r'<div data-rule="(\w+)"></div>')
_SAID = re.compile(r'aria-label="([^"]*)"')
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")


_NOT_MEASURED = "*Not measured yet: run `python benchmarks/claims.py`.*"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The rules' pages enter the navigation, and the architecture only where it is written."""
    nav = [entry for entry in config.nav or [] if not isinstance(entry, str) or entry == "index.md" or _exists(entry)]
    pages = [{f"{code} {rule.name}": f"rules/{code}.md"} for code, rule in RULES.items()]
    at = next((place for place, entry in enumerate(nav) if entry == "glossary.md"), len(nav))
    nav.insert(at, {"Rules": ["rules/index.md", *pages]})
    config.nav = nav
    return config


def _exists(page: str) -> bool:
    return (ROOT / "docs" / page).is_file()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The first page is the README; a page a rule, and one that lists them."""
    if files.get_file_from_path("index.md") is None:
        files.append(File.generated(config, "index.md", content=readme()))
    files.append(File.generated(config, "rules/index.md", content=rules_index()))
    for rule in RULES.values():
        files.append(File.generated(config, f"rules/{rule.code}.md", content=rule_page(rule)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Markers become what they stand for."""

    def filled(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind == "claims":
            return claims_of(name)
        if name not in FIGURES:
            raise PluginError(f"{page.file.src_path}: there is no picture {name!r} in FIGURES.")
        return f'<div data-figure="{name}"></div>'

    return _MARKER.sub(filled, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Pictures go in after Markdown, which has no business in an SVG."""

    def drawn(match: re.Match[str]) -> str:
        below = html.escape(caption(match[1]))
        return f'<figure class="picture">{picture(match[1])}<figcaption>{below}</figcaption></figure>'

    def kept(match: re.Match[str]) -> str:
        svg = (RULE_PICTURES / f"{match[1]}.svg").read_text("utf-8")
        said = _SAID.search(svg)
        return f'<figure class="picture">{svg}<figcaption>{said[1] if said else ""}</figcaption></figure>'

    return _RULE.sub(kept, _PLACE.sub(drawn, content))


@functools.cache
def picture(name: str) -> str:
    """A picture, drawn once a build."""
    return page_svg(name)


def readme() -> str:
    """README.md, its links as they must be from here."""

    def moved(match: re.Match[str]) -> str:
        image, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if re.match(r"\w+:", target):
            return match[0]
        if target.startswith("docs/"):
            return f"{image}[{text}]({target.removeprefix('docs/')}{anchor})"
        return text

    path = ROOT / "README.md"
    return _LINK.sub(moved, path.read_text()) if path.is_file() else "# trainwell\n"


@functools.cache
def measured() -> tuple[dict[str, Any], ...]:
    """The claims as `benchmarks/claims.py` left them."""
    if not CLAIMS.is_file():
        return ()
    return tuple(json.loads(line) for line in CLAIMS.read_text().splitlines())


def claims_of(chapter: str) -> str:
    """The measured claims of a chapter in Markdown; of "all", their verdicts."""
    if chapter == "all":
        return claims_summary()
    found = [claim for claim in measured() if claim["chapter"] == chapter]
    if not found:
        return _NOT_MEASURED
    return "\n\n".join(claim_block(claim) for claim in found)


def claims_summary() -> str:
    """All claims in one table, with their verdicts."""
    if not measured():
        return _NOT_MEASURED
    lines = ["| chapter | the notes say | verdict | n |", "|---|---|---|---|"]
    for claim in measured():
        chapter = claim["chapter"]
        lines.append(
            f"| [{chapter}](chapters/{chapter}.md) | {_cell(claim['statement'])} | {claim['verdict']} | {claim['n']} |"
        )
    return "\n".join(lines)


def claim_block(claim: dict[str, Any]) -> str:
    """One claim: statement, verdict, conditions with interval and n, and what else was measured."""
    verdict = claim["verdict"]
    lines = [
        f'<div class="claim {verdict.replace(" ", "-")}" markdown>',
        "",
        f"**“{claim['statement']}”** {verdict.capitalize()}.",
        "",
        claim["measured"],
        "",
        "| measured | mean | interval | spread | n | wanted | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in claim["conditions"]:
        interval = f"{number(float(one['low']))} to {number(float(one['high']))} ({100 * one['confidence']:.4g}%)"
        lines.append(
            f"| {_cell(one['name'])} | {number(float(one['mean']))} | {interval} | {number(float(one['spread']))} | "
            f"{one['n']} | {one['side']} {number(one['bar'])} | {'yes' if one['holds'] else 'no'} |"
        )
    if claim["numbers"]:
        lines += ["", "| also measured | mean |", "|---|---|"]
        lines += [f"| {_cell(name)} | {number(float(value))} |" for name, value in claim["numbers"].items()]
    machine = claim["machine"]
    versions = machine["versions"]
    lines += [
        "",
        f"Seeds {claim['seeds'][0]} to {claim['seeds'][-1]}; {number(claim['cpu_seconds'])} s on one thread of "
        f"{machine['processor']}, torch {versions.get('torch', '')}.",
        "",
        "</div>",
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "&#124;")


def rules_index() -> str:
    """All rules by family."""
    lines = [
        "# Rules",
        "",
        "What `trainwell` looks for, and says with its evidence. `trainwell rule CODE` prints a page.",
    ]
    for family, title in FAMILIES.items():
        ours = [rule for code, rule in RULES.items() if code.startswith(family)]
        if ours:
            lines += ["", f"## {title}", "", "| code | name | what it sees |", "|---|---|---|"]
            lines += [f"| [{rule.code}]({rule.code}.md) | {rule.name} | {_cell(_sees(rule))} |" for rule in ours]
    return "\n".join(lines) + "\n"


def _sees(rule: Rule) -> str:
    first = rule.page.strip().split("\n\n")[0]
    return " ".join(first.removeprefix("What it sees:").split())


def rule_page(rule: Rule) -> str:
    """A rule's docstring as a page."""
    lines = [f"# {rule.code} {rule.name}"]
    for paragraph in rule.page.strip().split("\n\n"):
        heading, colon, text = paragraph.partition(":")
        if colon and "\n" not in heading and heading in PAGE_SECTIONS:
            lines += ["", f"## {heading}", "", text.strip()]
            if heading == "Evidence" and (RULE_PICTURES / f"{rule.code}.svg").is_file():
                lines += ["", f'<div data-rule="{rule.code}"></div>']
        else:
            lines += ["", paragraph]
    needs = ", ".join(f"`{section}`" for section in (*rule.needs, *rule.reads))
    lines += ["", f"It reads: {needs}."]
    return "\n".join(lines) + "\n"
