"""HTML that escapes by construction.

A page is built of `Markup`, and only `element` makes it (and `raw`, for the style sheet and for SVG out of an XML
writer). Whatever is a plain string becomes text, with every control character replaced: there is no place where
somebody could forget to escape. A template language would do the same and belongs to the extra `ui`, which a report
does not need.
"""

from dataclasses import dataclass
from html import escape

from trainwell.pictures.text import clean

_VOID = frozenset({"br", "img", "meta"})


@dataclass(frozen=True)
class Markup:
    """HTML that may stand in a page as it is."""

    text: str


Child = Markup | str | None
"""A string is text and is escaped; None is nothing."""


def element(tag: str, *children: Child, **attributes: str | bool | None) -> Markup:
    """One element.

    Args:
        tag: its name.
        children: what stands in it.
        attributes: their values; True for one without a value, None or False for none. `class_` is class, `aria_label`
            is aria-label.
    Returns:
        The element.
    Example:
        >>> element("p", "a < b", class_="note").text
        '<p class="note">a &lt; b</p>'
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{together(*children).text}</{tag}>")


def together(*children: Child) -> Markup:
    """Several after one another.

    Args:
        children: strings are escaped.
    Returns:
        What they make.
    """
    return Markup("".join(_text(child) for child in children if child is not None))


def raw(text: str) -> Markup:
    """Text that is HTML already: the packaged style sheet and SVG, nothing that came out of data.

    Args:
        text: well-formed.
    Returns:
        The same as Markup.
    """
    return Markup(text)


def _text(child: Markup | str) -> str:
    return child.text if isinstance(child, Markup) else escape(clean(child), quote=True)


def _attribute(name: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(clean(value), quote=True)}"'
