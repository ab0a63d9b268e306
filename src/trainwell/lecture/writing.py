"""Pictures on disk: a figure as a standalone SVG that follows the reader's light or dark, and as a PNG."""

import base64
import inspect
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from trainwell.core.errors import SettingError, suggestion
from trainwell.core.files import write_atomically, writing
from trainwell.lecture.figures.table import FIGURES
from trainwell.pictures.drawing import drawing
from trainwell.pictures.svg import to_svg

_STYLE = (
    "<style>:root{color:#1b1b1b;--paper:#ffffff;background:var(--paper);font-family:DejaVu Sans,Verdana,sans-serif}"
    "@media(prefers-color-scheme:dark){:root{color:#e6e6e6;--paper:#14161a}}</style>"
)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A picture that was written.

    Attributes:
        name: in FIGURES.
        svg: where it is as SVG.
        png: where it is as PNG.
    """

    name: str
    svg: Path
    png: Path


def caption(name: str) -> str:
    """What a picture shows: the first line of its function's docstring.

    Args:
        name: in FIGURES.
    Returns:
        One sentence.
    Example:
        >>> caption("cosine")
        'Cosine: half a wave from the peak to zero.'
    """
    return (inspect.getdoc(FIGURES[name]) or "").partition("\n")[0]


def page_svg(name: str) -> str:
    """A picture as one `svg` element for a page.

    Args:
        name: in FIGURES.
    Returns:
        The element; its ids begin with the name.
    """
    return _with_images(FIGURES[name](), key=name.replace("_", "-"), label=caption(name))


def write_figures(folder: Path, *, only: Iterable[str] = ()) -> Iterator[Written]:
    """Draw pictures into a folder, one at a time.

    Args:
        folder: made if it is not there.
        only: names in FIGURES; none: all.
    Yields:
        Each picture after it was written.
    Raises:
        SettingError: a name that is not there.
        StoreError: the folder cannot be written.
    """
    names = tuple(only) or tuple(FIGURES)
    unknown = [
        f'A picture must be one of the table, but got "{name}". {suggestion(name, FIGURES)}'
        for name in names
        if name not in FIGURES
    ]
    if unknown:
        raise SettingError(" ".join(unknown))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        figure = FIGURES[name]()
        written = Written(name=name, svg=folder / f"{name}.svg", png=folder / f"{name}.png")
        svg = _with_images(figure, key=name.replace("_", "-"), label=caption(name))
        opened = svg.index(">") + 1
        write_atomically(written.svg, (svg[:opened] + _STYLE + svg[opened:]).encode())
        write_atomically(written.png, _png(figure))
        yield written


def _with_images(figure: Figure, *, key: str, label: str) -> str:
    """`to_svg`, which takes lines and text alone, with the raster images laid over the places where they stand."""
    images = [(panel, image) for panel in figure.axes for image in panel.images]
    placed = [_placed(panel, image, *(72.0 * figure.get_size_inches())) for panel, image in images]
    for _, image in images:
        image.set_visible(False)
    svg = to_svg(figure, key=key, label=label)
    for _, image in images:
        image.set_visible(True)
    return svg.removesuffix("</svg>") + "".join(placed) + "</svg>"


def _placed(panel: Axes, image: AxesImage, width: float, height: float) -> str:
    panel.apply_aspect()
    box = panel.get_position()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image.get_array())).save(buffer, format="png", optimize=True)
    uri = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<image x="{box.x0 * width:.2f}" y="{(1 - box.y1) * height:.2f}" width="{box.width * width:.2f}" '
        f'height="{box.height * height:.2f}" style="image-rendering:pixelated" href="data:image/png;base64,{uri}"/>'
    )


@drawing()
def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, facecolor="white")
    return buffer.getvalue()
