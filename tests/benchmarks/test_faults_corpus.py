"""The corpus of scripts for `check`: every case is a script, and what measures it is never edited."""

import ast
from collections import Counter

import pytest
from faults.corpus import Case, corpus, edited, twin_of

from trainwell.diagnosis.rules.table import RULES

CASES = corpus()


def test_there_are_enough_of_each_kind() -> None:
    faulty = [case for case in CASES if case.code]
    assert len(faulty) >= 200
    assert len(CASES) - len(faulty) >= 300
    assert len({case.family for case in faulty}) >= 12
    assert len({case.data for case in faulty}) >= 6
    assert sum(bool(case.source) for case in faulty) >= 30
    counts = Counter(case.code for case in faulty)
    # A network that was trained before is hard to come by in a script that downloads nothing.
    assert {code for code, count in counts.items() if count < 3} <= {"TRF001", "TRF002"}
    assert {code for case in faulty for code in (case.code, *case.also)} <= set(RULES)


def test_every_case_is_a_script_whose_measure_is_left_alone() -> None:
    for case in CASES:
        ast.parse(case.text)
        _, mark, end = case.text.partition("# held out")
        assert mark, case.name
        assert end == twin_of(case).partition("# held out")[2], case.name
        assert (case.text == twin_of(case)) == case.name.endswith("/healthy/as-it-is"), case.name


def test_half_is_set_aside_by_name_alone() -> None:
    share = sum(case.set_aside for case in CASES) / len(CASES)
    assert 0.4 < share < 0.6
    case = CASES[0]
    other = Case(name=case.name, script="x", family="x", data="x", text="x")
    assert other.set_aside == case.set_aside


def test_an_edit_must_be_of_one_place() -> None:
    assert edited("a b # held out b", [["b", "c"]], "x") == "a c # held out b"
    with pytest.raises(ValueError, match="occurs 2 times"):
        edited("a a", [["a", "c"]], "x")
    with pytest.raises(ValueError, match="occurs 0 times"):
        edited("a # held out b", [["b", "c"]], "x")
