"""Records to JSON and back. Non-finite numbers are the strings "NaN", "Infinity", "-Infinity".

pydantic reads (and checks) what comes in. It is not used to write: inside a union its setting for non-finite numbers is
lost, and they come out as null, which it then refuses to read.
"""

import dataclasses
import functools
import json
import math
from types import GenericAlias
from typing import Any, TypeVar, cast

from trainwell.core.errors import StoreError

T = TypeVar("T")


@functools.lru_cache(maxsize=256)
def _adapter(kind: Any) -> Any:
    # Imported on first use: records and chapters are usable without pydantic.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def to_plain(value: Any) -> Any:
    """A record, or lists and dicts of them, as dicts, lists, strings and finite numbers.

    Args:
        value: what to convert.
    Returns:
        What `json.dumps(..., allow_nan=False)` takes.
    Raises:
        TypeError: something that is no record, list, tuple, dict, string, number, bool or None.
    Example:
        >>> to_plain({"a": (1, float("inf"))})
        {'a': [1, 'Infinity']}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"JSON holds records, lists, dicts, strings and numbers, but got {type(value).__name__}.")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """A record, or lists and dicts of them, as JSON text.

    Args:
        value: what to write.
        indent: spaces a level; None for one line.
    Returns:
        The text. Equal records give equal text.
    """
    return json.dumps(to_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def from_json(kind: type[T] | GenericAlias, text: str | bytes) -> T:
    """A record from JSON text.

    Args:
        kind: the record's class, or a tuple or dict of such.
        text: what `to_json` wrote.
    Returns:
        The record, equal to the one written.
    Raises:
        StoreError: the text is no JSON, or no such record.
    """
    from pydantic import ValidationError

    try:
        made: T = _adapter(cast(Any, kind)).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole text"
        name = getattr(kind, "__name__", str(kind))
        raise StoreError(f"This is no {name} record: {where}: {first['msg']}.") from error
    return made
