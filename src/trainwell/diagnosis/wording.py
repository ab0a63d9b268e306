"""Numbers as a person reads them."""

import math


def number(value: float) -> str:
    """Three significant digits, without needless zeros or exponents.

    Args:
        value: any.
    Returns:
        Such as "0.0312", "2.3", "1,240", "3e-05".
    Example:
        >>> number(2.302585), number(1234.5), number(0.00003), number(float("nan"))
        ('2.3', '1,230', '3e-05', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    rounded = float(f"{value:.3g}")
    if rounded and (abs(rounded) < 1e-3 or abs(rounded) >= 1e7):
        return f"{rounded:.2g}"
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage; one decimal where the whole number would say "all" or "none" wrongly.

    Example:
        >>> percent(0.5), percent(0.997), percent(1.0), percent(0.002)
        ('50%', '99.7%', '100%', '0.2%')
    """
    if 0 < share < 0.01 or 0.99 < share < 1:
        # Never rounded to "all" or "none".
        return f"{min(99.9, max(0.1, 100 * share)):.1f}%"
    return f"{100 * share:.0f}%"


def points(difference: float) -> str:
    """A difference of two shares, in percentage points.

    Example:
        >>> points(0.123), points(0.0049)
        ('12 points', '0.5 points')
    """
    value = 100 * difference
    text = f"{value:.0f}" if abs(value) >= 9.5 else f"{value:.1f}"
    return f"{text} points"


def counted(n: int, noun: str, plural: str = "") -> str:
    """A count with its noun.

    Example:
        >>> counted(1, "epoch"), counted(3, "epoch"), counted(2, "class", "classes")
        ('1 epoch', '3 epochs', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
