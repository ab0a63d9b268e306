"""An HTML document that holds everything itself: style sheet, pictures as SVG, photographs as data URIs.

No script, nothing from a network, and a content security policy that would refuse both.
"""

import functools
from importlib import resources

from trainwell.report.markup import Markup, element, raw

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def document(title: str, body: Markup, *, styles: tuple[str, ...] = ("page.css",)) -> str:
    """The whole text of a page.

    Args:
        title: of the window.
        body: a body element.
        styles: style sheets of this package, in order.
    Returns:
        HTML.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", raw("".join(map(_style, styles)))),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en').text}\n"


@functools.cache
def _style(name: str) -> str:
    return resources.files("trainwell.report").joinpath(name).read_text(encoding="utf-8")
