"""What a schedule of the learning rate would do over a whole training: a copy of it is stepped that drives nothing."""

import copy
import warnings
from typing import Any

import torch
from torch.optim import SGD

MOST = 20_000
"""Steps that are looked ahead: of more, nothing is said."""


def driving_nothing(schedule: Any) -> Any:
    """A copy of a schedule as it is now, whose optimizer has its rates and no weights; None: it is not torch's own.

    Args:
        schedule: what was made.
    """
    if any(not type(each).__module__.startswith("torch.optim") for each in _parts(schedule)):
        # One of the user's may hold whatever there is, and do anything as it is stepped.
        return None
    optimizer = SGD([torch.zeros(1)], lr=1.0)
    [weight] = optimizer.param_groups[0]["params"]
    optimizer.param_groups = [
        {
            **{key: each.clone() if isinstance(each, torch.Tensor) else each for key, each in group.items()},
            "params": [weight],
        }
        for group in schedule.optimizer.param_groups
    ]
    try:
        return copy.deepcopy(schedule, {id(schedule.optimizer): optimizer, **_kept(schedule)})
    except Exception:  # what a function of the script's holds may not be copied
        return None


def rates_ahead(template: Any, steps: int) -> tuple[float, ...]:
    """Its rates before each of so many steps and after the last; empty where it cannot be stepped by itself.

    The functions of a LambdaLR are called, and they are the script's own: only once it does not go on.

    Args:
        template: a schedule that drives nothing; it is left as it is.
        steps: that it is to take.
    """
    if template is None or not 0 < steps <= MOST:
        return ()
    found = []
    try:
        schedule = copy.deepcopy(template, _kept(template))
        optimizer = schedule.optimizer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(steps):
                found.append(float(optimizer.param_groups[0]["lr"]))
                schedule.step()
    except Exception:  # as one that is to be told how the validation went
        return ()
    return (*found, float(optimizer.param_groups[0]["lr"]))


def _kept(schedule: Any) -> dict[int, Any]:
    """Its functions, which are not copied: they are the script's own, and may be methods of whatever it holds."""
    return {id(each): each for part in _parts(schedule) for each in getattr(part, "lr_lambdas", ())}


def _parts(schedule: Any) -> list[Any]:
    return [schedule, *(part for each in getattr(schedule, "_schedulers", ()) for part in _parts(each))]
