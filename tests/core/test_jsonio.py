"""core/jsonio.py: every record survives JSON, non-finite numbers included."""

import dataclasses
import importlib
import json
import math
import pkgutil
import random
import types
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainwell.core.records as rooms
from trainwell.core.errors import StoreError
from trainwell.core.jsonio import from_json, to_json, to_plain
from trainwell.core.records.curve import Curve
from trainwell.core.records.evidence import Evidence, LearningCurves, LrSweep
from trainwell.core.records.finding import Remedy
from trainwell.core.records.run import Budget
from trainwell.core.records.trial import Score


def all_records() -> list[type]:
    found: dict[str, type] = {}
    for info in pkgutil.walk_packages(rooms.__path__, f"{rooms.__name__}."):
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
                found[value.__name__] = value
    return [found[name] for name in sorted(found)]


RECORDS = all_records()
HINTS = {kind: typing.get_type_hints(kind) for kind in RECORDS}


NUMBERS = (0.0, -0.0, 0.1 + 0.2, 1e300, 5e-324, 1.0, math.nan, math.inf, -math.inf)
TEXTS = ("", "a", "NaN", "é σ", "two\nlines", '"quoted"', "\u2028", "</script>")


def value_of(kind: Any, draw: random.Random, *, ambiguous: bool = False) -> Any:
    """Any value of an annotation. `ambiguous`: beside strings, where "NaN" would be read as the string it is."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None):
        return None
    if kind is bool:
        return draw.random() < 0.5
    if kind is int:
        return draw.choice([0, 1, -1, 2**53 + 1, 2**63 - 1, draw.randrange(1000)])
    if kind is float:
        return draw.choice([number for number in NUMBERS if math.isfinite(number) or not ambiguous] + [draw.random()])
    if kind is str:
        return draw.choice(TEXTS)
    if origin is typing.Literal:
        return draw.choice(arguments)
    if origin in (typing.Union, types.UnionType):
        return value_of(draw.choice(arguments), draw, ambiguous=str in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(value_of(arguments[0], draw) for _ in range(draw.randrange(3)))
    if origin is tuple:
        return tuple(value_of(each, draw) for each in arguments)
    if origin is dict:
        return {text: value_of(arguments[1], draw) for text in draw.sample(TEXTS, draw.randrange(3))}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return kind(**{name: value_of(hint, draw) for name, hint in HINTS[kind].items()})
    raise AssertionError(f"no value for {kind}")


def test_all_records_are_found() -> None:
    names = {record.__name__ for record in RECORDS}
    assert {"Evidence", "TrialSpec", "Metrics", "RunRecord", "Hyperparameters", "DataRecord", "Outcome"} <= names
    assert len(names) >= 40


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_record_survives_json(kind: type[Any], seed: int) -> None:
    made = value_of(kind, random.Random(seed))
    text = to_json(made)
    read = from_json(kind, text)
    # NaN is unequal to itself, its repr is not.
    assert repr(read) == repr(made)
    assert to_json(read) == text
    assert to_json(from_json(kind, to_json(made, indent=1))) == text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0])
def test_numbers_keep_every_bit(number: float) -> None:
    read = from_json(Score, to_json(Score(loss=number, metric=number)))
    assert repr(read.loss) == repr(number)
    curve = Curve(name="loss", x=(1.0, 2.0), y=(number, 1.0))
    assert repr(from_json(Curve, to_json(curve))) == repr(curve)


def test_not_finite_are_strings_and_the_text_is_strict_json() -> None:
    text = to_json({"a": math.nan, "b": [math.inf, -math.inf]})
    assert json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) == {
        "a": "NaN",
        "b": ["Infinity", "-Infinity"],
    }


def test_a_union_of_details_reads_back_the_same_kind() -> None:
    curve = Curve(name="a", x=(), y=())
    sweep = LrSweep(curve=curve, smoothed=curve, lr=math.nan, interval=(0.0, math.inf), usable=False)
    curves = LearningCurves(
        trial=1,
        shape="flat",
        train_loss=curve,
        validation_loss=curve,
        train_metric=curve,
        validation_metric=curve,
        lr=curve,
    )
    made = Evidence(step=3, name="find-lr", visit=1, passed=False, verdict="", seconds=0.0, detail=(sweep, curves))
    assert [type(each) for each in from_json(Evidence, to_json(made)).detail] == [LrSweep, LearningCurves]


def test_whole_numbers_and_booleans_of_a_remedy_stay_what_they_are() -> None:
    made = Remedy(text="", change={"a": True, "b": 1, "c": 1.0, "d": "1"})
    assert repr(from_json(Remedy, to_json(made))) == repr(made)


def test_text_that_is_no_such_record_is_refused_in_one_sentence() -> None:
    with pytest.raises(StoreError, match=r"^This is no Budget record: steps: .*integer.*\.$"):
        from_json(Budget, '{"steps": "many"}')
    with pytest.raises(StoreError, match=r"^This is no Budget record: the whole text: Invalid JSON.*\.$"):
        from_json(Budget, "{")
    with pytest.raises(StoreError, match=r"This is no Budget record: hours: Unexpected keyword argument\.$"):
        from_json(Budget, '{"hours": 1}')


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(TypeError, match="but got set"):
        to_plain({"a": {1}})
    with pytest.raises(TypeError, match="but got type"):
        to_plain(Budget)
