"""Files that tests read: made on the spot."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Maker = Callable[..., Path]


def noise(seed: int, *, height: int = 12, width: int = 12, channels: int = 3) -> NDArray[np.uint8]:
    """A picture unlike any other."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture
def picture_folder(tmp_path: Path) -> Maker:
    """Makes a folder with a folder for each class."""

    def make(
        name: str = "pictures", *, classes: tuple[str, ...] = ("cat", "dog"), each: int = 12, suffix: str = ".png"
    ) -> Path:
        root = tmp_path / name
        for c, label in enumerate(classes):
            (root / label).mkdir(parents=True)
            for i in range(each):
                Image.fromarray(noise(1000 * c + i)).save(root / label / f"{i:02}{suffix}")
        return root

    return make


@pytest.fixture
def idx_folder(tmp_path: Path) -> Maker:
    """Makes a folder of IDX files."""

    def make(
        name: str = "idx",
        *,
        prefixes: tuple[str, ...] = ("train", "t10k"),
        samples: int = 60,
        labels: int | None = None,
        zipped: bool = False,
    ) -> Path:
        root = tmp_path / name
        root.mkdir()
        for k, prefix in enumerate(prefixes):
            pixels = np.random.default_rng(k).integers(0, 256, (samples, 6, 5), dtype=np.uint8)
            classes = np.arange(samples if labels is None else labels, dtype=np.uint8) % 3
            for kind, array in (("images-idx3", pixels), ("labels-idx1", classes)):
                head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                data = head + array.tobytes()
                path = root / f"{prefix}-{kind}-ubyte{'.gz' if zipped else ''}"
                path.write_bytes(gzip.compress(data) if zipped else data)
        return root

    return make
