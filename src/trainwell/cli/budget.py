"""How a budget is written: 90s, 5m, 2h, or 20000steps."""

import re

from trainwell.core.errors import SettingError

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
SPELLING = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|m|h|steps|)")


def read_budget(text: str) -> dict[str, float | int]:
    """A budget as `fit` takes it.

    Args:
        text: a number with s, m, h or steps.
    Returns:
        {"budget_seconds": ...} or {"budget_steps": ...}.
    Raises:
        SettingError: it is written otherwise, or is nothing.
    Example:
        >>> read_budget("5m"), read_budget("20000steps")
        ({'budget_seconds': 300.0}, {'budget_steps': 20000})
    """
    match = SPELLING.fullmatch(text.strip())
    if match is None:
        raise SettingError(f'A budget is written 90s, 5m, 2h or 20000steps, but got "{text}".')
    number, unit = float(match["number"]), match["unit"]
    if number <= 0:
        raise SettingError(f'A budget must be above 0, but got "{text}". Give it some time, such as 5m.')
    if unit == "steps":
        if number != int(number):
            raise SettingError(f'Steps are counted whole, but got "{text}".')
        return {"budget_steps": int(number)}
    return {"budget_seconds": number * UNITS[unit]}
