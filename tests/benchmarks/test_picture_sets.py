"""The sets of `transfer.py`: look-alikes stand on one side, and every class on both."""

from pathlib import Path

import numpy as np
import picture_sets
import pytest
from PIL import Image


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """An icon theme of seven categories, some of whose icons are there twice."""
    draw = np.random.default_rng(0)
    for label in picture_sets.ICONS:
        folder = tmp_path / "icons" / "oxygen" / "base" / "128x128" / label
        folder.mkdir(parents=True)
        for i in range(15):
            coarse = draw.integers(0, 256, (4, 4, 4), dtype=np.uint8)
            picture = Image.fromarray(coarse, "RGBA").resize((128, 128), Image.Resampling.NEAREST)
            picture.save(folder / f"{i:02d}.png")
            if i % 5 == 0:
                picture.save(folder / f"{i:02d}-again.png")
        (folder / "link.png").symlink_to(folder / "00.png")
    return tmp_path


def test_splits_keep_look_alikes_together(share: Path, tmp_path: Path) -> None:
    folder = picture_sets.build("icons", tmp_path / "sets", share=share)
    assert len(list(folder.glob("*/*.png"))) == 18 * len(picture_sets.ICONS)
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*/*.png")}
    assert picture_sets.build("icons", tmp_path / "sets", share=share) == folder
    assert {file: file.stat().st_mtime_ns for file in folder.glob("*/*.png")} == before
    for repeat in (0, 1):
        made = picture_sets.split(folder, repeat, tmp_path / "splits", train=9)
        parts = {
            part: {file.relative_to(made / part) for file in (made / part).glob("*/*.png")}
            for part in ("train", "test")
        }
        assert not parts["train"] & parts["test"]
        assert len(parts["train"] | parts["test"]) == 18 * len(picture_sets.ICONS)
        for label in picture_sets.ICONS:
            names = {file.name for file in parts["train"] if file.parent.name == label}
            assert 7 <= len(names) <= 9
            for i in (0, 5, 10):
                assert (f"{i:02d}.png" in names) == (f"{i:02d}-again.png" in names)
    first, second = (sorted((tmp_path / "splits" / f"icons-{i}" / "train").glob("*/*")) for i in (0, 1))
    assert [file.name for file in first] != [file.name for file in second]


def test_a_set_without_its_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="Install the packages"):
        picture_sets.build("icons", tmp_path / "sets", share=tmp_path)
    assert not (tmp_path / "sets" / "icons").exists()
