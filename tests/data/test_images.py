"""Every mode of picture, decoded to what it shows."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from trainwell.core.errors import DataError
from trainwell.data.images import UnreadableError, decode, frame_size, quiet, read_header
from trainwell.data.parallel import in_parallel

RAMP = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)


def decoded(path: Path, *, channels: int = 3, height: int = 8, width: int = 8, **ranges: Any) -> Any:
    given = {"whole_range": (0.0, 255.0), "float_range": (0.0, 1.0)} | ranges
    with quiet():
        return decode(str(path), height=height, width=width, channels=channels, **given)


def mode_of(path: Path) -> str:
    with Image.open(path) as picture:
        return picture.mode


def saved(tmp_path: Path, picture: Image.Image, name: str, **options: Any) -> Path:
    picture.save(tmp_path / name, **options)
    return tmp_path / name


def test_gray_is_one_channel(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RAMP), "l.png")
    assert read_header(str(path)).gray
    assert (decoded(path, channels=1)[..., 0] == RAMP).all()
    assert (decoded(path, channels=3) == RAMP[..., None]).all()


def test_bilevel_is_black_and_white(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RAMP > 127), "1.png")
    assert mode_of(path) == "1"
    assert (decoded(path, channels=1)[..., 0] == np.where(RAMP > 127, 255, 0)).all()


def test_colour_is_kept(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(pixels), "rgb.png")
    assert not read_header(str(path)).gray
    assert (decoded(path) == pixels).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_over_white(tmp_path: Path, mode: str) -> None:
    picture = Image.new(mode, (8, 8), (10,) * (len(mode) - 1) + (0,))
    picture.paste(Image.new(mode, (4, 8), (10,) * (len(mode) - 1) + (255,)), (0, 0))
    pixels = decoded(saved(tmp_path, picture, "t.png"))
    assert (pixels[:, :4] == 10).all()
    assert (pixels[:, 4:] == 255).all()


def test_half_transparency_mixes_with_white(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "half.png")
    assert (decoded(path) == 127).all()


def test_palette_with_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([200, 0, 0, 0, 0, 200])
    picture.paste(1, (4, 0, 8, 8))
    path = saved(tmp_path, picture, "p.png", transparency=0)
    assert mode_of(path) == "P"
    pixels = decoded(path)
    assert (pixels[:, :4] == 255).all()
    assert (pixels[:, 4:] == (0, 0, 200)).all()


def test_palette_without_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([200, 0, 0, 0, 0, 200])
    assert (decoded(saved(tmp_path, picture, "p.gif")) == (0, 0, 200)).all()


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "c.tif")
    assert (decoded(path) == (255, 0, 0)).all()


def test_lab_becomes_rgb(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("LAB", (8, 8), (255, 128, 128)), "lab.tif")
    assert mode_of(path) == "LAB"
    assert (decoded(path) >= 253).all()


def test_sixteen_bit_keeps_its_range(tmp_path: Path) -> None:
    wide = RAMP.astype(np.uint16) * 16
    path = saved(tmp_path, Image.fromarray(wide), "w.png")
    header = read_header(str(path))
    assert header.wide
    assert header.whole
    assert header.high == 255 * 16
    # A 12-bit camera's values fill the range, instead of the lowest sixteenth of it.
    assert np.abs(decoded(path, channels=1, whole_range=(0.0, 4095.0))[..., 0].astype(int) - RAMP).max() <= 1


def test_float_is_scaled(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RAMP.astype(np.float32) / 255), "f.tif")
    assert (decoded(path, channels=1)[..., 0] == RAMP).all()


def test_float_with_nan_is_unreadable(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.full((8, 8), np.nan, np.float32)), "nan.tif")
    with pytest.raises(UnreadableError, match="it has pixels that are NaN or infinite"):
        read_header(str(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(tmp_path: Path, orientation: int) -> None:
    # As a viewer shows it: what Pillow itself does on the whole picture.
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:4, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(pixels), "e.png", exif=exif)
    header = read_header(str(path))
    with Image.open(path) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture))
    assert (header.height, header.width) == upright.shape[:2]
    assert (decoded(path, height=header.height, width=header.width) == upright).all()


@pytest.mark.parametrize("said", ["eXIf", "xmp", "late"])
def test_a_png_may_say_how_it_is_turned_in_several_places(tmp_path: Path, said: str) -> None:
    """Pillow finds what stands after the pixels only by decoding them; we look for it in the file first."""
    exif, texts = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112] = 6
    texts.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    given: dict[str, Any] = {"pnginfo": texts} if said == "xmp" else {"exif": exif}
    path = saved(tmp_path, Image.new("RGB", (16, 8), "red"), "turned.png", **given)
    if said == "late":
        chunks = png_chunks(path.read_bytes())
        moved = [each for each in chunks if each[4:8] != b"eXIf"]
        moved.insert(-1, next(each for each in chunks if each[4:8] == b"eXIf"))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(moved))
    header = read_header(str(path))
    assert (header.height, header.width) == (16, 8)
    assert (decoded(path, height=16, width=8) == (255, 0, 0)).all()


def png_chunks(held: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(held):
        end = at + 12 + int.from_bytes(held[at : at + 4], "big")
        found.append(held[at:end])
        at = end
    return found


def test_broken_exif_is_no_matter(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(RAMP), "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\xff junk")
    assert decoded(path, channels=1).shape == (8, 8, 1)


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert (decoded(path) == (255, 0, 0)).all()


def test_letterbox_keeps_all_and_fills_with_the_border(tmp_path: Path) -> None:
    pixels = np.full((8, 16, 3), 200, np.uint8)
    pixels[2:6, 2:14] = 50
    framed = decoded(saved(tmp_path, Image.fromarray(pixels), "wide.png"), height=16, width=16)
    assert (framed[:4] == 200).all()
    assert (framed[12:] == 200).all()
    assert (framed[6:10, 2:14] == 50).all()


@pytest.mark.parametrize("size", [(64, 48), (300, 7), (1, 1), (1000, 800)])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_any_size_comes_out_as_asked(tmp_path: Path, size: tuple[int, int], suffix: str) -> None:
    pixels = decoded(saved(tmp_path, Image.new("RGB", size, (90, 90, 90)), f"s{suffix}"), height=20, width=24)
    assert pixels.shape == (20, 24, 3)
    assert np.abs(pixels.astype(int) - 90).max() <= 1


@pytest.mark.parametrize(
    ("sizes", "max_side", "frame"),
    [
        ([(28, 28)] * 3, None, (28, 28)),
        ([(500, 1000)] * 3, 100, (50, 100)),
        ([(10, 10), (30, 20), (50, 90)], None, (30, 20)),
        ([(1, 5000)], 50, (1, 50)),
    ],
)
def test_frame_size(sizes: list[tuple[int, int]], max_side: int | None, frame: tuple[int, int]) -> None:
    assert frame_size(*np.array(sizes).T, max_side=max_side) == frame


def test_a_square_frame_is_for_sizes_that_differ() -> None:
    same, differing = np.array([[40, 60], [40, 60]]).T, np.array([[300, 100], [100, 200], [150, 150]]).T
    assert frame_size(*same, max_side=None, square=True) == (40, 60)
    assert frame_size(*differing, max_side=64, square=True) == (64, 64)
    assert frame_size(*differing, max_side=500, square=True) == (200, 200)


def test_truncated_is_named_damaged(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), "t.jpg")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UnreadableError, match="it is damaged"):
        decoded(path)


def test_text_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(UnreadableError, match="it is no picture"):
        decoded(tmp_path / "x.png")


def test_postscript_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "x.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    with pytest.raises(UnreadableError, match="it is no picture"):
        decoded(tmp_path / "x.eps")


def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableError, match="it is no regular file"):
        decoded(tmp_path / "pipe.png")


@pytest.mark.parametrize("factor", [1, 3])
def test_bomb_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int) -> None:
    # Between one and two times the limit Pillow only warns.
    path = saved(tmp_path, Image.new("L", (40, 40)), "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500 // factor)
    with pytest.raises(DataError, match=r"A picture may have at most \S+ pixels, but .*bomb.png has more"):
        decoded(path)
    with pytest.raises(DataError, match="decompression bomb"), quiet():
        read_header(str(path))


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_come_in_order(workers: int) -> None:
    def work(path: str) -> int:
        if path == "77":
            raise UnreadableError("no")
        return int(path)

    flat = [item for batch in in_parallel([str(i) for i in range(500)], work, workers=workers) for item in batch]
    assert [item for item in flat if isinstance(item, int)] == [i for i in range(500) if i != 77]
    assert isinstance(flat[77], UnreadableError)
