"""What every mutation draws from: hostile names, damage to bytes, and the case itself."""

import random
from dataclasses import dataclass, field
from pathlib import Path

HOSTILE = (
    "<script>alert(1)</script>",
    "$x$",
    "$\\frac{1}{0}$",
    "two\nlines",
    "tab\tand\rreturn",
    "n" * 300,
    "caf\udce9",
    "../up",
    "-rf",
    "--target",
    "🎲👩‍👩‍👧",
    "]]>",
    "<!--",
    "&amp;&lt;",
    '"quoted", and; more',
    "' onload='alert(1)",
    "{{7*7}}",
    "%s%n",
    "\x1b[31mred\x1b[0m",
    "[bold]rich[/bold]",
    "[/]",
    "\u202egnp.cod",
    "\u2028line separator",
    "\ufeffmark",
    "NaN",
    "null",
    "",
    " ",
    "__proto__",
    "CON",
    "_",
    "x" * 90,
    "مرحبا",
    "e\u0301\u0301\u0301\u0301",
)
"""Names that break what does not escape, measure or encode them."""


@dataclass
class Case:
    """One input and how it is given to the program.

    Attributes:
        number: of the case; everything follows from it.
        folder: what the case writes lies in it.
        arguments: of `trainwell fit`, the data first.
        told: the mutations, in order, for whoever reads a failure.
        options_changed: whether an option is wrong on purpose, which the option parser may refuse in its own way.
    """

    number: int
    folder: Path
    arguments: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    options_changed: bool = False


def truncate(data: bytes, draw: random.Random) -> bytes:
    """The first part of it, possibly none."""
    return data[: draw.choice((0, 1, len(data) // 2, max(len(data) - draw.randint(1, 40), 0)))]


def flip_bytes(data: bytes, draw: random.Random) -> bytes:
    """A few bytes replaced, somewhere or at the beginning."""
    changed = bytearray(data)
    reach = len(changed) if draw.random() < 0.7 else min(len(changed), 64)
    for _ in range(draw.randint(1, 8)):
        if reach:
            changed[draw.randrange(reach)] = draw.randrange(256)
    return bytes(changed)


def file_name(name: str) -> str | None:
    """The name as one that a file can have, or None."""
    made = name.replace("/", "\u2215").replace("\0", "")
    encoded = made.encode("utf-8", "surrogateescape")[:240]
    made = encoded.decode("utf-8", "surrogateescape")
    return None if made in ("", ".", "..") else made
