"""Photographs of the evidence folder, and nothing beside it."""

import base64
import io
from pathlib import Path

from PIL import Image

from trainwell.report.images import LARGEST_BYTES, LARGEST_SIDE, shelf


def paint(path: Path, size: tuple[int, int] = (8, 4), shade: int = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, shade).save(path)


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_picture_is_found_by_its_name_in_its_steps_folder(tmp_path: Path) -> None:
    paint(tmp_path / "evidence" / "00-look" / "montage.png")
    found = shelf(str(tmp_path)).find("montage.png")
    assert found is not None
    assert (found.width, found.height, found.is_small) == (8, 4, True)
    assert decoded(found.uri).getpixel((0, 0)) == 7


def test_of_several_visits_the_latest_counts(tmp_path: Path) -> None:
    paint(tmp_path / "evidence" / "00-look" / "montage.png", shade=1)
    paint(tmp_path / "evidence" / "03-look" / "montage.png", shade=2)
    found = shelf(str(tmp_path)).find("montage.png")
    assert found is not None
    assert decoded(found.uri).getpixel((0, 0)) == 2


def test_a_folder_in_the_name_must_match(tmp_path: Path) -> None:
    paint(tmp_path / "evidence" / "08-test" / "mistakes" / "3.png")
    shelved = shelf(str(tmp_path))
    assert shelved.find("mistakes/3.png") is not None
    assert shelved.find("other/3.png") is None


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    paint(tmp_path / "secret.png")
    (tmp_path / "run" / "evidence").mkdir(parents=True)
    (tmp_path / "run" / "evidence" / "link.png").symlink_to(tmp_path / "secret.png")
    shelved = shelf(str(tmp_path / "run"))
    for name in ("../../secret.png", "secret.png", "link.png", str(tmp_path / "secret.png"), "", ".."):
        assert shelved.find(name) is None


def test_what_is_missing_or_no_picture_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("<script>")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\x00" * (LARGEST_BYTES + 1))
    shelved = shelf(str(tmp_path))
    assert [shelved.find(name) for name in ("text.png", "cut.png", "none.png")] == [None] * 3
    assert shelf(str(tmp_path / "gone")).find("a.png") is None
    assert shelf("").files == ()


def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    Image.effect_noise((2000, 1000), 80).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size > LARGEST_BYTES
    found = shelf(str(tmp_path)).find("large.png")
    assert found is not None
    assert (found.width, found.height) == (LARGEST_SIDE, LARGEST_SIDE // 2)
    assert decoded(found.uri).size == (found.width, found.height)
    assert len(found.uri) < (tmp_path / "large.png").stat().st_size / 2
