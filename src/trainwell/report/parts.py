"""What sections are made of: tables, pictures with captions, lists, folds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from trainwell.pictures.svg import to_svg
from trainwell.report.markup import Child, Markup, element, raw, together


@dataclass
class Numbering:
    """Gives each picture of one page its key, in order."""

    drawn: int = field(default=0)

    def key(self) -> str:
        """The next key."""
        self.drawn += 1
        return f"p{self.drawn}"


def picture(figure: Figure, caption: str, numbering: Numbering, *, wide: bool = False) -> Markup:
    """A drawn picture with its caption, which is also what is read out.

    Args:
        figure: made by `pictures`.
        caption: one sentence: what is to be seen.
        numbering: of the page.
        wide: whether it takes the page's whole width.
    Returns:
        A figure element.
    """
    drawing = raw(to_svg(figure, key=numbering.key(), label=caption))
    return element("figure", drawing, element("figcaption", caption), class_="wide" if wide else None)


def gallery(*pictures: Markup | None) -> Markup | None:
    """Pictures beside each other where the page is wide enough.

    Args:
        pictures: None is left out.
    Returns:
        A block, or None if there is no picture.
    """
    kept = [one for one in pictures if one is not None]
    return element("div", *kept, class_="gallery") if kept else None


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Child]], *, numeric: Sequence[int] = ()) -> Markup:
    """A table that scrolls by itself on a narrow page.

    Args:
        caption: what it holds.
        head: names of the columns.
        rows: cells; the first of a row is its name.
        numeric: columns of numbers, which stand to the right.
    Returns:
        A block.
    """
    right = dict.fromkeys(numeric, "number")
    header = element("tr", *(element("th", name, scope="col", class_=right.get(i)) for i, name in enumerate(head)))
    body = [
        element(
            "tr",
            *(
                element("td", cell, class_=right.get(i)) if i else element("th", cell, scope="row")
                for i, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    made = element("table", element("caption", caption), element("thead", header), element("tbody", *body))
    return element("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def fold(summary: Child, *children: Child, is_open: bool = False) -> Markup:
    """What is shown when asked for.

    Args:
        summary: always shown.
        children: shown when open.
        is_open: at first.
    Returns:
        A details element.
    """
    return element("details", element("summary", summary), *children, open=is_open)


def bullets(items: Iterable[Child]) -> Markup | None:
    """A list.

    Args:
        items: of it.
    Returns:
        A ul element, or None without items.
    """
    made = [element("li", item) for item in items]
    return element("ul", *made) if made else None


def pairs(entries: Iterable[tuple[str, Child]]) -> Markup:
    """Names with their values.

    Args:
        entries: name and value.
    Returns:
        A dl element.
    """
    return element(
        "dl", *(element("div", element("dt", name), element("dd", value)) for name, value in entries), class_="pairs"
    )


def paragraph(*children: Child, class_: str | None = None) -> Markup:
    """A paragraph.

    Args:
        children: text and elements.
        class_: of the style sheet.
    Returns:
        A p element.
    """
    return element("p", *children, class_=class_)


def section(title: str, *children: Child, key: str) -> Markup:
    """One section of the page.

    Args:
        title: its heading.
        children: its content.
        key: its id.
    Returns:
        A section element.
    """
    return element(
        "section", element("h2", title, id=f"{key}-title"), together(*children), id=key, aria_labelledby=f"{key}-title"
    )


def all_of(count: int, noun: str) -> str:
    """A fold's title: how much lies in it.

    Args:
        count: >= 1.
        noun: in the singular.
    Example:
        >>> all_of(1, "layer"), all_of(1200, "layer")
        ('The layer', 'All 1,200 layers')
    """
    return f"All {count:,} {noun}s" if count > 1 else f"The {noun}"
