"""Pictures that lie in a run's evidence folder, as part of the page."""

import base64
import io
import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_BYTES = 200_000
"""A larger picture is made smaller: a page stays a few hundred kB."""

LARGEST_SIDE = 1200
SMALL_SIDE = 64
"""Pixels. Up to this size a picture is enlarged with its pixels to be seen."""


@dataclass(frozen=True)
class Embedded:
    """A picture inside the page.

    Attributes:
        uri: data URI.
        width: pixels.
        height: pixels.
    """

    uri: str
    width: int
    height: int

    @property
    def is_small(self) -> bool:
        """Whether its pixels should be seen."""
        return max(self.width, self.height) <= SMALL_SIDE


@dataclass(frozen=True)
class Shelf:
    """All PNGs under a run's evidence folder.

    Attributes:
        root: where the search began, resolved.
        files: in the order of their paths.
    """

    root: Path
    files: tuple[Path, ...]

    def find(self, name: str) -> Embedded | None:
        """A picture by the name in a record: its path below a folder of the evidence, or below the evidence itself.

        Args:
            name: relative, such as montage.png or mistakes/3.png.
        Returns:
            The picture of the latest visit that left one of this name; None if there is none that can be read.
        """
        wanted = tuple(part for part in Path(name).parts if part not in (".", ".."))
        if not wanted or Path(name).is_absolute():
            return None
        for file in reversed(self.files):
            if file.relative_to(self.root).parts[-len(wanted) :] == wanted:
                return _embed(file)
        return None


def shelf(folder: str) -> Shelf:
    """Looks through a run's folder once.

    Args:
        folder: a run's: pictures lie in `folder/evidence/NN-step/`; or a folder of evidence itself.
    Returns:
        What lies there; nothing where the folder is missing. Links that lead out of the folder are left out.
    """
    base = Path(folder)
    root = (base / "evidence" if (base / "evidence").is_dir() else base).resolve()
    if not folder or not root.is_dir():
        return Shelf(root, ())
    files = sorted(file for file in root.rglob("*.png") if file.resolve().is_relative_to(root) and file.is_file())
    return Shelf(root, tuple(files))


def _embed(file: Path) -> Embedded | None:
    try:
        content = file.read_bytes()
        return _fitted(content) if content.startswith(_SIGNATURE) and len(content) >= 24 else None
    except (OSError, Image.DecompressionBombError):
        # A damaged picture is no reason to have no report: the page says that it is missing.
        return None


def _fitted(content: bytes) -> Embedded:
    width, height = struct.unpack(">II", content[16:24])
    if len(content) <= LARGEST_BYTES:
        return Embedded(f"data:image/png;base64,{base64.b64encode(content).decode()}", width, height)
    with Image.open(io.BytesIO(content)) as opened:
        smaller = opened.convert("RGB")
        smaller.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
        buffer = io.BytesIO()
        smaller.save(buffer, format="JPEG", quality=80)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Embedded(f"data:image/jpeg;base64,{encoded}", smaller.width, smaller.height)
