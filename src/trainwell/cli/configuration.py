"""What pyproject.toml says of a check."""

import tomllib
from pathlib import Path
from typing import Any

from trainwell.core.errors import SettingError, suggestion

KEYS = {"select": list, "ignore": list, "fail-on": str, "steps": int, "budget": str}
"""Of the table [tool.trainwell.check], with the kind of their values; as the options of the same names."""


def check_settings(folder: Path) -> dict[str, Any]:
    """The table [tool.trainwell.check] of the nearest pyproject.toml: in a folder, or in one above it.

    Args:
        folder: where to begin.
    Returns:
        Keys that are there; empty where there is no such file or table.
    Raises:
        SettingError: the file is no TOML, or the table has a key or a value that there is none of.
    """
    found = next(
        (each / "pyproject.toml" for each in (folder, *folder.parents) if (each / "pyproject.toml").is_file()), None
    )
    if found is None:
        return {}
    try:
        table: Any = tomllib.loads(found.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"A configuration must be TOML, but {found} is none: {error}.") from error
    for name in ("tool", "trainwell", "check"):
        table = table.get(name, {})
        if not isinstance(table, dict):
            raise SettingError(f"[tool.trainwell.check] in {found} must be a table, but `{name}` is {table!r}.")
    for key, value in table.items():
        if key not in KEYS:
            raise SettingError(f'[tool.trainwell.check] in {found} has no key "{key}". {suggestion(key, KEYS)}')
        codes = isinstance(value, list) and all(isinstance(each, str) for each in value)
        # True is a whole number to Python.
        if not (codes if KEYS[key] is list else type(value) is KEYS[key]):
            kind = {list: "a list of codes", str: "a text", int: "a whole number"}[KEYS[key]]
            raise SettingError(f"`{key}` of [tool.trainwell.check] in {found} must be {kind}, but is {value!r}.")
    return {key: [each.upper() for each in value] if KEYS[key] is list else value for key, value in table.items()}
