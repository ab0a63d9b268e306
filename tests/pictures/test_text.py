"""Numbers and names as they stand in pictures and pages."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwell.core.directions import DIRECTIONS
from trainwell.pictures.text import clean, duration, metric, number, percent, shorten

ANY_TEXT = st.text(st.characters(), max_size=60)


@settings(deadline=None, max_examples=200)
@given(ANY_TEXT)
def test_cleaned_text_is_one_line_of_the_same_length_that_xml_takes(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    assert "\n" not in cleaned
    element = ElementTree.Element("a")
    element.text = cleaned
    assert (ElementTree.fromstring(ElementTree.tostring(element)).text or "") == cleaned


def test_clean_keeps_what_people_write() -> None:
    assert clean("Katze 猫 🐈‍⬛ मनुष्य x² <b>") == "Katze 猫 🐈‍⬛ मनुष्य x² <b>"


def test_clean_replaces_what_turns_the_reading_direction() -> None:
    assert clean("a\u202egnp.exe\x1b[0m\ud800") == "a\ufffdgnp.exe\ufffd[0m\ufffd"
    assert clean("".join(DIRECTIONS)) == "\ufffd" * len(DIRECTIONS)


@settings(deadline=None, max_examples=100)
@given(ANY_TEXT, st.integers(3, 40))
def test_shortened_text_keeps_its_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) == min(len(text), limit)
    if len(text) > limit:
        assert short[0] == clean(text)[0]
        assert short[-1] == clean(text)[-1]


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e300, 1e300))
def test_a_number_read_back_is_near(value: float) -> None:
    read = float(number(value).replace(",", "").replace("−", "-"))
    assert math.isclose(read, value, rel_tol=6e-3, abs_tol=0.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (2.3026, "2.3"), (999.6, "1,000"), (-0.5, "−0.5"), (1e7, "1e7"), (-2.5e-9, "−2.5e-9"), (64.0, "64")],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_only_all_is_100_percent_and_only_nothing_is_0(share: float) -> None:
    assert percent(share) not in ("0%", "100%", "0.0%", "100.0%")


def test_metric_and_duration_survive_what_is_not_finite() -> None:
    assert metric(math.nan, "classification") == "not measured"
    assert metric(-math.inf, "regression") == "−∞"
    assert duration(math.inf) == "∞"
    assert [duration(seconds) for seconds in (59.6, 60.0, 3600.0)] == ["1 min", "1 min", "1 h 0 min"]
