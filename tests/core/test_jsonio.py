"""core/jsonio.py: every record survives JSON, non-finite numbers included."""

import dataclasses
import importlib
import json
import math
import pkgutil
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
    for info in pkgutil.iter_modules(rooms.__path__):
        module = importlib.import_module(f"trainwell.core.records.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
                found[value.__name__] = value
    return [found[name] for name in sorted(found)]


RECORDS = all_records()


def values_of(kind: Any, *, ambiguous: bool = False) -> st.SearchStrategy[Any]:
    """Any value of an annotation. `ambiguous`: beside strings, where "NaN" would be read as the string it is."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None):
        return st.none()
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(-(2**63), 2**63)
    if kind is float:
        return st.floats(allow_nan=not ambiguous, allow_infinity=not ambiguous)
    if kind is str:
        return st.text(max_size=8)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values_of(each, ambiguous=str in arguments) for each in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(each) for each in arguments))
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), values_of(arguments[1], ambiguous=ambiguous), max_size=2)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = {field.name: st.deferred(lambda h=hints[field.name]: values_of(h)) for field in dataclasses.fields(kind)}  # type: ignore[misc]  # the default binds h
        return st.builds(kind, **fields)
    raise AssertionError(f"no strategy for {kind}")


def test_all_records_are_found() -> None:
    names = {record.__name__ for record in RECORDS}
    assert {"Evidence", "TrialSpec", "Metrics", "RunRecord", "Hyperparameters", "DataRecord", "Outcome"} <= names
    assert len(names) >= 40


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_record_survives_json(kind: type, data: st.DataObject) -> None:
    made = data.draw(values_of(kind))
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
    with pytest.raises(StoreError, match=r"This is no Budget record: hours: Extra inputs are not permitted\.$"):
        from_json(Budget, '{"hours": 1}')


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(TypeError, match="but got set"):
        to_plain({"a": {1}})
    with pytest.raises(TypeError, match="but got type"):
        to_plain(Budget)
