"""Every rule is a page, a code and a name, and reads nothing that it does not declare."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from trainwell.core.records.observation import Observation
from trainwell.diagnosis import rules
from trainwell.diagnosis.causes import FAMILIES, FOLLOWS_FROM
from trainwell.diagnosis.curve_shapes import SHAPES
from trainwell.diagnosis.rule import PAGE_SECTIONS
from trainwell.diagnosis.rules.table import RULES

FILES = sorted(
    module.name
    for module in pkgutil.walk_packages(rules.__path__, "trainwell.diagnosis.rules.")
    if not module.ispkg and not module.name.endswith(".table")
)


@pytest.mark.parametrize("code", RULES)
def test_page_has_every_section_in_order(code: str) -> None:
    page = RULES[code].page
    found = [page.index(f"{section}: ") for section in PAGE_SECTIONS]
    assert found == sorted(found)
    assert page.startswith(f"{PAGE_SECTIONS[0]}: ")
    for begin, end in zip(found, [*found[1:], len(page)]):
        assert len(page[begin:end].split()) > 6, page[begin:end]


@pytest.mark.parametrize("code", RULES)
def test_code_and_name(code: str) -> None:
    assert RULES[code].code == code
    assert re.fullmatch(r"[A-Z]{3}\d{3}", code)
    assert code[:3] in FAMILIES
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", RULES[code].name)


def test_names_and_codes_are_unique() -> None:
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert len({rule.code for rule in RULES.values()}) == len(RULES)


def test_every_file_is_in_the_table_under_its_own_name() -> None:
    in_files = {name: importlib.import_module(name).RULE for name in FILES}
    assert {rule.code for rule in in_files.values()} == set(RULES)
    for name, rule in in_files.items():
        assert RULES[rule.code] is rule
        assert name.rsplit(".", 1)[1].replace("_", "-") == rule.name


@pytest.mark.parametrize("name", FILES)
def test_ends_with_its_rule_and_imports_no_other(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text())
    last = tree.body[-1]
    assert isinstance(last, ast.Assign)
    assert ast.unparse(last.targets[0]) == "RULE"
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [other for other in imported if other.startswith("trainwell.diagnosis.rules")]


@pytest.mark.parametrize("name", FILES)
def test_thresholds_have_a_note(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    body = ast.parse(Path(module.__file__).read_text()).body
    numbers = [
        i
        for i, node in enumerate(body)
        if isinstance(node, ast.Assign) and isinstance(getattr(module, ast.unparse(node.targets[0]), None), int | float)
    ]
    assert numbers
    for i in numbers:
        note = body[i + 1]
        assert isinstance(note, ast.Expr)
        assert isinstance(note.value, ast.Constant)


@pytest.mark.parametrize("code", RULES)
def test_silent_without_its_sections(code: str) -> None:
    rule = RULES[code]
    assert rule.needs or rule.reads
    assert not set(rule.needs) & set(rule.reads)
    assert rule(Observation()) == ()
    assert rule.missing(Observation()) == (rule.needs or rule.reads)


def test_consequences_and_shapes_name_rules_and_have_no_circle() -> None:
    assert set(FOLLOWS_FROM) <= set(RULES)
    assert {cause for causes in FOLLOWS_FROM.values() for cause in causes} <= set(RULES)
    assert set(SHAPES) <= set(RULES)

    def ancestors(code: str, seen: tuple[str, ...] = ()) -> None:
        assert code not in seen, (*seen, code)
        for cause in FOLLOWS_FROM.get(code, ()):
            ancestors(cause, (*seen, code))

    for code in FOLLOWS_FROM:
        ancestors(code)
