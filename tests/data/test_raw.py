"""Names out of data, as people and JSON see them."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.directions import DIRECTIONS
from trainwell.core.errors import TargetError
from trainwell.data.prepare import prepare
from trainwell.data.raw import shown


def test_directions_are_all_that_unicode_has() -> None:
    turning = {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    known = {chr(code) for code in range(0x110000) if unicodedata.bidirectional(chr(code)) in turning}
    assert known | {"\u061c", "\u200e", "\u200f"} == DIRECTIONS


@pytest.mark.parametrize("character", sorted(DIRECTIONS))
def test_what_turns_the_reading_direction_is_escaped(character: str) -> None:
    assert shown(f"cod.{character}gnp") == f"cod.\\u{ord(character):04x}gnp"


def test_words_that_are_read_from_right_to_left_stay() -> None:
    assert (
        shown("\u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645 \u732b")
        == "\u05e9\u05dc\u05d5\u05dd \u0633\u0644\u0627\u0645 \u732b"
    )


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(), max_size=40) | st.binary(max_size=40))
def test_a_shown_name_is_one_harmless_line_and_shown_again_the_same(name: str | bytes) -> None:
    found = shown(name)
    assert not DIRECTIONS & set(found)
    assert len(found.splitlines()) <= 1
    assert found.encode().decode() == found
    assert shown(found) == found


def table(folder: Path, classes: tuple[str, ...]) -> Path:
    path = folder / "rows.csv"
    rows = "".join(f"{i},{i * i % 7},{classes[i % len(classes)]}\n" for i in range(40))
    path.write_text(f"a,b,ki\u202end\n{rows}", encoding="utf-8")
    return path


@pytest.mark.parametrize("target", ["ki\u202end", "ki\\u202end"])
def test_a_column_is_known_by_its_name_and_by_what_is_shown(tmp_path: Path, target: str) -> None:
    path = table(tmp_path, ("x\u2066y", "z"))
    record = prepare(path, target=target, seed=0, cache=tmp_path / "cache").record
    assert record.output.names == ("x\\u2066y", "z")
    assert [column.name for column in record.columns] == ["a", "b"]


def test_messages_show_them_escaped(tmp_path: Path) -> None:
    path = table(tmp_path, ("x\u202ey",))
    with pytest.raises(TargetError, match=r'every sample is of class "x\\u202ey"'):
        prepare(path, target="ki\u202end", seed=0, cache=tmp_path / "cache")
    with pytest.raises(TargetError, match=r'there is no "kind\\u200f"'):
        prepare(path, target="kind\u200f", seed=0, cache=tmp_path / "cache")
