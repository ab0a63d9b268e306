"""What a remedy's `change` means, and its application to a point of the search space.

A key is a dotted path into Hyperparameters, or `total_steps` (the training's length), and at most one sign:

=========================  =================================================
`path`                     is set to the value
`path*`                    is multiplied by the value
`path>`                    is raised to the value; what is above it stays
`path<`                    is lowered to the value; what is below it stays
=========================  =================================================

So `{"optimization.lr*": 0.3}` is a third of the present rate, and `{"regularization.dropout>": 0.2}` leaves 0.3 alone.
A change that leaves the point as it was says that this remedy is used up.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from trainwell.core.errors import SettingError, suggestion
from trainwell.core.records.hyperparameters import Hyperparameters

LENGTH = "total_steps"

Value = str | float | int | bool


def apply_change(
    change: Mapping[str, Value], hyperparameters: Hyperparameters, *, total_steps: int
) -> tuple[Hyperparameters, int]:
    """A point of the search space after a remedy.

    A decay tail and a warm-up that together exceed the training's length are cut: the tail gives way.

    Args:
        change: of a Remedy.
        hyperparameters: the point before.
        total_steps: the training's length before, in optimizer steps, >= 1.
    Returns:
        The point after, and the training's length after.
    Raises:
        SettingError: a path that does not exist, or a relative change of something that is no number.
    Example:
        >>> from trainwell.core.records.hyperparameters import Architecture
        >>> point = Hyperparameters(architecture=Architecture(name="mlp"))
        >>> after, steps = apply_change({"optimization.lr*": 0.5, "total_steps*": 2.0}, point, total_steps=100)
        >>> after.optimization.lr, steps
        (0.0005, 200)
    """
    problems = [problem for key in change if (problem := _problem(key, change[key], hyperparameters))]
    if problems:
        raise SettingError(" ".join(problems))
    for key, value in change.items():
        path, sign = _split(key)
        if path == LENGTH:
            total_steps = max(1, round(float(_changed(total_steps, sign, value))))
        else:
            hyperparameters = _with(hyperparameters, path.split("."), sign, value)
    schedule = hyperparameters.schedule
    room = 1.0 - schedule.warmup_fraction
    if schedule.decay_fraction > room:
        hyperparameters = dataclasses.replace(
            hyperparameters, schedule=dataclasses.replace(schedule, decay_fraction=room)
        )
    return hyperparameters, total_steps


def paths(hyperparameters: Hyperparameters) -> dict[str, Value]:
    """Every dotted path of a point with its value.

    Args:
        hyperparameters: the point.
    Returns:
        Path -> value, in the order of the records.
    """
    found: dict[str, Value] = {}
    for field in dataclasses.fields(hyperparameters):
        value = getattr(hyperparameters, field.name)
        if dataclasses.is_dataclass(value):
            found |= {f"{field.name}.{inner.name}": getattr(value, inner.name) for inner in dataclasses.fields(value)}
        else:
            found[field.name] = value
    return found


def _split(key: str) -> tuple[str, str]:
    return (key[:-1], key[-1]) if key[-1:] in ("*", ">", "<") else (key, "")


def _problem(key: str, value: Value, hyperparameters: Hyperparameters) -> str:
    path, sign = _split(key)
    known: dict[str, Value] = {LENGTH: 1} | paths(hyperparameters)
    if path not in known:
        return f'A change names a hyperparameter, but got "{path}". {suggestion(path, known)}'
    if sign and (isinstance(known[path], str) or isinstance(value, str)):
        return f'Only a number can be changed by "{sign}", but "{path}" is {known[path]!r} and the value {value!r}.'
    return ""


def _changed(before: Any, sign: str, value: Any) -> Any:
    match sign:
        case "*":
            after = before * value
        case ">":
            after = max(before, value)
        case "<":
            after = min(before, value)
        case _:
            return value
    return max(1, round(after)) if isinstance(before, int) and before > 0 else type(before)(after)


def _with(node: Any, path: list[str], sign: str, value: Value) -> Any:
    name, *rest = path
    before = getattr(node, name)
    after = _with(before, rest, sign, value) if rest else _changed(before, sign, value)
    return dataclasses.replace(node, **{name: after})
