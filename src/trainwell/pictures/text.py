"""What may stand in a picture or on a page: names without control characters, and numbers as people write them."""

import math
import unicodedata

from trainwell.core.directions import DIRECTIONS

_SPACES = {"\t", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"}
_REPLACEMENT = "\ufffd"


def clean(text: str) -> str:
    """A text without what XML refuses and without what only a terminal or a bidirectional layout obeys.

    Line breaks and tabs become spaces; control characters, lone surrogates, noncharacters and direction marks become
    U+FFFD, so that nobody mistakes the text for one that never had them.

    Args:
        text: any text, such as a class name out of a file.
    Returns:
        One line, of the same length.
    Example:
        >>> clean("a\\nb\\x00c")
        'a b\ufffdc'
    """
    return "".join(map(_clean_character, text))


def _clean_character(character: str) -> str:
    if character in _SPACES:
        return " "
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if noncharacter or character in DIRECTIONS or unicodedata.category(character) in ("Cc", "Cs"):
        return _REPLACEMENT
    return character


def shorten(text: str, limit: int = 24) -> str:
    """A cleaned text of at most `limit` characters: what is too much is left out of its middle.

    Args:
        text: any text.
        limit: characters, >= 3.
    Returns:
        The text, or its beginning, an ellipsis and its end.
    Example:
        >>> shorten("preprocessing.normalize", 12)
        'prepro…alize'
    """
    cleaned = clean(text)
    if len(cleaned) <= limit:
        return cleaned
    end = (limit - 1) // 2
    return f"{cleaned[: limit - 1 - end]}…{cleaned[-end:]}"


def number(value: float | int, digits: int = 3) -> str:
    """A number with the digits that matter.

    Args:
        value: any number.
        digits: significant ones, >= 1.
    Returns:
        The text; whole numbers in full with a comma between the thousands.
    Example:
        >>> [number(value) for value in (0.012345, 1e-5, 12345.0, 3e12, float("nan"), float("-inf"))]
        ['0.0123', '1e-5', '12,345', '3e12', 'not measured', '−∞']
    """
    if math.isnan(value):
        return "not measured"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 1e7:
        whole = size >= 10 ** (digits - 1)
        text = f"{value:,.0f}" if whole or value == int(value) else f"{value:.{digits}g}"
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"
    return text.replace("-", "−", 1) if value < 0 else text


def percent(share: float, decimals: int = 1) -> str:
    """A share of 1 in percent.

    Args:
        share: usually in [0, 1].
        decimals: digits after the point, >= 0.
    Returns:
        The text; `not measured` for NaN. Only what is exactly 0 or 1 is written as 0% or 100%.
    Example:
        >>> [percent(share) for share in (0.9861, 1.0, 0.99999, 0.0)]
        ['98.6%', '100%', '>99.9%', '0%']
    """
    if math.isnan(share):
        return "not measured"
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    step = 10.0**-decimals
    if share > 0 and 100 * share < step / 2:
        return f"<{step:.{decimals}f}%"
    if share < 1 and 100 * (1 - share) < step / 2:
        return f">{100 - step:.{decimals}f}%"
    return f"{100 * share:.{decimals}f}%".replace("-", "−")


def metric(value: float, task: str) -> str:
    """Accuracy in percent, or R² to three decimals.

    Args:
        value: accuracy in [0, 1], or R².
        task: classification or regression.
    Returns:
        The text.
    Example:
        >>> metric(0.5, "classification"), metric(0.4567, "regression")
        ('50.0%', '0.457')
    """
    if task == "classification" or not math.isfinite(value):
        return percent(value) if math.isfinite(value) else number(value)
    return f"{value:.3f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Args:
        seconds: >= 0.
    Returns:
        The text.
    Example:
        >>> [duration(seconds) for seconds in (0.3, 42.0, 75.0, 7260.0)]
        ['0.3 s', '42 s', '1 min 15 s', '2 h 1 min']
    """
    if not math.isfinite(seconds):
        return number(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
