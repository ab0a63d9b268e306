"""Numbers as people read them."""

import math


def percent(share: float, *, digits: int = 1) -> str:
    """0.9731 -> "97.3%"."""
    return f"{100 * share:.{digits}f}%" if math.isfinite(share) else str(share)


def counted(number: int, noun: str, plural: str = "") -> str:
    """1 class, 2 classes; thousands with commas."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def reading(metric: float, task: str) -> str:
    """A metric with its name: "accuracy 97.3%" or "R² 0.512"."""
    return f"accuracy {percent(metric)}" if task == "classification" else f"R² {metric:.3f}"


def rate(value: float) -> str:
    """A learning rate or decay with two digits: 0.0031, 2e-05."""
    return f"{value:.2g}"


def short(value: str) -> str:
    """A value with at most three digits; words as they are."""
    try:
        return f"{float(value):.3g}"
    except ValueError:
        return value
