"""Picture files, decoded: any mode, any size, one way, in training and at prediction.

- The first frame; turned as its EXIF orientation says.
- Transparency is laid over white.
- CMYK, YCbCr, HSV and LAB become RGB; 1, L and gray palettes become L where all pictures are gray.
- More than 8 bits (I;16, I, F) are scaled from a range that the encoder keeps, chosen over all pictures: whole numbers
  from 0 to the smallest 2^k - 1 that holds them; floats from [0, 1], [-1, 1], [0, 255] or the range they have.
- Another size is reached by scaling the whole picture (bicubic) into the frame, its bars in the colour of its border:
  nothing is cut off, since what tells the classes apart may lie at an edge.
"""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from trainwell.core.errors import DataError
from trainwell.data.files import open_regular
from trainwell.data.raw import shown, shown_path
from trainwell.data.scaling import to_bytes

DEFAULT_MAX_SIDE = 96
# Formats with a signature of their own and a decoder that runs no other program (EPS would start Ghostscript).
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "JPEG2000")
SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k"}
)
_GRAY = frozenset({"1", "L", "LA", "La", "I", "F"})
_TURNED = frozenset({5, 6, 7, 8})
# Names of the chunks and texts in a PNG file that may hold an orientation.
_PNG_METADATA = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")

Range = tuple[float, float]


class UnreadableError(Exception):
    """One picture cannot be read; its text says why. It never leaves this room."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """What a picture's first bytes say.

    Attributes:
        height: pixels, upright.
        width: pixels, upright.
        gray: whether its mode has no colour.
        low: smallest value of a picture with more than 8 bits; 0 for others.
        high: largest value of a picture with more than 8 bits; 0 for others.
        whole: whether its values are whole numbers.
        wide: whether it has more than 8 bits.
    """

    height: int
    width: int
    gray: bool
    low: float = 0.0
    high: float = 0.0
    whole: bool = True
    wide: bool = False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pillow's warnings within: bombs are errors, remarks about metadata are nobody's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _is_wide(mode: str) -> bool:
    return mode in ("I", "F") or mode.startswith("I;16")


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _open(handle: BinaryIO, path: str) -> ImageFile.ImageFile:
    limit = Image.MAX_IMAGE_PIXELS or 89_478_485
    try:
        picture = Image.open(handle, formats=_formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(path, limit) from error
    if picture.width * picture.height > limit:
        raise _bomb(path, limit)
    return picture


def _bomb(path: str, limit: int) -> DataError:
    return DataError(
        f"A picture may have at most {limit:,} pixels, but {shown_path(path)} has more: it may be a decompression "
        "bomb. Shrink it or take it out."
    )


@contextlib.contextmanager
def _reading(path: str) -> Iterator[ImageFile.ImageFile]:
    try:
        with open_regular(path) as handle, _open(handle, path) as picture:
            yield picture
    except (DataError, UnreadableError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableError("it is no picture") from error
    except OSError as error:
        if error.errno is not None:
            raise UnreadableError(f"it cannot be read: {error.strerror}") from error
        raise UnreadableError(f"it is damaged: {_first_line(error)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(path, Image.MAX_IMAGE_PIXELS or 0) from error
    except Exception as error:
        # Pillow's decoders raise whatever a damaged file leads them to: SyntaxError, IndexError, zlib.error, ...
        raise UnreadableError(f"it is damaged: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    lines = shown(str(error).strip().split("\n")[0])
    return lines[:200] or type(error).__name__


def _orientation(picture: ImageFile.ImageFile) -> int:
    try:
        if picture.format == "PNG" and picture.fp is not None and not _mentions_metadata(picture.fp):
            return 1
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Metadata that cannot be read leaves the picture as it stands.
        return 1


def _mentions_metadata(file: IO[bytes]) -> bool:
    """Whether a PNG file may say how it is turned.

    It may say so after its pixels, and Pillow decodes them all to find out: most of the time that a header takes.
    """
    place = file.tell()
    file.seek(0)
    held = file.read()
    file.seek(place)
    return any(mark in held for mark in _PNG_METADATA)


def read_header(path: str) -> Header:
    """A picture's size and kind, upright. Only pictures with more than 8 bits are decoded for it.

    Raises:
        UnreadableError: it is no picture, or damaged.
        DataError: a decompression bomb.
    """
    with _reading(path) as picture:
        # Pillow turns TIFF files by itself, size included.
        turned = picture.format != "TIFF" and _orientation(picture) in _TURNED
        width, height = picture.size[::-1] if turned else picture.size
        if width < 1 or height < 1:
            raise UnreadableError("it has no pixels")
        mode = picture.mode
        if not _is_wide(mode):
            return Header(height=height, width=width, gray=mode in _GRAY)
        values = np.asarray(picture)
        finite = values[np.isfinite(values)] if mode == "F" else values
        if finite.size < values.size:
            raise UnreadableError("it has pixels that are NaN or infinite")
        low, high = float(finite.min()), float(finite.max())
        return Header(height=height, width=width, gray=True, low=low, high=high, whole=mode != "F", wide=True)


def _eight_bit(picture: Image.Image, *, channels: int, whole_range: Range, float_range: Range) -> Image.Image:
    mode = "L" if channels == 1 else "RGB"
    if _is_wide(picture.mode):
        values = np.asarray(picture)
        if picture.mode == "F" and not np.isfinite(values).all():
            raise UnreadableError("it has pixels that are NaN or infinite")
        low, high = float_range if picture.mode == "F" else whole_range
        return Image.fromarray(to_bytes(values, low=low, high=high)).convert(mode)
    if picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info:
        if picture.mode in ("La", "RGBa"):
            picture = picture.convert("RGBA" if picture.mode == "RGBa" else "LA")
        opaque = picture.convert("RGBA")
        white = Image.new("RGBA", opaque.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, opaque).convert("RGB").convert(mode)
    if picture.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        turned = ImageCms.profileToProfile(picture, lab, ImageCms.createProfile("sRGB"), outputMode="RGB")
        if turned is None:
            raise UnreadableError("its LAB colours cannot be converted")
        picture = turned
    if picture.mode in ("CMYK", "YCbCr", "HSV", "P"):
        picture = picture.convert("RGB")
    return picture.convert(mode)


def _fitted_size(width: int, height: int, frame: tuple[int, int]) -> tuple[int, int]:
    scale = min(frame[0] / width, frame[1] / height)
    return max(1, min(frame[0], round(width * scale))), max(1, min(frame[1], round(height * scale)))


def _letterboxed(picture: Image.Image, *, width: int, height: int) -> Image.Image:
    if picture.size == (width, height):
        return picture
    size = _fitted_size(*picture.size, (width, height))
    small = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0) if size != picture.size else picture
    if size == (width, height):
        return small
    values = np.asarray(small)
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    colour = tuple(int(x) for x in np.atleast_1d(np.median(border, axis=0)))
    framed = Image.new(small.mode, (width, height), colour if len(colour) > 1 else colour[0])
    framed.paste(small, ((width - size[0]) // 2, (height - size[1]) // 2))
    return framed


def decode(
    path: str, *, height: int, width: int, channels: int, whole_range: Range, float_range: Range
) -> NDArray[np.uint8]:
    """One picture as uint8 (height, width, channels).

    Args:
        path: as the operating system takes it.
        height: pixels, >= 1.
        width: pixels, >= 1.
        channels: 1 or 3.
        whole_range: values of whole-number pictures with more than 8 bits that become 0 and 255.
        float_range: values of floating-point pictures that become 0 and 255.
    Raises:
        UnreadableError: it is no picture, or damaged.
        DataError: a decompression bomb.
    """
    with _reading(path) as picture:
        if picture.format in ("JPEG", "MPO"):
            # A JPEG can be decoded at a fraction of its size; twice what is needed leaves the scaling its quality.
            frame = (height, width) if _orientation(picture) in _TURNED else (width, height)
            wanted = _fitted_size(*picture.size, frame)
            picture.draft(None, (2 * wanted[0], 2 * wanted[1]))
        picture.load()
        upright = ImageOps.exif_transpose(picture) if _orientation(picture) != 1 else picture
        flat = _eight_bit(upright, channels=channels, whole_range=whole_range, float_range=float_range)
        values = np.asarray(_letterboxed(flat, width=width, height=height))
        return values[..., None] if channels == 1 else values


def frame_size(
    heights: NDArray[np.integer[Any]],
    widths: NDArray[np.integer[Any]],
    *,
    max_side: int | None,
    square: bool = False,
) -> tuple[int, int]:
    """The one size that all pictures get: theirs where it is one, else the median height and width, within the limit.

    Args:
        heights: of each, >= 1.
        widths: of each, >= 1.
        max_side: longest side allowed; None for DEFAULT_MAX_SIDE.
        square: a square where sizes differ: neither wide nor high pictures lose pixels.
    Returns:
        (height, width).
    Example:
        >>> frame_size(np.array([28, 28]), np.array([28, 28]), max_side=None)
        (28, 28)
        >>> frame_size(np.array([300, 100]), np.array([400, 200]), max_side=64)
        (43, 64)
    """
    height, width = float(np.median(heights)), float(np.median(widths))
    if square and (heights.min() < heights.max() or widths.min() < widths.max()):
        height = width = float(np.median(np.maximum(heights, widths)))
    limit = DEFAULT_MAX_SIDE if max_side is None else max_side
    scale = min(1.0, limit / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
