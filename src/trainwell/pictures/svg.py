"""A figure as inline SVG for a page: text as text, the reader's colours, nothing from outside."""

import io
import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from trainwell.pictures.drawing import INK, PAPER, drawing
from trainwell.pictures.text import clean

_NAMESPACE = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_FONT = re.compile(r"font-family:[^;]*;?\s*")


def to_svg(figure: Figure, *, key: str, label: str) -> str:
    """The figure as one `svg` element that can stand inside an HTML page beside others.

    The same figure gives the same text. Black is `currentColor`, the ground `var(--paper)`, fonts are the page's, sizes
    follow the page, and every id begins with `key`. It is changed as a tree and never as text, so that no name in a
    picture can be taken for a part of it.

    Args:
        figure: made by a function of this package.
        key: ASCII letters, digits and hyphens; unique in the page.
        label: what the picture shows, in words, for readers who do not see it.
    Returns:
        The element, itself well-formed XML.
    """
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ElementTree.fromstring(buffer.getvalue())
    _drop_style(root)
    _rename(root, key)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_NAMESPACE)
        element.tail = None
        if element.tag != "text":
            element.text = None
        changed = {name: _attribute(name, value) for name, value in element.attrib.items()}
        element.attrib = {name: value for name, value in changed.items() if value}
    _compact(root)
    root.attrib = {
        "xmlns": _NAMESPACE.strip("{}"),
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": clean(label),
        "fill": "currentColor",
        "stroke-linejoin": "round",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _drop_style(root: ElementTree.Element) -> None:
    # matplotlib's own `*{...}` would hold for the whole page.
    for parent in list(root.iter(f"{_NAMESPACE}defs")):
        for child in list(parent.iter(f"{_NAMESPACE}style")):
            parent.remove(child)


def _rename(root: ElementTree.Element, key: str) -> None:
    """Ids in order of appearance; those that nothing refers to are dropped."""
    used = {
        match for element in root.iter() for value in element.attrib.values() for match in _REFERENCE.findall(value)
    }
    used |= {element.attrib[_LINK].removeprefix("#") for element in root.iter() if _LINK in element.attrib}
    names: dict[str, str] = {}
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in used and old is not None:
            names[old] = f"{key}-{len(names) + 1}"
            element.set("id", names[old])
    for element in root.iter():
        link = element.attrib.pop(_LINK, None)
        if link is not None:
            element.set("href", f"#{names[link.removeprefix('#')]}" if link.startswith("#") else link)
        for name, value in element.attrib.items():
            element.set(name, _REFERENCE.sub(lambda match: f"url(#{names[match[1]]})", value))


def _compact(parent: ElementTree.Element) -> None:
    """Takes out what is not seen: groups that say nothing, patches without paint, empty definitions."""
    children = list(parent)
    for child in children:
        parent.remove(child)
    for child in children:
        _compact(child)
        if child.tag == "g" and not child.attrib:
            parent.extend(list(child))
        elif not (child.tag == "defs" and not len(child)) and child.attrib.get("style") != "fill: none":
            parent.append(child)


def _attribute(name: str, value: str) -> str:
    if name in ("d", "points", "x", "y", "width", "height", "transform"):
        shorter = _LONG_NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
        return "" if shorter.startswith("rotate(-0 ") else " ".join(shorter.split())
    if name == "style":
        return _FONT.sub("", value).replace(INK, "currentColor").replace(PAPER, "var(--paper, #ffffff)")
    return value
