"""The decorator that makes a record."""

import dataclasses
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
def record(cls: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass; `core/jsonio.py` writes it as JSON and reads it back.

    Args:
        cls: the class to decorate.
    Returns:
        The dataclass.
    """
    # Read by pydantic: a record with a field it does not know is another version's, not this one with something lost.
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]  # pydantic looks for it
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)
